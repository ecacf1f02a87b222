import Harness
import Mail
import Queue
import Receiver
import Rules
import SMTP
import TLS
import Testing

/// The server with TLS, over a socket. What the session says of it is in dialogs.
@Suite(.serialized) struct TLSTests {
    private static let mail = ["MAIL FROM:<a@client.example>", "RCPT TO:<user@example.test>", "DATA"]

    /// A client behind STARTTLS and EHLO.
    private static func client(
        _ server: SMTPServerFixture, certificate: TLSCertificate? = nil
    ) throws -> SecureClient {
        let client = try SecureClient(server.address, certificate: certificate)
        #expect(try client.nextReply()?.code == 220)
        #expect(try client.command("EHLO client.example").hasPrefix("250"))
        #expect(try client.command("STARTTLS").hasPrefix("220"))
        try client.handshake()
        #expect(try client.command("EHLO client.example").hasPrefix("250"))
        return client
    }

    private static func send(
        _ client: SecureClient, mail: String = TLSTests.mail[0], header: String = "Subject: x"
    ) throws {
        for line in [mail] + TLSTests.mail.dropFirst() { try client.command(line) }
        #expect(try client.command("\(header)\r\n\r\ntext\r\n.").contains("queued as"))
    }

    private static func failures(_ server: SMTPServerFixture) -> [String] {
        server.log.compactMap { if case .tlsFailed(let failure) = $0 { failure.detail } else { nil } }
    }

    private static func refusals(_ server: SMTPServerFixture) -> [String] {
        server.log.compactMap {
            if case .refused(let refusal) = $0 { "\(refusal.command) \(refusal.reply.oneLine)" } else { nil }
        }
    }

    @Test func `field and log tell protocol, cipher and bits`() async throws {
        try await withServer(tls: .offered) { server in
            try await onOwnThread {
                let client = try Self.client(server)
                try Self.send(client)
                let content = try #require(try server.messages().first?.content)
                let lines = content.split(separator: "\r\n").map(String.init)
                #expect(lines[0] == "Received: from client.example ([127.0.0.1])")
                #expect(lines[1] == "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))")
                #expect(lines[2].hasPrefix("\tby mx.example.test (Postern) with ESMTPS id "))
                #expect(try server.messages().first?.message.client?.proto == "ESMTPS")
                #expect(try client.command("RCPT TO:<x@y.example>").hasPrefix("503"))
                let fields = server.log.map(\.fields).filter { ["queued", "refused"].contains($0.event) }
                #expect(fields.count == 2)
                for field in fields {
                    guard
                        case .text("TLSv1.3/TLS_AES_256_GCM_SHA384/256")? = field.list.first(where: { $0.key == "tls" }
                        )?
                        .value
                    else {
                        Issue.record("\(field)")
                        continue
                    }
                }
            }
        }
    }

    @Test func `the name of the protocol is that of RFC 3848 and RFC 6531, where they have one`() async throws {
        try await withServer(tls: .offered) { server in
            try await onOwnThread {
                let client = try Self.client(server)
                try Self.send(client, mail: "\(Self.mail[0]) SMTPUTF8")
                try Self.send(client)
                try client.command("HELO client.example")
                try Self.send(client)
                let names = try server.messages().compactMap(\.message.client?.proto)
                #expect(names == ["UTF8SMTPS", "ESMTPS", "SMTP"])
                #expect(try server.messages().allSatisfy { $0.content.contains("(using TLSv1.3 ") })
            }
        }
    }

    @Test func `plain text is not called anything else`() async throws {
        try await withServer(tls: .offered) { server in
            try await onOwnThread {
                let client = try server.client()
                for line in Self.mail { try client.command(line) }
                try client.command("Subject: x\r\n\r\n.")
                let content = try #require(try server.messages().first?.content)
                #expect(content.contains("(Postern) with ESMTP id ") && !content.contains("(using "))
                #expect(server.log.map(\.fields).allSatisfy { !$0.list.contains { $0.key == "tls" } })
            }
        }
    }

