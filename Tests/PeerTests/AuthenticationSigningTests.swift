import Foundation
import Harness
import Testing

/// What clients of ours send, and what Postern says itself, signed.
@Suite(.serialized) struct AuthenticationSigningTests {
    private static let rsa = "rsa._domainkey.ours.test"
    private static let ed25519 = "ed._domainkey.ours.test"
    private static let deep = "rsa._domainkey.deep.ours.test"
    private static let host = "host._domainkey.example.test"

    private static func sign(_ keys: [String: AuthenticationWorld.Key], _ names: [String]) -> String {
        "dkim: {sign: [\(names.compactMap { keys[$0]?.settings }.joined(separator: ", "))]}"
    }

    private func send(_ world: AuthenticationWorld, from author: String) throws {
        let message = AuthenticationWorld.message(from: author)
        #expect(try world.send(message, from: author, client: AuthenticationWorld.ours).code == 250)
    }

    @Test func `mail of ours is signed by the keys of its author's domain, or the nearest above`() throws {
        let names = [Self.rsa, Self.deep]
        let world = try AuthenticationWorld(keys: names, authentication: { Self.sign($0, names) })
        let expected = [
            ("a@ours.test", "ours.test"), ("a@sub.ours.test", "ours.test"), ("a@deep.ours.test", "deep.ours.test"),
            ("a@very.deep.ours.test", "deep.ours.test"), ("a@OURS.Test", "ours.test"), ("a@notours.test", nil),
            ("a@test", nil),
        ]
        for (number, (author, domain)) in expected.enumerated() {
            try self.send(world, from: author)
            let message = try world.arrived(number + 1)
            let signatures = message.all("DKIM-Signature")
            #expect(signatures.count == (domain == nil ? 0 : 1), "\(author): \(message.text)")
            #expect(message.names.first == (domain == nil ? "Received" : "DKIM-Signature"))
            // We believe them; there is nothing to tell.
            #expect(message.all("Authentication-Results") == [] && message.all("Received-SPF") == [])
            guard let domain else { continue }
            #expect(signatures.first?.contains("d=\(domain);") == true, "\(signatures)")
            #expect(try world.verdicts(of: message) == [true], "\(message.text)")
            #expect(try world.openDKIM(message) == ["pass"], "\(message.text)")
        }
        // The same from somebody else is not signed.
        #expect(try world.send(AuthenticationWorld.message(from: "a@ours.test"), from: "a@ours.test").code == 250)
        #expect(try world.arrived(expected.count + 1).all("DKIM-Signature") == [])
    }

    @Test func `all keys of a domain sign, also what comes in pieces`() throws {
        let names = [Self.rsa, Self.ed25519]
        let world = try AuthenticationWorld(keys: names, authentication: { Self.sign($0, names) })
        let body = (0..<9000).map { "line \($0)  of a body \t that goes to the queue in pieces \r\n" }.joined()
        let sent = AuthenticationWorld.message(from: "a@ours.test", body: body + "\r\n\r\n")
        #expect(try world.send(sent, from: "a@ours.test", client: AuthenticationWorld.ours).code == 250)
        let message = try world.arrived()
        #expect(Array(message.names.prefix(3)) == ["DKIM-Signature", "DKIM-Signature", "Received"])
        #expect(message.text.hasSuffix(String(decoding: sent, as: UTF8.self)))
        #expect(try world.verdicts(of: message) == [true, true])
        #expect(try world.openDKIM(message).contains("pass"))
        let changed = Array(message.text.replacing("line 8999 ", with: "line 9000 ").utf8)
        let verdicts = try PythonAuthentication.ask(.dkimVerify(changed, world.peerNames)).signatures
        #expect(verdicts?.map(\.valid) == [false, false])
    }

    @Test func `a notice of Postern is signed for the domain of its own name`() throws {
        let refusing = try SMTPSink(options: ["-f", "RCPT"])
        let world = try AuthenticationWorld(
            keys: [Self.host], authentication: { Self.sign($0, [Self.host]) },
            transport: { target in
                "example.test smtp:[127.0.0.1]:\(refusing.address.port)\n"
                    + "ours.test smtp:[127.0.0.1]:\(target.port)\n"
            })
        try self.send(world, from: "sender@ours.test")
        let notice = try world.arrived()
        #expect(notice.text.contains("multipart/report"))
        #expect(notice.names.first == "DKIM-Signature" && notice.all("DKIM-Signature").count == 1)
        #expect(notice.all("From").first?.contains("mx2.example.test") == true, "\(notice.text)")
        #expect(notice.all("DKIM-Signature").first?.contains("d=example.test;") == true)
        #expect(try world.verdicts(of: notice) == [true], "\(notice.text)")
        #expect(try world.openDKIM(notice) == ["pass"])
        try world.postern.waitUntilEmpty()
    }
}
