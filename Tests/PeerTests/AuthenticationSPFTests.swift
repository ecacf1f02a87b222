import Foundation
import Harness
import Testing

/// `check_spf` in a list of restrictions, for clients that a proxy names.
@Suite(.serialized) struct AuthenticationSPFTests {
    private static let records = """
        named.test. TXT "v=spf1 ip4:192.0.2.0/28 ~ip4:192.0.2.16/28 -all exp=why.named.test"
        why.named.test. TXT "%{i} is none of ours, ask %{d}"
        host.named.test. TXT "v=spf1 ip4:192.0.2.0/24 -all"
        guessed.test. A 192.0.2.5
        broken.test. TXT "v=spf1 ip4:nonsense -all"
        """

    private struct Fixture {
        let world: AuthenticationWorld
        let entrance: Endpoint

        init(_ spf: String, more: String = "") throws {
            let entrance = try Endpoint.free()
            self.entrance = entrance
            self.world = try AuthenticationWorld(
                records: AuthenticationSPFTests.records, authentication: { _ in "spf: {\(spf)}\n\(more)" },
                silent: ["silent.test"],
                more: """
                    restrictions: {recipient: [check_spf]}
                    proxy: {listen: ["\(entrance)"], networks: [127.0.0.0/8]}
                    """)
        }

        func send(_ client: String, from sender: String, helo: String = "host.named.test") throws -> SMTPClient.Reply {
            let connection = try SMTPClient(self.entrance)
            try connection.send("PROXY TCP4 \(client) 198.51.100.1 40000 25\r\n")
            _ = try connection.reply()
            try connection.command("EHLO \(helo)")
            return try connection.sendMessage(
                from: sender, to: ["user@example.test"], AuthenticationWorld.message(from: "a@other.test"))
        }
    }

    @Test(arguments: ["postern", "libspf2"])
    func `fail is refused at RCPT in the domain's words, softfail is told`(engine: String) throws {
        let fixture = try Fixture("engine: \(engine)")
        let reply = try fixture.send("192.0.2.99", from: "s@named.test")
        #expect(reply.code == 550, "\(reply)")
        #expect(
            reply.text.hasPrefix(
                "5.7.23 <user@example.test>: Recipient address rejected: SPF fail: [192.0.2.99] is not designated to "
                    + "send mail for named.test; named.test explains: 192.0.2.99 is none of ours, ask named.test"),
            "\(reply)")
        let line = try fixture.world.postern.event("refused") { $0["restriction"] == "check_spf" }
        #expect(line.clientAddress == "192.0.2.99" && line["from"] == "s@named.test", "\(line)")
        #expect(try fixture.world.postern.queued() == 0)

        let told = [
            ("192.0.2.1", "s@named.test", "pass"), ("192.0.2.20", "s@named.test", "softfail"),
            ("192.0.2.1", "s@none.test", "none"), ("192.0.2.1", "s@broken.test", "permerror"),
            ("192.0.2.1", "s@silent.test", "temperror"), ("192.0.2.1", "", "pass"),
        ]
        for (number, (client, sender, result)) in told.enumerated() {
            let reply = try fixture.send(client, from: sender)
            #expect(reply.code == 250, "\(sender): \(reply)")
            let message = try fixture.world.arrived(number + 1)
            #expect(try message.results().methods.first == "spf=\(result)", "\(message.text)")
            #expect(message.all("Received-SPF").first?.hasPrefix("Received-SPF: \(result)") == true)
        }
        // The null reverse-path is judged by the name in HELO.
        let notice = try fixture.send("198.51.100.1", from: "")
        #expect(notice.code == 550 && notice.text.hasPrefix("5.7.23 "), "\(notice)")
    }

    @Test func `each result can be refused or deferred, but for a server's silence`() throws {
        let fixture = try Fixture(
            "mail_from: {softfail: reject, permerror: defer, temperror: defer, fail: mark}, field: false")
        let refused = try fixture.send("192.0.2.20", from: "s@named.test")
        #expect(refused.code == 550 && refused.text.hasPrefix("5.7.23 "), "\(refused)")
        for sender in ["s@broken.test", "s@silent.test"] {
            let reply = try fixture.send("192.0.2.1", from: sender)
            #expect(reply.code == 451 && reply.text.hasPrefix("4.7.24 "), "\(reply)")
        }
        #expect(try fixture.send("192.0.2.200", from: "s@named.test").code == 250)
        let message = try fixture.world.arrived()
        #expect(try message.results().methods.first == "spf=fail")
        #expect(message.all("Received-SPF") == [])
        // A name in HELO that may not be used there is enough.
        let helo = try fixture.send("198.51.100.1", from: "s@none.test")
        #expect(helo.code == 550 && helo.text.contains("host.named.test"), "\(helo)")
    }

    @Test func `exempt clients are let in, and what was found is told`() throws {
        let fixture = try Fixture("engine: postern", more: "exempt: [\"inline:{192.0.2.99=OK}\"]")
        #expect(try fixture.send("192.0.2.98", from: "s@named.test").code == 550)
        #expect(try fixture.send("192.0.2.99", from: "s@named.test").code == 250)
        #expect(try fixture.world.arrived().results().methods.first == "spf=fail")
    }

    @Test func `a guess for who has no record is told as such`() throws {
        let fixture = try Fixture("best_guess: true")
        for (number, (client, isGuessed)) in [("192.0.2.77", true), ("198.51.100.77", false)].enumerated() {
            let reply = try fixture.send(client, from: "s@guessed.test", helo: "[\(client)]")
            #expect(reply.code == 250, "\(reply)")
            let message = try fixture.world.arrived(number + 1)
            let field = try #require(message.all("Authentication-Results").first)
            #expect(field.contains("spf=none (best guess: pass)") == isGuessed, "\(field)")
            #expect(message.all("Received-SPF").first?.hasPrefix("Received-SPF: none") == true)
        }
    }
}
