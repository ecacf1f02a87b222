import Glibc
import Harness
import Mail
import Receiver
import Rules
import SMTP
import Screener
import Testing

/// How many connections and how much mail a client may have, on real sockets.
@Suite(.serialized) struct ServerBehaviourTests {
    /// The code and text of the greeting, after which the connection is closed if it is a refusal.
    private func greeting(_ server: SMTPServerFixture, from source: String) throws -> (SMTPClient, SMTPClient.Reply) {
        let client = try SMTPClient(server.address, from: source)
        let reply = try client.reply()
        if reply.code == 421 {
            let rest = try client.readToEnd()
            #expect(rest.bytes.isEmpty && rest.end == .closed)
        }
        return (client, reply)
    }

    private func trusting() throws -> RelayPolicy {
        RelayPolicy(
            relayDomains: DomainSet(keys: ["example.test"]), relayNetworks: [try IPNetwork("127.0.0.0/8")],
            recipients: [try TextTable("@example.test ok\n")], unverified: .refused,
            postmaster: Mailbox("postmaster@example.test"), delimiter: nil)
    }

    @Test(arguments: [
        (["X-Filter: a"], ["filter smtp:[192.0.2.1] example.test"]), (["X-Redirect: a"], ["elsewhere.test"]),
        (["X-Filter: a", "X-Redirect: b"], ["elsewhere.test"]), ([], ["example.test"]),
    ]) func `a message that is sent elsewhere as a whole goes through no filter`(_ fields: [String], _ lanes: [String])
        async throws
    {
        let rules = "/^X-Filter:/ FILTER smtp:[192.0.2.1]\n/^X-Redirect:/ REDIRECT other@elsewhere.test\n"
        let table = RuleTable(name: "pcre:h", file: nil, content: .pattern(try PatternTable(text: rules, kind: .pcre)))
        let content = ContentPolicy(checks: ContentRules(header: [table]))
        try await withServer(policy: try self.trusting(), content: content) { server in
            try await onOwnThread {
                let client = try server.client()
                for line in ["MAIL FROM:<a@client.example>", "RCPT TO:<user@example.test>", "DATA"] {
                    try client.command(line)
                }
                let header = (["Subject: x"] + fields).joined(separator: "\r\n")
                #expect(try client.command("\(header)\r\n\r\ntext\r\n.").code == 250)
                #expect(try server.queue.lanes().map(\.name) == lanes)
            }
        }
    }

    enum Goodbye: CaseIterable, Sendable { case quit, close, reset }

    private func leave(_ client: SMTPClient, _ goodbye: Goodbye) throws {
        switch goodbye {
        case .quit: #expect(try client.command("QUIT").code == 221)
        case .close: client.close()
        case .reset: try client.abort()
        }
    }

