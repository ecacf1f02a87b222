import Foundation
import Harness
import Testing

/// What strangers signed and nobody changed, through the whole daemon to the primary.
@Suite(.serialized) struct AuthenticationPassTests {
    private static let seal = "seal._domainkey.relay.test"
    private static let rsa = "rsa._domainkey.good.test"
    private static let ed25519 = "ed._domainkey.good.test"

    private static let added = [
        "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results", "Authentication-Results", "Received-SPF",
        "Received",
    ]

    private func world(primary: Endpoint? = nil) throws -> AuthenticationWorld {
        try AuthenticationWorld(
            keys: [Self.seal, Self.rsa, Self.ed25519],
            authentication: { "arc: {seal: \($0[Self.seal]?.settings ?? "")}" }, primary: primary)
    }

    /// That it came with everything that was found, and as it was sent.
    private func check(_ message: ReceivedMessage, _ sent: [UInt8], _ world: AuthenticationWorld) throws {
        #expect(Array(message.names.prefix(6)) == Self.added, "\(message.text.prefix(4000))")
        #expect(message.text.hasSuffix(String(decoding: sent, as: UTF8.self)))
        let read = try message.results()
        #expect(read.server == "mx2.example.test")
        #expect(read.methods.contains("spf=pass") && read.methods.contains("dkim=pass"), "\(read.methods)")
        #expect(
            read.methods.contains("dmarc=pass") && !read.methods.contains { $0.hasSuffix("fail") }, "\(read.methods)")
        let spf = try #require(message.all("Received-SPF").first)
        #expect(spf.hasPrefix("Received-SPF: pass") && spf.contains("127.0.0.5"), "\(spf)")
        let chain = try PythonAuthentication.ask(.arcVerify(message.bytes, world.peerNames))
        #expect(chain.result == "pass", "\(chain)")
        #expect(try world.verdicts(of: message) == [true])
    }

    @Test(arguments: [Self.rsa, Self.ed25519])
    func `what dkimpy signed arrives with our results and our seal, which others verify`(key: String) throws {
        let world = try self.world()
        let sent = try world.signed(AuthenticationWorld.message(from: "a@good.test"), by: key)
        #expect(try world.send(sent, from: "a@good.test").code == 250)
        let message = try world.arrived()
        try self.check(message, sent, world)
        let read = try message.results()
        let dkim = try #require(zip(read.methods, read.properties).first { $0.0 == "dkim=pass" }).1
        #expect(dkim["header.d"] == "good.test")
        let dmarc = try #require(zip(read.methods, read.properties).first { $0.0 == "dmarc=pass" }).1
        #expect(dmarc["header.from"] == "good.test")
        let line = try world.postern.event("queued") { $0["from"] == "a@good.test" }
        #expect(line.description.contains("spf=pass dkim=pass arc=none dmarc=pass"), "\(line)")
    }

    @Test func `what opendkim signed does, too, and opendkim still finds its signature`() throws {
        let world = try self.world()
        let key = try #require(world.keys[Self.rsa])
        let content = AuthenticationWorld.message(from: "a@good.test")
        for (number, form) in ["relaxed/relaxed", "simple/simple"].enumerated() {
            let field = try OpenDKIM.sign(
                content, selector: key.selector, domain: key.domain, key: key.pem, canonicalization: form)
            let sent = Array(field.utf8) + content
            #expect(try world.send(sent, from: "a@good.test").code == 250)
            let message = try world.arrived(number + 1)
            try self.check(message, sent, world)
            #expect(try world.openDKIM(message) == ["pass"])
        }
    }

    @Test func `a long message that waited over a kill still has its fields on top`() throws {
        let down = try Endpoint.free()
        let world = try self.world(primary: down)
        let body = (0..<9000).map { "line \($0) of a body that goes to the queue in pieces\r\n" }.joined()
        let sent = try world.signed(AuthenticationWorld.message(from: "a@good.test", body: body), by: Self.rsa)
        #expect(sent.count > 400_000)
        #expect(try world.send(sent, from: "a@good.test").code == 250)
        world.postern.kill()
        _ = try world.postern.waitForEnd()
        try world.postern.start()
        let sink = try SMTPSink(port: down.port, keepsMessages: true)
        try self.check(try world.arrived(at: sink), sent, world)
        try world.postern.waitUntilEmpty()
    }

    @Test func `a chain of others is continued`() throws {
        let world = try self.world()
        let results = Array("Authentication-Results: good.test; dkim=none; spf=pass smtp.mailfrom=a@x.test\r\n".utf8)
        let content = results + AuthenticationWorld.message(from: "a@good.test")
        let fields = try #require(
            try PythonAuthentication.ask(.arcSign(content, world.plan(Self.rsa), server: "good.test")).fields)
        let sent = Array(fields.joined().utf8) + content
        #expect(try world.send(sent, from: "a@good.test").code == 250)
        let message = try world.arrived()
        #expect(Array(message.names.prefix(6)) == Self.added)
        #expect(message.all("ARC-Seal").count == 2)
        #expect(try message.results().methods.contains("arc=pass"))
        #expect(try PythonAuthentication.ask(.arcVerify(message.bytes, world.peerNames)).result == "pass")
        // Who changes something behind us breaks what we sealed.
        let changed = Array(message.text.replacing("world", with: "World").utf8)
        #expect(try PythonAuthentication.ask(.arcVerify(changed, world.peerNames)).result == "fail")
    }

    @Test func `a chain that somebody broke is said to be, once, and the message still arrives`() throws {
        let world = try self.world()
        let results = Array("Authentication-Results: good.test; spf=pass smtp.mailfrom=a@x.test\r\n".utf8)
        let content = results + AuthenticationWorld.message(from: "a@good.test")
        let fields = try #require(
            try PythonAuthentication.ask(.arcSign(content, world.plan(Self.rsa), server: "good.test")).fields)
        let broken = Array(fields.joined().utf8) + content + Array("more\r\n".utf8)
        #expect(try world.send(broken, from: "a@good.test").code == 250)
        let message = try world.arrived()
        #expect(try message.results().methods.contains("arc=fail") && message.results().methods.contains("dmarc=pass"))
        #expect(message.all("ARC-Seal").map { $0.contains("cv=fail") } == [true, false], "\(message.text)")
        let chain = try PythonAuthentication.ask(.arcVerify(message.bytes, world.peerNames))
        #expect(chain.result != "pass" && chain.reason?.contains("ARC-Seal[2] reported failure") == true, "\(chain)")
        // Who gets that once more has nothing to add to it.
        #expect(try world.send(message.bytes, from: "a@good.test").code == 250)
        let again = try world.arrived(2)
        #expect(again.names.first == "Authentication-Results" && again.all("ARC-Seal").count == 2)
        #expect(try again.results().methods.contains("arc=fail"))
    }

    @Test func `results that others claim to be ours do not arrive, and theirs do as they were`() throws {
        let world = try self.world()
        let forged = [
            "Authentication-Results: mx2.example.test; dmarc=pass forged=1\r\n",
            "AUTHENTICATION-results \t : MX2.Example.TEST;\r\n\tdmarc=pass\r\n\tforged=2\r\n",
            "authentication-results:\r\n (a \\) comment)\r\n mx2.example.test 1;\r\n spf=pass forged=3\r\n",
            "Authentication-Results: \"mx2.example.test\"; none forged=4\r\n",
        ]
        let foreign = [
            "authentication-results  :  other.test;\r\n \t spf=pass smtp.mailfrom=x@y.test  \r\n",
            "Authentication-Results: mx2.example.test.other.test; dkim=pass\r\n",
            "X-Authentication-Results: mx2.example.test; dkim=pass\r\n",
        ]
        let content = String(decoding: AuthenticationWorld.message(from: "a@good.test"), as: UTF8.self)
        let head = zip(forged, foreign).map { $0 + $1 }.joined() + forged[3]
        #expect(try world.send(Array((head + content).utf8), from: "a@good.test").code == 250)
        let message = try world.arrived()
        #expect(!message.text.contains("forged"), "\(message.text)")
        #expect(message.text.hasSuffix(foreign.joined() + content), "\(message.text)")
        #expect(message.all("Authentication-Results").count { $0.contains("mx2.example.test;") } == 1)
        // dkimpy reads no blanks in front of a colon. That field is not among those that are signed.
        let plain = message.text.replacing("authentication-results  :", with: "authentication-results:")
        let chain = try PythonAuthentication.ask(.arcVerify(Array(plain.utf8), world.peerNames))
        #expect(chain.result == "pass", "\(chain)")
    }
}