    @Test(arguments: [ServerSession.TLSOffer.offered, .implicit])
    func `what comes in place of a handshake ends the connection`(offer: ServerSession.TLSOffer) async throws {
        try await withServer(tls: offer) { server in
            try await onOwnThread {
                for (index, text) in [
                    "EHLO client.example\r\n", "GET / HTTP/1.1\r\n\r\n", "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
                ].enumerated() {
                    let client = try SMTPClient(server.address, patience: .seconds(20))
                    if offer == .offered {
                        _ = try client.reply()
                        // In a packet of its own, which comes when the 220 is on its way.
                        #expect(try client.command("STARTTLS").code == 220)
                    }
                    try client.send(text)
                    let rest = try client.readToEnd().bytes
                    #expect(!rest.contains(UInt8(ascii: "2")), "an answer in plain text: \(rest)")
                    try eventually("the log") { Self.failures(server).count == index + 1 }
                }
                try server.waitUntilEmpty()
            }
        }
    }

    @Test func `input behind STARTTLS is neither read nor answered, however it comes`() async throws {
        try await withServer(tls: .offered) { server in
            try await onOwnThread {
                let together = try server.client()
                try together.send("STARTTLS\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<user@example.test>\r\n")
                #expect(try together.readToEnd().bytes.isEmpty)
                #expect(Self.refusals(server) == ["STARTTLS 503 5.5.0 Input behind STARTTLS"])
                // Two packets, before the 220 is read: the second is taken for a handshake, or for what stands behind.
                let apart = try server.client()
                try apart.send("STARTTLS\r\n")
                try apart.send("MAIL FROM:<a@client.example>\r\n")
                let answer = String(decoding: try apart.readToEnd().bytes, as: UTF8.self)
                #expect(!answer.contains("250"), "\(answer)")
                try server.waitUntilEmpty()
                #expect(try server.messages().isEmpty)
            }
        }
    }

    @Test(arguments: [ServerSession.TLSOffer.offered, .implicit])
    func `a handshake that is cut off anywhere leaves nothing behind`(offer: ServerSession.TLSOffer) async throws {
        try await withServer(tls: offer) { server in
            try await onOwnThread {
                // The header of a record, within the ClientHello, at its end, and in what comes behind it.
                for count in [1, 4, 5, 6, 9, 43, 100, 200, 240, 300, 320, 340, 360, 380] {
                    let client = try SecureClient(server.address, closingAfter: count)
                    if offer == .offered {
                        _ = try client.nextReply()
                        try client.command("STARTTLS")
                    }
                    // Behind its last octet it succeeds.
                    _ = try? client.handshake()
                    client.close()
                }
                try server.waitUntilEmpty()
            }
        }
    }

    @Test(arguments: [ServerSession.TLSOffer.offered, .implicit])
    func `a client that is silent in the handshake has the time of a command`(offer: ServerSession.TLSOffer)
        async throws
    {
        var limits = SessionLimits()
        limits.commandTimeout = .milliseconds(300)
        try await withServer(limits: limits, tls: offer) { server in
            try await onOwnThread {
                let client = try SMTPClient(server.address, patience: .seconds(20))
                if offer == .offered {
                    _ = try client.reply()
                    #expect(try client.command("STARTTLS").code == 220)
                }
                try client.send([0x16, 0x03, 0x01])
                #expect(try client.readToEnd().bytes.isEmpty, "nobody would understand it")
                try eventually("the log") { Self.refusals(server) == ["TIMEOUT 421 4.4.2 Timeout exceeded"] }
                #expect(Self.failures(server).isEmpty)
            }
        }
    }

