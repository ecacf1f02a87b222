import Harness
import Testing

/// REQUIRETLS (RFC 8689) from a client to the next hop.
@Suite(.serialized) struct TLSReceivingRequireTests {
    @Test func `it is offered and taken inside TLS only`() throws {
        let world = try TLSReceivingWorld()
        let plain = try SMTPClient(world.postern.address)
        _ = try plain.reply()
        #expect(try !plain.command("EHLO client.example").lines.contains("REQUIRETLS"))
        #expect(try plain.command("MAIL FROM:<s@client.example> REQUIRETLS").code == 555)
        for way in OpenSSLClient.Way.allCases {
            let mail = "MAIL FROM:<s@client.example>"
            let report = try world.connect(
                way, saying: ["EHLO client.example", "\(mail) REQUIRETLS", "RSET", "\(mail) REQUIRETLS=1", "QUIT"])
            #expect(report.says("\n250-REQUIRETLS\r\n"), "\(way): \(report)")
            #expect(report.codes.suffix(5) == [250, 250, 250, 501, 221], "\(way): \(report)")
        }
    }

    /// Two next hops that are proven by the administrator's table: Postfix, which knows TLS and no REQUIRETLS, has
    /// `other.test`; Postern, which promises the same, has `example.test`, and keeps what it gets.
    private struct Hops {
        let postfix: PostfixPrimary
        let next: TLSReceivingWorld
        /// Where that one would send it.
        let last: Endpoint
        let postern: PosternProcess

        init() throws {
            let last = try Endpoint.free()
            self.last = last
            self.next = try TLSReceivingWorld(
                [.init(name: "next.example.test")], more: "forwarder: {tls: {policy: texthash:tls_policy}}",
                primary: last
            ) { next in
                // It could be sent on if anybody listened there.
                try next.postern.rewrite(
                    "rules/tls_policy", "[127.0.0.1]:\(last.port) secure match=last.example.test\n")
                let text = next.postern.file("postern.yaml")
                try next.postern.rewrite(
                    "postern.yaml", text.replacing("hostname: mx2.example.test", with: "hostname: next.example.test"))
            }
            let certificate = try self.next.authority.certificate(for: "primary.example.test")
            self.postfix = try PostfixPrimary(
                domains: ["other.test"],
                settings: [
                    "smtpd_tls_security_level": "may",
                    "smtpd_tls_chain_files": "\(certificate.key) \(certificate.chain)",
                ])
            let places = [
                ("example.test", self.next.postern.address, "next.example.test"),
                ("other.test", self.postfix.address, "primary.example.test"),
            ]
            self.postern = try PosternProcess(
                transport: places.map { "\($0.0) smtp:[127.0.0.1]:\($0.1.port)\n" }.joined(),
                domains: "[example.test, other.test]", recipients: "@example.test ok\n@other.test ok\n",
                limits: TLSReceivingWorld.hasty,
                more: "forwarder: {tls: {policy: texthash:tls_policy, authorities: \(self.next.root.root)}}",
                starts: false)
            try self.postern.rewrite(
                "rules/tls_policy",
                places.map { "[127.0.0.1]:\($0.1.port) secure match=\($0.2)\n" }.joined())
            try self.postern.start()
        }

        /// Where the second Postern has something to send to.
        func destinations() throws -> [String] {
            let destinations = try #require(try self.next.postern.json("status")["destinations"] as? [[String: Any]])
            return destinations.compactMap { $0["destination"] as? String }
        }

        func send(to recipient: String, _ parameters: String) throws {
            let (lines, content) = OpenSSLClient.transaction(
                from: "s@example.test", to: [recipient], mail: parameters, "Subject: secret\r\n\r\nhidden\r\n")
            let report = try OpenSSLClient.connect(self.postern.address, saying: lines, content: content)
            #expect(report.codes.suffix(2) == [250, 221], "\(report)")
        }
    }

    @Test func `a message goes on where the same is promised, and stays as it is there`() throws {
        let hops = try Hops()
        try hops.send(to: "user@example.test", " REQUIRETLS")
        try hops.postern.waitUntilEmpty()
        let taken = try hops.next.postern.event("queued") { $0["from"] == "s@example.test" }
        #expect(taken["tls"]?.hasPrefix("TLSv1.3/") == true)
        #expect(try hops.destinations() == ["[127.0.0.1]:\(hops.last.port) (REQUIRETLS)"])
        #expect(try hops.next.postern.queued() == 1)
    }

    @Test func `where it is not promised a message does not go, and its header comes back as safely`() throws {
        let hops = try Hops()
        try hops.send(to: "user@other.test", "")
        let plain = try hops.postfix.maildir.wait(for: 1)[0]
        #expect(plain.text.contains("hidden"), "without the wish it goes")

        try hops.send(to: "user@other.test", " REQUIRETLS")
        let failed = try hops.postern.event("failed") { $0["to"] == "user@other.test" }
        #expect(failed["reply"]?.contains("5.7.30") == true, "\(failed)")
        let notice = try hops.next.postern.event("queued") { $0["from"]?.isEmpty == true }
        let id = try #require(notice["id"], "\(notice)")
        let content = try hops.next.postern.command("queue", "content", id).output
        #expect(content.contains("Status: 5.7.30") && content.contains("Subject: secret"), "\(content)")
        #expect(content.contains("text/rfc822-headers") && !content.contains("hidden"), "\(content)")
        #expect(try hops.destinations() == ["[127.0.0.1]:\(hops.last.port) (REQUIRETLS)"])
        #expect(hops.postfix.maildir.count == 1)
    }
}
