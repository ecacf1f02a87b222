import Foundation
import Harness
import Testing

/// DNS lists, served by a real name server (SEMANTICS §1, DNSBL site syntax).
@Suite(.serialized) struct ScreenerListTests {
    private static func zone(_ origin: String, _ records: String) -> String {
        """
        $ORIGIN \(origin).
        $TTL 300
        @ SOA ns hostmaster 1 3600 900 604800 300
        @ NS ns
        ns A 127.0.0.1
        2.0.0.127 A 127.0.0.2
        \(records)

        """
    }

    /// What is asked about ::1.
    private static let loopback6 = "1" + String(repeating: ".0", count: 31)

    private static func nameServer() throws -> NSD {
        try NSD(
            zones: [
                "bl.example.test": Self.zone(
                    "bl.example.test",
                    """
                    1.0.71.127 A 127.0.0.2
                    1.0.71.127 A 127.0.0.3
                    2.0.71.127 A 127.0.0.10
                    3.0.71.127 A 127.255.255.254
                    4.0.71.127 A 127.0.0.2
                    \(Self.loopback6) A 127.0.0.3
                    """),
                "wl.example.test": Self.zone(
                    "wl.example.test",
                    """
                    4.0.71.127 A 127.0.10.2
                    5.0.71.127 A 127.0.10.1
                    """),
            ])
    }

    private static let lists =
        "dnsbl: [\"bl.example.test=127.0.0.[2..3]\", \"wl.example.test=127.0.[0..255].[1..3]*-2\"], "
        + "dnsbl_allow_threshold: -1"

    private func resolver(_ endpoint: Endpoint) -> String { "{forwarders: [\"\(endpoint)\"], timeout: 10s}" }

    /// What the client is told after RCPT.
    private func recipientReply(_ client: SMTPClient) throws -> SMTPClient.Reply {
        #expect(try client.reply().code == 220)
        #expect(try client.command("EHLO client.example").code == 250)
        #expect(try client.command("MAIL FROM:<s@client.example>").code == 250)
        return try client.command("RCPT TO:<user@example.test>")
    }

    private func screened(_ postern: PosternProcess, _ source: String) throws -> LogLine {
        try postern.event("screened", "of \(source)") { $0.clientAddress == source }
    }

    @Test func `who is listed is refused with the list's name, and who is on an allow list is let in at once`() throws {
        let names = try Self.nameServer()
        // Who is greeted here is greeted because of a list: nobody has the patience.
        let postern = try PosternProcess(
            screener: "{greet_wait: 3600s, \(Self.lists)}", resolver: self.resolver(names.address), starts: false)
        let v6 = try Endpoint.free("::1")
        let text = postern.file("postern.yaml")
        try postern.rewrite(
            "postern.yaml",
            text.replacingOccurrences(
                of: "listen: [\"\(postern.address)\"]", with: "listen: [\"\(postern.address)\", \"\(v6)\"]"))
        try postern.start()

        for (server, source) in [(postern.address, "127.71.0.1"), (v6, "::1")] {
            let reply = try self.recipientReply(SMTPClient(server, from: source))
            #expect(
                reply.description == "550 5.7.1 Service unavailable; client [\(source)] blocked using bl.example.test")
            let line = try self.screened(postern, source)
            #expect(line["result"] == "failed" && line["tests"] == "dnsbl:enforce" && line["score"] == "1")
            #expect(line["lists"] == "bl.example.test:1")
            try postern.event("refused", "with sender and recipient") {
                $0.clientAddress == source && $0["from"] == "s@client.example" && $0["to"] == "user@example.test"
            }
        }

        // On both lists the better word weighs more; whoever was let in is greeted at once afterwards.
        for source in ["127.71.0.4", "127.71.0.5"] {
            #expect(try self.recipientReply(SMTPClient(postern.address, from: source)).code == 250)
            #expect(try self.screened(postern, source)["result"] == "allowed")
            #expect(try SMTPClient(postern.address, from: source).line().hasPrefix("220 "))
        }
        let stranger = try SMTPClient(postern.address, from: "127.71.0.9")
        #expect(try stranger.line().hasPrefix("220-"))
        try eventually("one who waits") { try postern.screenerStatus()["waiting"] as? Int == 1 }
        stranger.close()
        try postern.waitUntilDeserted()
    }

    @Test func `what an entry's filter leaves out and what is an error code refuse nobody`() throws {
        let names = try Self.nameServer()
        // The greeting waits for nothing but the lists.
        let postern = try PosternProcess(
            screener: "{greet_wait: 3600s, pregreet: \"off\", \(Self.lists)}",
            resolver: self.resolver(names.address))
        for (source, isPartial) in [("127.71.0.2", false), ("127.71.0.3", true), ("127.71.0.9", false)] {
            #expect(try self.recipientReply(SMTPClient(postern.address, from: source)).code == 250)
            let line = try self.screened(postern, source)
            #expect(line["result"] == "passed" && line["score"] == "0" && line["lists"] == nil)
            #expect(line["partial"] == (isPartial ? "yes" : nil), "\(line)")
        }
        let lists = try #require(try postern.screenerStatus()["lists"] as? [[String: Any]])
        let list = try #require(lists.first { $0["list"] as? String == "bl.example.test" })
        #expect(list["lastProblem"] as? String == "asked through a public resolver (127.255.255.254)")
        try postern.waitUntilDeserted()
    }

    @Test func `while name servers are dead or silent nobody is refused`() throws {
        let dead = try Self.nameServer()
        try dead.stop()
        let silent = try SilentServer()
        for server in [dead.address, silent.address] {
            let postern = try PosternProcess(
                screener: "{greet_wait: 1s, \(Self.lists)}", resolver: self.resolver(server))
            let client = try SMTPClient(postern.address, from: "127.71.0.1")
            #expect(try self.recipientReply(client).code == 250)
            let line = try self.screened(postern, "127.71.0.1")
            #expect(line["result"] == "passed" && line["partial"] == "yes" && line["score"] == "0")
            client.close()
            try postern.waitUntilDeserted()
        }
    }
}

/// A name server that gets questions and says nothing.
private final class SilentServer: Sendable {
    let address: Endpoint
    private let descriptor: Int32

    init() throws {
        self.address = try .free()
        self.descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = in_port_t(self.address.port).bigEndian
        inet_pton(AF_INET, self.address.host, &name.sin_addr)
        let result = withUnsafePointer(to: &name) { pointer in
            UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw HarnessError("cannot listen on \(self.address)") }
    }

    deinit { close(self.descriptor) }
}
