import Foundation
import Harness
import Testing

/// Odd and changed content: what is sealed and signed is what the primary gets.
@Suite(.serialized) struct AuthenticationContentTests {
    private static let seal = "seal._domainkey.relay.test"
    private static let author = "rsa._domainkey.good.test"
    private static let ours = "rsa._domainkey.ours.test"

    private static let changes = """
        content:
          header_checks: ["pcre:headers"]
          body_checks: ["pcre:bodies"]
        """

    private func world(more: String = "") throws -> AuthenticationWorld {
        try AuthenticationWorld(
            keys: [Self.seal, Self.author, Self.ours],
            authentication: {
                "dmarc: {malformed_from: mark}\n"
                    + "arc: {seal: \($0[Self.seal]?.settings ?? "")}\ndkim: {sign: [\($0[Self.ours]?.settings ?? "")]}"
            }, more: more,
            rules: [
                "headers":
                    "/^Subject: (.*)/ REPLACE Subject: [changed] $1\n/^X-Gone:/ IGNORE\n/^To:/ PREPEND X-Put: x\n",
                "bodies": "/^secret/ REPLACE nothing\n/^gone/ IGNORE\n",
            ])
    }

    @Test func `what rules change is verified as it was sent and sealed as it is stored`() throws {
        let world = try self.world(more: Self.changes)
        let plain = AuthenticationWorld.message(from: "a@good.test", body: "secret\r\ngone\r\nrest\r\n")
        let sent = try world.signed(Array("X-Gone: x\r\n".utf8) + plain, by: Self.author)
        #expect(try world.send(sent, from: "a@good.test").code == 250)
        let message = try world.arrived()
        #expect(message.text.contains("Subject: [changed] hello\r\n") && message.text.contains("X-Put: x\r\n"))
        #expect(message.text.hasSuffix("\r\n\r\nnothing\r\nrest\r\n") && !message.text.contains("X-Gone"))
        #expect(try message.results().methods.contains("dkim=pass"))
        #expect(try message.results().methods.contains("dmarc=pass"))
        // It is another message now, and we answer for it.
        #expect(try world.verdicts(of: message) == [false])
        let chain = try PythonAuthentication.ask(.arcVerify(message.bytes, world.peerNames))
        #expect(chain.result == "pass", "\(chain)")
    }

    @Test func `what rules change in mail of ours is signed as it is stored`() throws {
        let world = try self.world(more: Self.changes)
        let sent = AuthenticationWorld.message(from: "a@ours.test", body: "secret\r\ngone\r\nrest\r\n")
        #expect(try world.send(sent, from: "a@ours.test", client: AuthenticationWorld.ours).code == 250)
        let message = try world.arrived()
        #expect(message.text.contains("[changed]") && message.text.hasSuffix("\r\n\r\nnothing\r\nrest\r\n"))
        #expect(try world.verdicts(of: message) == [true])
        #expect(try world.openDKIM(message) == ["pass"])
    }

    private static let from = "From: a@good.test\r\n"
    static let odd: [(name: String, text: String)] = [
        ("no body", from + "\r\n"), ("empty lines", from + "\r\n\r\n\r\n"), ("blanks", from + "\r\n \r\n\t\r\n"),
        ("dots", from + "\r\n.\r\n..\r\n.a\r\n"), ("8 bit", from + "Subject: ü\r\n\r\nöä €\r\n"),
        ("folded", from + "Subject:\r\n folded\r\n\t twice  \r\n \r\n\r\nx\r\n"),
        ("trailing blanks", from + "Subject: x  \r\n\r\nline  \r\n\t\r\nx \t\r\n\r\n\r\n"),
        ("many fields", from + (0..<500).map { "X-Field-\($0): \($0)\r\n" }.joined() + "\r\nx\r\n"),
        ("no header", "\r\nbody only\r\n"), ("nothing", ""),
        ("a line that is no field", "Subject: x\r\n" + from + "no field\r\n\r\nbody\r\n"),
    ]

    @Test(arguments: [AuthenticationWorld.sender, AuthenticationWorld.ours])
    func `odd messages arrive as they were, behind fields that verify`(client: String) throws {
        let world = try self.world()
        for (number, (name, text)) in Self.odd.enumerated() {
            let sent = client == AuthenticationWorld.ours ? text.replacing("good.test", with: "ours.test") : text
            #expect(try world.send(Array(sent.utf8), from: "a@good.test", client: client).code == 250, "\(name)")
            let message = try world.arrived(number + 1)
            #expect(message.text.hasSuffix("+0000\r\n" + sent), "\(name): \(message.text)")
            // dkimpy reads neither of these.
            guard name != "a line that is no field", name != "nothing" else { continue }
            if client == AuthenticationWorld.ours {
                let expected = sent.contains("From:") ? [true] : []
                #expect(try world.verdicts(of: message) == expected, "\(name): \(message.text)")
            } else {
                let chain = try PythonAuthentication.ask(.arcVerify(message.bytes, world.peerNames))
                #expect(chain.result == "pass", "\(name): \(chain) \(message.text)")
            }
        }
    }

    @Test func `messages in chunks, and several of different senders in a session, are told apart`() throws {
        let world = try self.world()
        let connection = try SMTPClient(world.postern.address, from: AuthenticationWorld.sender)
        _ = try connection.reply()
        try connection.command("EHLO mail.good.test")
        let mails = [
            ("a@good.test", "pass"), ("a@reject.test", "fail"), ("a@none.test", "none"), ("b@good.test", "pass"),
        ]
        for (number, (sender, result)) in mails.enumerated() {
            let content = try world.signed(
                AuthenticationWorld.message(from: "a@good.test", subject: "m\(number)"), by: Self.author)
            try connection.command("MAIL FROM:<\(sender)>")
            try connection.command("RCPT TO:<user@example.test>")
            let middle = content.count / 2
            for piece in [content[..<middle], content[middle...], []] {
                try connection.send("BDAT \(piece.count)\(piece.isEmpty ? " LAST" : "")\r\n")
                try connection.send(Array(piece))
                #expect(try connection.reply().code == 250)
            }
            let message = try world.arrived(number + 1)
            let methods = try message.results().methods
            #expect(methods.first == "spf=\(result)" && methods.contains("dmarc=pass"), "\(methods)")
            #expect(try world.verdicts(of: message) == [true])
        }
    }
}