    /// The client sends the beginning of a ClientHello that announces more octets than it will have time for.
    @Test(arguments: [ServerSession.TLSOffer.offered, .implicit])
    func `octets of a handshake do not prolong its time`(offer: ServerSession.TLSOffer) async throws {
        var limits = SessionLimits()
        limits.commandTimeout = .milliseconds(500)
        try await withServer(limits: limits, tls: offer) { server in
            try await onOwnThread {
                let client = try SMTPClient(server.address, patience: .seconds(20))
                if offer == .offered {
                    _ = try client.reply()
                    #expect(try client.command("STARTTLS").code == 220)
                }
                try client.send([0x16, 0x03, 0x01, 0x20, 0x00, 0x01, 0x00, 0x1F, 0xFC, 0x03, 0x03])
                var octets = 0
                while try client.staysSilent(for: .milliseconds(20)), octets < 500 {
                    try client.send([0x00])
                    octets += 1
                }
                #expect((1..<500).contains(octets))
                #expect(try client.readToEnd().bytes.isEmpty)
                try eventually("the log") { Self.refusals(server) == ["TIMEOUT 421 4.4.2 Timeout exceeded"] }
                #expect(Self.failures(server).isEmpty)
            }
        }
    }

    @Test func `where TLS comes first and there is no certificate, the connection ends and the log says why`()
        async throws
    {
        try await withServer(tls: .implicit, hasCertificate: false) { server in
            try await onOwnThread {
                let client = try SMTPClient(server.address, patience: .seconds(20))
                try client.send([0x16, 0x03, 0x01])
                #expect(try client.readToEnd().bytes.isEmpty)
                try server.waitUntilEmpty()
                #expect(Self.failures(server) == ["there is no certificate"])
            }
        }
    }

    @Test func `and behind it the time of a command begins again, and its end is told`() async throws {
        var limits = SessionLimits()
        limits.commandTimeout = .milliseconds(500)
        try await withServer(limits: limits, tls: .offered) { server in
            try await onOwnThread {
                let client = try Self.client(server)
                #expect(try client.nextReply()?.oneLine == "421 4.4.2 Timeout exceeded")
                #expect(try client.rest().isEmpty)
            }
        }
    }

    @Test func `a shutdown in the handshake does not wait for it`() async throws {
        try await withServer(tls: .offered) { server in
            let client = try await onOwnThread {
                let client = try SMTPClient(server.address, patience: .seconds(20))
                _ = try client.reply()
                try client.command("STARTTLS")
                return UncheckedBox(client)
            }
            await server.shutDown(grace: .seconds(60))
            let rest = try await onOwnThread { try client.value.readToEnd().bytes }
            #expect(rest.isEmpty)
        }
    }

    @Test func `large content goes through TLS whole`() async throws {
        try await withServer(tls: .implicit) { server in
            try await onOwnThread {
                let client = try SecureClient(server.address)
                try client.handshake()
                _ = try client.nextReply()
                try client.command("EHLO client.example")
                for line in Self.mail { try client.command(line) }
                let content = largeContent(3_000_000)
                try client.send(content)
                #expect(try client.command(".").contains("queued as"))
                let stored = try #require(try server.messages().first?.content)
                #expect(stored.hasSuffix(String(decoding: content, as: UTF8.self)))
                try server.checkQueue()
            }
        }
    }

    // MARK: What messages want

    @Test func `REQUIRETLS is kept with the message, and has a lane of its own`() async throws {
        try await withServer(tls: .offered) { server in
            try await onOwnThread {
                let client = try Self.client(server)
                try Self.send(client, mail: "\(Self.mail[0]) REQUIRETLS", header: "TLS-Required: No")
                let message = try #require(try server.messages().first?.message)
                #expect(message.envelope.parameters.tls == .required, "it wins over the header")
                #expect(try server.queue.lanes().map(\.name) == ["tls-required example.test"])
            }
        }
    }

    @Test(arguments: [false, true])
    func `a header that says No to TLS is believed, whoever looks at it before`(isInspected: Bool) async throws {
        let pattern = try PatternTable(text: "/^X-Nothing/ IGNORE\n", kind: .pcre)
        let table = RuleTable(name: "pcre:h", file: nil, content: .pattern(pattern))
        let content = ContentPolicy(checks: ContentRules(header: isInspected ? [table] : []))
        try await withServer(content: content) { server in
            try await onOwnThread {
                let client = try server.client()
                for header in ["TLS-Required: No", "TLS-Required: Yes"] {
                    for line in Self.mail { try client.command(line) }
                    #expect(try client.command("Subject: x\r\n\(header)\r\n\r\ntext\r\n.").code == 250)
                }
                let found = try server.messages().map(\.message.envelope.parameters.tls)
                #expect(found == [.optional, .unspecified])
                #expect(try server.queue.lanes().map(\.name).sorted() == ["example.test", "tls-optional example.test"])
            }
        }
    }

