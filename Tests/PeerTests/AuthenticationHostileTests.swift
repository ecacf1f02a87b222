import Foundation
import Harness
import Testing

/// What strangers say, in messages, envelopes and DNS, does not become what we say.
@Suite(.serialized) struct AuthenticationHostileTests {
    private static let records = #"""
        wrong.test. TXT "v=spf1 foo);dkim=pass(x;\013\010dmarc=pass\" -all"
        _dmarc.wrong.test. TXT "v=DMARC1; p=reject);dkim=pass(\013\010 dmarc=pass"
        include.test. TXT "v=spf1 include:x\013\010dkim=pass.test -all"
        refused.test. TXT "v=spf1 -all exp=why.refused.test"
        why.refused.test. TXT "no\013\010250 2.0.0 Ok \034 [ref AAAAAA] %{l} %{h}"
        s._domainkey.wrong.test. TXT "v=DKIM1; k=x);dmarc=pass(; p=\013\010AAAA"
        """#

    private static let signatures = [
        "d=good.test);dmarc=pass(; s=s; i=@good.test", "d=wrong.test; s=s; i=\"x;dmarc=pass\"@wrong.test",
        "d=wrong.test; s=s;dmarc=pass; i=@wrong.test", "d=wrong.test; s=s; a=rsa-sha256 dmarc=pass;",
        "d=wrong.test; s=\"; dkim=pass header.d=good.test; s=\"", "d=\r\n dkim=pass.good.test; s=s",
    ]

    private static let authors = [
        "<a@good.test;dmarc=pass>", "a@(;dmarc=pass)wrong.test", "<\"a;dmarc=pass\"@wrong.test>",
        "<a@wrong.test> ;dmarc=pass",
        "<a@wrong.test\u{0}>", "<a@\"wrong.test; dkim=pass\">",
    ]

    private static let senders = [
        #""a;dkim=pass"@wrong.test"#, #""a\" ; dkim=pass header.d=\"good.test"@include.test"#, #""(a"@none.test"#,
        #""a)(b"@none.test"#, "a=b;c@none.test", "a%{s}@none.test",
    ]

    @Test func `nobody adds to our results, whatever he is called`() throws {
        let world = try AuthenticationWorld(records: Self.records, authentication: { _ in "dmarc: {reject: false}" })
        let signature =
            "v=1; a=rsa-sha256; c=relaxed/relaxed; h=from; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AA"
        let fields =
            Self.signatures.map { "DKIM-Signature: \(signature); \($0)\r\nFrom: a@good.test\r\n" }
            + Self.authors.map { "From: \($0)\r\n" }
            + ["ARC-Seal: i=1; d=x;dmarc=pass; cv=none\r\nARC-Authentication-Results: i=1; x; dmarc=pass\r\n"]
        var count = 0
        for (number, field) in fields.enumerated() {
            for sender in [Self.senders[number % Self.senders.count], ""] {
                let reply = try world.send(
                    Array("\(field)Subject: x\r\n\r\nx\r\n".utf8), from: sender, client: AuthenticationWorld.stranger,
                    helo: number % 2 == 0 ? "wrong.test" : "[127.0.0.9]")
                guard reply.code == 250 else {
                    // A From with a NUL need not be taken; ours is only not to be believed.
                    #expect(reply.code / 100 == 5, "\(field) \(sender): \(reply)")
                    continue
                }
                count += 1
                let message = try world.arrived(count)
                let methods = try message.results().methods
                let isRight = methods.allSatisfy { !["dkim=pass", "dmarc=pass", "spf=pass", "arc=pass"].contains($0) }
                #expect(isRight, "\(methods): \(message.text)")
                #expect(methods.count { $0.hasPrefix("dmarc=") } == 1)
                #expect(message.names.prefix(3) == ["Authentication-Results", "Received-SPF", "Received"])
            }
        }
        #expect(count > fields.count)
        #expect(world.postern.events("queued").count == count)
    }

    @Test func `an explanation stays in the line of our reply and of the log`() throws {
        for engine in ["postern", "libspf2"] {
            let entrance = try Endpoint.free()
            let world = try AuthenticationWorld(
                records: Self.records, authentication: { _ in "spf: {engine: \(engine)}" },
                more: "restrictions: {recipient: [check_spf]}\n"
                    + "proxy: {listen: [\"\(entrance)\"], networks: [127.0.0.0/8]}\n", isEnabled: false)
            let client = try SMTPClient(entrance)
            try client.send("PROXY TCP4 192.0.2.9 198.51.100.1 40000 25\r\n")
            _ = try client.reply()
            try client.command("EHLO [192.0.2.9]")
            try client.command(#"MAIL FROM:<"250 ok"@refused.test>"#)
            let reply = try client.command("RCPT TO:<user@example.test>")
            #expect(reply.code == 550 && reply.text.hasPrefix("5.7.23 "), "\(reply)")
            #expect(reply.bytes.count { $0 == 10 } == reply.lines.count && reply.lines.allSatisfy { $0.count < 510 })
            #expect(!reply.lines.contains { $0.hasPrefix("250 ") || $0.hasPrefix("2.0.0 ") }, "\(reply)")
            // The connection is in step.
            #expect(try client.command("RSET").code == 250)
            #expect(try client.command("NOOP").code == 250)
            #expect(world.postern.log.split(separator: "\n").allSatisfy { $0.hasPrefix("20") })
        }
    }

    @Test func `check_spf and greylisting by SPF need nothing else, and hold where they stand`() throws {
        let world = try AuthenticationWorld(
            more:
                "restrictions: {recipient: [permit_mynetworks, check_spf, greylist]}\n"
                + "greylist: {spf_pass_domains: all}\n",
            isEnabled: false)
        let send = { (sender: String, client: String) in
            try world.send(AuthenticationWorld.message(from: "a@reject.test"), from: sender, client: client).code
        }
        #expect(try send("s@reject.test", AuthenticationWorld.stranger) == 550)
        #expect(try send("s@none.test", AuthenticationWorld.stranger) == 450)
        #expect(try send("s@good.test", AuthenticationWorld.sender) == 250)
        #expect(try send("s@reject.test", AuthenticationWorld.ours) == 250)
        try world.sink.wait(for: 2)
        for message in try world.sink.messages() {
            #expect(ReceivedMessage(message).names.first == "Received")
        }
    }

    @Test func `a header beyond all measure is no way around`() throws {
        let world = try AuthenticationWorld(authentication: { _ in "exempt: [\"inline:{127.0.0.10=OK}\"]" })
        let fillings = [
            String(repeating: "X:\r\n", count: 1001),
            (0..<5000).map { "X-Filling-\($0): \(String(repeating: "x", count: 60))\r\n" }.joined(),
            "X: \(String(repeating: "x", count: 900))\r\n"
                + String(repeating: " \(String(repeating: "x", count: 900))\r\n", count: 300),
        ]
        for filling in fillings {
            for head in [filling + "From: a@reject.test\r\n", "From: a@reject.test\r\n" + filling] {
                let reply = try world.send(
                    Array("\(head)\r\nx\r\n".utf8), from: "x@none.test", client: AuthenticationWorld.stranger)
                #expect(reply.code == 552 && reply.text.hasPrefix("5.3.4 The header of the message"), "\(reply)")
            }
        }
        let line = try world.postern.event("refused") { $0["list"] == "dmarc" }
        #expect(line["restriction"] == "malformed_from" && line["value"] == "a header that is too large", "\(line)")
        // Believed is believed, and what claims to be ours does not come through behind any of that.
        let forged = "Authentication-Results: mx2.example.test; dmarc=pass forged=1\r\n"
        let message = Array((fillings[1] + forged + "From: a@reject.test\r\n\r\nx\r\n").utf8)
        #expect(try world.send(message, from: "x@none.test", client: "127.0.0.10").code == 250)
        let received = try world.arrived()
        #expect(!received.text.contains("forged"))
        #expect(try received.results().methods.contains("dmarc=permerror"))
    }
}
