import Foundation
import Harness
import Testing

/// Keys and settings that change, and a daemon that ends, while mail is authenticated.
@Suite(.serialized) struct AuthenticationChangeTests {
    private static let first = "one._domainkey.relay.test"
    private static let second = "two._domainkey.relay.test"

    private func configure(_ world: AuthenticationWorld, _ seal: String) throws {
        let text = world.postern.file("postern.yaml")
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("  arc:") ? "  arc: {seal: \(seal)}" : String(line)
        }
        try world.postern.rewrite("postern.yaml", lines.joined(separator: "\n"))
    }

    private func selector(_ world: AuthenticationWorld, _ count: Int) throws -> String? {
        #expect(try world.send(AuthenticationWorld.message(from: "a@good.test"), from: "a@good.test").code == 250)
        let message = try world.arrived(count)
        #expect(try PythonAuthentication.ask(.arcVerify(message.bytes, world.peerNames)).result == "pass")
        return message.all("ARC-Seal").first?.firstMatch(of: /s=([a-z]+)/).map { String($0.1) }
    }

    @Test func `a key is changed by a reload, and one that is not safe is refused`() throws {
        let world = try AuthenticationWorld(
            keys: [Self.first, Self.second], authentication: { "arc: {seal: \($0[Self.first]?.settings ?? "")}" })
        #expect(try self.selector(world, 1) == "one")
        let second = try #require(world.keys[Self.second])
        try self.configure(world, second.settings)
        #expect(chmod(second.file, 0o644) == 0)
        let refused = try world.postern.command("reload")
        #expect(refused.ending == .exited(1) && (refused.output + refused.errors).contains(second.file), "\(refused)")
        #expect(try world.postern.command("check").ending != .exited(0))
        #expect(try self.selector(world, 2) == "one")
        #expect(chmod(second.file, 0o600) == 0)
        #expect(try world.postern.command("reload").ending == .exited(0))
        #expect(try self.selector(world, 3) == "two")
        #expect(try world.postern.command("rollback").ending == .exited(0))
        #expect(try self.selector(world, 4) == "one")
    }

    /// A client that has sent all of a message whose author cannot be asked about.
    private func waiting(_ world: AuthenticationWorld) throws -> SMTPClient {
        let client = try SMTPClient(world.postern.address, from: AuthenticationWorld.sender)
        _ = try client.reply()
        for line in ["EHLO mail.good.test", "MAIL FROM:<a@silent.test>", "RCPT TO:<user@example.test>", "DATA"] {
            try client.command(line)
        }
        try client.send(AuthenticationWorld.message(from: "a@silent.test") + Array(".\r\n".utf8))
        return client
    }

    @Test func `a message whose names are asked for is taken before the daemon ends, or not at all`() throws {
        let down = try Endpoint.free()
        let world = try AuthenticationWorld(silent: ["silent.test"], primary: down)
        let client = try self.waiting(world)
        world.postern.signal(SIGTERM)
        #expect(try client.reply().code == 250)
        #expect(try world.postern.waitForEnd() == .exited(0))
        try world.postern.start()
        #expect(try world.postern.queued() == 1)

        let other = try self.waiting(world)
        world.postern.kill()
        _ = try? other.readToEnd()
        _ = try world.postern.waitForEnd()
        try world.postern.start()
        #expect(try world.postern.queued() == 1)

        // Who goes away before the answer may come again; the daemon minds neither.
        let gone = try self.waiting(world)
        try gone.abort()
        #expect(try world.send(AuthenticationWorld.message(from: "a@good.test"), from: "a@good.test").code == 250)
        #expect(try world.postern.stop() == .exited(0))
        try world.postern.start()
        let sink = try SMTPSink(port: down.port, keepsMessages: true)
        try world.postern.waitUntilEmpty()
        let results = try sink.messages().map {
            try ReceivedMessage($0).results().methods.first { $0.hasPrefix("dmarc=") }
        }
        #expect(results.contains("dmarc=pass") && results.filter { $0 == "dmarc=temperror" }.count >= 1, "\(results)")
    }
}