    // MARK: Certificates

    @Test func `a client's certificate is told, and rules know it by its fingerprint`() async throws {
        let certificate = try TestCertificate.client.get()
        let facts = CertificateFacts(
            subject: "", issuer: "", fingerprint: certificate.fingerprint,
            publicKeyFingerprint: certificate.publicKeyFingerprint, isTrusted: false)
        let table = RuleTable(
            name: "hash:certs", file: nil,
            content: .text(try TextTable("\(facts.fingerprintText) REJECT known too well\n")))
        var rules = RestrictionPolicy.relayOnly(try Dialog(file: "basic.dialog").policy)
        let item = RestrictionList.Item(
            .certificateAccess(table), text: "check_ccert_access hash:certs", onlyWarns: false, file: nil, line: nil)
        rules.lists[.sender] = RestrictionList(name: "sender", items: [item])
        try await withServer(tls: .offered, setTLS: { $0.asksForCertificate = true }, rules: rules) { server in
            try await onOwnThread {
                let known = try Self.client(server, certificate: certificate)
                try known.command(Self.mail[0])
                #expect(
                    try known.command(Self.mail[1])
                        == "554 5.7.1 <client.example>: Client certificate rejected: known too well")
                let other = try TestCertificate.make("evil\") (\\", try TLSCertificate.generateKey())
                try Self.send(try Self.client(server, certificate: other))
                let content = try #require(try server.messages().first?.content)
                #expect(
                    content.contains(
                        "bits))\r\n\t(Client CN \"evil?? ??\", Issuer \"evil?? ??\" (not verified))\r\n\tby mx"))
            }
        }
    }
}

struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

/// `TLS-Required` (RFC 8689 §5).
struct TLSRequiredScannerTests {
    @Test(arguments: [
        ("TLS-Required: No\r\n\r\n", true), ("tls-required:no\r\n\r\n", true),
        ("A: b\r\nTLS-REQUIRED: \t nO  \r\n\r\nx", true),
        ("TLS-Required:\r\n No\r\nA: b\r\n\r\n", true), ("TLS-Required: No\r\n \r\n\r\n", true),
        ("TLS-Required : No\r\n\r\n", true), ("TLS-Required: No\r\n", true),
        ("TLS-Required: Yes\r\n\r\n", false), ("TLS-Required:\r\n\r\n", false), ("TLS-Required: No no\r\n\r\n", false),
        ("TLS-Required: No\r\n thanks\r\n\r\n", false), ("TLS-Required: Nothing\r\n\r\n", false),
        ("TLS-Required: No\r\nTLS-Required: No\r\n\r\n", false), ("X-TLS-Required: No\r\n\r\n", false),
        ("A: b\r\n TLS-Required: No\r\n\r\n", false), ("A: b\r\n\r\nTLS-Required: No\r\n\r\n", false),
        ("TLS-Required: N\r\n o\r\n\r\n", false), ("TLS-Requir", false), ("TLS-Required\r\n: No\r\n\r\n", false),
        ("", false),
    ])
    func `one field that says No is enough, and nothing else is`(text: String, saysNo: Bool) {
        let bytes = Array(text.utf8)
        for cut in 0...bytes.count {
            var scanner = TLSRequiredScanner()
            scanner.scan(bytes[..<cut])
            scanner.scan(bytes[cut...])
            #expect(scanner.saysNo == saysNo)
        }
        var scanner = TLSRequiredScanner()
        for index in bytes.indices { scanner.scan(bytes[index...index]) }
        #expect(scanner.saysNo == saysNo)
    }
}
