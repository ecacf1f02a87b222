import Foundation
import Harness
import Testing

/// `greylist` in a list of restrictions, through the port.
@Suite(.serialized) struct AuthenticationGreylistTests {
    private func world(_ greylist: String) throws -> AuthenticationWorld {
        try AuthenticationWorld(more: "restrictions: {recipient: [greylist]}\ngreylist: {\(greylist)}\n")
    }

    private func send(
        _ world: AuthenticationWorld, from sender: String, client: String = AuthenticationWorld.stranger
    ) throws -> SMTPClient.Reply {
        try world.send(AuthenticationWorld.message(from: sender), from: sender, client: client)
    }

    private func status(_ postern: PosternProcess) throws -> [String: Any] {
        try #require(try postern.json("status")["greylist"] as? [String: Any])
    }

    @Test func `who was never seen comes again, but for domains that SPF vouches for`() throws {
        let world = try self.world("spf_pass_domains: [good.test]")
        let first = try self.send(world, from: "s@other.test")
        #expect(
            first.description.hasPrefix(
                "450 4.2.0 <user@example.test>: Recipient address rejected: Greylisted, try again in 300 seconds"),
            "\(first)")
        let line = try world.postern.event("refused") { $0["restriction"] == "greylist" }
        #expect(line["from"] == "s@other.test" && line["value"] == "not seen before", "\(line)")
        #expect(try self.send(world, from: "s@good.test", client: AuthenticationWorld.sender).code == 250)
        // In its name, but not from there.
        #expect(try self.send(world, from: "s@good.test").code == 450)
        #expect(try world.arrived().results().methods.first == "spf=pass")
        let status = try self.status(world.postern)
        #expect(status["entries"] as? Int == 2 && status["delayed"] as? Int == 2, "\(status)")
        #expect(status["passed"] as? Int == 1, "\(status)")
    }

    @Test func `who has waited is let in, and is known after a restart, as is who has not`() throws {
        let world = try self.world("delay: 2s, auto_allow: 0")
        #expect(try self.send(world, from: "patient@other.test").code == 450)
        try eventually("the end of the delay") {
            try self.send(world, from: "patient@other.test").code == 250
        }
        #expect(try self.send(world, from: "new@other.test").code == 450)
        try world.postern.stop()
        try world.postern.start()
        // Two mails, and their network.
        let status = try self.status(world.postern)
        #expect(status["entries"] as? Int == 3 && status["delayed"] as? Int == 0, "\(status)")
        #expect(try self.send(world, from: "patient@other.test").code == 250)
        _ = try self.send(world, from: "new@other.test")
        #expect(!world.postern.events("refused").contains { $0["value"] == "not seen before" })
    }
}