    @Test(arguments: Goodbye.allCases) func `above the limit on all connections the answer is 421, until one ends`(
        goodbye: Goodbye
    ) async throws {
        var limits = SessionLimits()
        limits.connections = 2
        try await withServer(limits: limits, policy: try self.trusting()) { server in
            try await onOwnThread {
                let first = try server.client()
                let second = try server.client(from: "127.0.0.2")
                let (_, refused) = try self.greeting(server, from: "127.0.0.3")
                #expect(refused.description == "421 4.3.2 All server ports are busy, try again later")
                #expect(server.clients.openConnections == 2)
                try self.leave(second, goodbye)
                try eventually("a place") { try self.greeting(server, from: "127.0.0.3").1.code == 220 }
                #expect(try first.command("NOOP").code == 250)
            }
            #expect(
                server.log.contains {
                    if case .refused(let refusal) = $0 { refusal.command == "CONNECT" } else { false }
                })
        }
    }

    @Test(arguments: Goodbye.allCases) func `one client may have so many connections, others have their own`(
        goodbye: Goodbye
    ) async throws {
        var limits = SessionLimits()
        limits.connectionsPerClient = 2
        try await withServer(limits: limits) { server in
            try await onOwnThread {
                let first = try server.client(from: "127.0.0.2")
                let second = try server.client(from: "127.0.0.2")
                let (_, refused) = try self.greeting(server, from: "127.0.0.2")
                #expect(refused.description == "421 4.7.0 Too many connections from your network")
                #expect(try self.greeting(server, from: "127.0.0.3").1.code == 220)
                try self.leave(second, goodbye)
                try eventually("a place") { try self.greeting(server, from: "127.0.0.2").1.code == 220 }
                #expect(try first.command("NOOP").code == 250)
                first.close()
                try server.waitUntilEmpty()
            }
        }
    }

    @Test func `the prefix is what is configured`() async throws {
        var limits = SessionLimits()
        limits.connectionsPerClient = 1
        limits.clientPrefixIPv4 = 30
        try await withServer(limits: limits) { server in
            try await onOwnThread {
                let first = try server.client(from: "127.0.0.5")
                #expect(try self.greeting(server, from: "127.0.0.6").1.code == 421)
                #expect(try self.greeting(server, from: "127.0.0.8").1.code == 220)
                #expect(try first.command("NOOP").code == 250)
            }
        }
    }

    @Test func `over IPv6 it is the network`() async throws {
        var limits = SessionLimits()
        limits.connectionsPerClient = 1
        let listener = try Screener.ListeningSocket(Mail.Endpoint(.v6(high: 0, low: 1), port: 0))
        try await withServer(limits: limits, listener: listener) { server in
            try await onOwnThread {
                let first = try server.client()
                #expect(try self.greeting(server, from: "::1").1.code == 421)
                #expect(try first.command("NOOP").code == 250)
            }
        }
    }

    @Test func `IPv4 and IPv6 listen on the same port side by side`() async throws {
        try await withServer { server in
            let port = server.address.port
            let all = try Screener.ListeningSocket(Mail.Endpoint(.v6(high: 0, low: 0), port: port))
            #expect(all.endpoint?.port == port)
            server.gate.listen(on: all, isProxied: false)
            try await onOwnThread { () throws in
                #expect(try SMTPClient(Harness.Endpoint("::1", port)).reply().code == 220)
                #expect(try SMTPClient(server.address).reply().code == 220)
            }
        }
    }

    @Test func `the rates of connections, messages and recipients are limited`() async throws {
        var limits = SessionLimits()
        limits.connectionRatePerClient = 3
        limits.messageRatePerClient = 2
        limits.recipientRatePerClient = 3
        let policy = try Dialog(file: "basic.dialog").policy
        try await withServer(limits: limits, policy: policy) { server in
            try await onOwnThread {
                let client = try server.client(from: "127.0.0.2")
                for _ in 0..<2 {
                    #expect(try client.command("MAIL FROM:<a@client.example>").code == 250)
                    #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
                    try client.command("RSET")
                }
                let refused = try client.command("MAIL FROM:<a@client.example>")
                #expect(refused.description == "450 4.7.1 Too much mail from your network, try again later")
                // Over another connection it is the same client.
                let other = try server.client(from: "127.0.0.2")
                #expect(try other.command("MAIL FROM:<a@client.example>").code == 450)
                let stranger = try server.client(from: "127.0.0.3")
                #expect(try stranger.command("MAIL FROM:<a@client.example>").code == 250)
                for _ in 0..<3 { #expect(try stranger.command("RCPT TO:<user@example.test>").code == 250) }
                let tooMany = try stranger.command("RCPT TO:<user@example.test>")
                #expect(tooMany.description == "450 4.7.1 Too many recipients from your network, try again later")
                #expect(try self.greeting(server, from: "127.0.0.2").1.code == 220)
                let (_, late) = try self.greeting(server, from: "127.0.0.2")
                #expect(
                    late.description == "421 4.7.0 Too many new connections from your network, try again later")
            }
        }
    }

    @Test func `our own networks have no rates and no limit of their own`() async throws {
        var limits = SessionLimits()
        limits.connectionsPerClient = 1
        limits.connectionRatePerClient = 1
        limits.messageRatePerClient = 1
        limits.recipientRatePerClient = 1
        try await withServer(limits: limits, policy: try self.trusting()) { server in
            try await onOwnThread {
                let clients = try (0..<3).map { _ in try server.client() }
                for client in clients {
                    for _ in 0..<2 {
                        #expect(try client.command("MAIL FROM:<a@client.example>").code == 250)
                        #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
                        #expect(try client.command("RCPT TO:<b@elsewhere.example>").code == 250)
                        try client.command("RSET")
                    }
                }
            }
        }
    }

    // MARK: Half-closed connections

    @Test func `who sends no more still hears the answers`() async throws {
        try await withServer { server in
            try await onOwnThread {
                let client = try server.clientInContent()
                try client.send("Subject: x\r\n\r\nbody\r\n.\r\nNOOP\r\nQUIT\r\n")
                client.finishSending()
                #expect(try client.reply().code == 250)
                #expect(try client.reply().code == 250)
                #expect(try client.reply().code == 221)
                #expect(try client.readToEnd().end == .closed)
                let other = try server.client()
                try other.send("NOOP\r\nRSET\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<user@example.test>\r\n")
                other.finishSending()
                for _ in 0..<4 { #expect(try other.reply().code == 250) }
                #expect(try other.readToEnd().end == .closed)
            }
            #expect(try server.messages().count == 1)
        }
    }

    @Test(arguments: ["NOO", "NOOP\r\nQUI", "MAIL FROM:<a@client.example>\r\nRCPT", "BDAT 10\r\n12345"])
    func `who stops in the middle of a line has gone`(input: String) async throws {
        try await withServer { server in
            try await onOwnThread {
                let client = try server.client(patience: .seconds(10))
                try client.send(input)
                client.finishSending()
                _ = try client.readToEnd()
                try server.waitUntilEmpty()
            }
        }
    }

    /// Replies of which the kernel takes next to none before they are read.
    @Test(arguments: ["", "QUIT\r\n"])
    func `all answers reach a client that has finished sending, however slowly it reads`(
        goodbye: String
    ) async throws {
        let socket = try Harness.ListeningSocket(.free(), sendBuffer: 4096)
        // The server closes what it is given.
        let listener = try Screener.ListeningSocket(adopting: dup(socket.descriptor))
        try await withServer(listener: listener) { server in
            try await onOwnThread {
                let client = try SMTPClient(server.address, receiveBuffer: 4096)
                _ = try client.reply()
                let count = 300
                try client.send(String(repeating: "EHLO c\r\n", count: count) + goodbye)
                client.finishSending()
                try eventually("the server to have read it") { try bytesInKernel(toPort: server.address.port) == 0 }
                let text = String(decoding: try client.readToEnd().bytes, as: UTF8.self)
                #expect(text.split(separator: "\r\n").filter { $0 == "250 HELP" }.count == count)
                #expect(text.hasSuffix(goodbye.isEmpty ? "250 HELP\r\n" : "221 2.0.0 mx.example.test closing\r\n"))
            }
        }
        _ = socket.address
    }
}
