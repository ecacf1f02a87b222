import Foundation
import Harness
import Testing

/// What follows from DMARC, in the session and in the queue.
@Suite(.serialized) struct AuthenticationPolicyTests {
    private static let records = """
        quarantine.test. TXT "v=spf1 -all"
        _dmarc.quarantine.test. TXT "v=DMARC1; p=quarantine"
        sampled.test. TXT "v=spf1 -all"
        _dmarc.sampled.test. TXT "v=DMARC1; p=reject; pct=0"
        parent.test. TXT "v=spf1 -all"
        _dmarc.parent.test. TXT "v=DMARC1; p=none; sp=reject"
        list.test. TXT "v=spf1 ip4:127.0.0.5 -all"
        """
    private static let list = "list._domainkey.list.test"
    private static let author = "author._domainkey.reject.test"

    private func world(_ settings: String = "", keys: [String] = []) throws -> AuthenticationWorld {
        try AuthenticationWorld(keys: keys, records: Self.records, authentication: { _ in settings })
    }

    private func send(
        _ world: AuthenticationWorld, from author: String, client: String = AuthenticationWorld.stranger
    ) throws -> SMTPClient.Reply {
        try world.send(
            AuthenticationWorld.message(from: author), from: "x@good.test", client: client, helo: "other.test")
    }

    @Test func `what fails where the domain says reject is refused at its end, and the log says why`() throws {
        let world = try self.world()
        let reply = try self.send(world, from: "a@reject.test")
        #expect(reply.code == 550 && reply.text.hasPrefix("5.7.1 The message is not from reject.test"), "\(reply)")
        let line = try world.postern.event("refused", "by DMARC") { $0["list"] == "dmarc" }
        let reference = try #require(line["ref"])
        #expect(reply.text.hasSuffix("[ref \(reference)]"), "\(reply)")
        #expect(line["restriction"] == "policy reject" && line["key"] == "reject.test", "\(line)")
        #expect(line["value"] == "published at _dmarc.reject.test", "\(line)")
        #expect(line["facts"]?.contains("spf=fail for good.test") == true, "\(line)")
        #expect(try world.postern.queued() == 0)
        // The session goes on, and what is theirs comes in.
        #expect(try self.send(world, from: "a@good.test", client: AuthenticationWorld.sender).code == 250)
        #expect(try world.arrived().results().methods.contains("dmarc=pass"))
        #expect(world.postern.events("queued").count == 1)
    }

    @Test func `quarantine marks, or holds where that is wanted`() throws {
        let marking = try self.world()
        #expect(try self.send(marking, from: "a@quarantine.test").code == 250)
        #expect(try marking.arrived().results().methods.contains("dmarc=fail"))
        let holding = try self.world("dmarc: {quarantine: hold}")
        #expect(try self.send(holding, from: "a@quarantine.test").code == 250)
        let held = try holding.postern.command("queue", "list", "--state", "held").output
        #expect(held.split(separator: "\n").count == 1, "\(held)")
        let line = try holding.postern.event("noted", "of the hold") { $0["list"] == "dmarc" }
        #expect(line["key"] == "quarantine.test", "\(line)")
        let id = try #require(held.split(separator: " ").first.map(String.init))
        try holding.postern.command("queue", "release", id)
        #expect(try holding.arrived().results().methods.contains("dmarc=fail"))
        // Without rejecting, reject is quarantine.
        let mild = try self.world("dmarc: {reject: false, quarantine: hold}")
        #expect(try self.send(mild, from: "a@reject.test").code == 250)
        #expect(try mild.postern.command("queue", "list", "--state", "held").output.contains("user@example.test"))
    }

    @Test func `pct, sp, and overrides decide what is applied`() throws {
        let world = try self.world("dmarc: {overrides: {excused.reject.test: none, parent.test: quarantine}}")
        let codes = try ["a@sampled.test", "a@excused.reject.test", "a@sub.excused.reject.test", "a@sub.parent.test"]
            .map { try self.send(world, from: $0).code }
        #expect(codes == [250, 250, 250, 250])
        #expect(try self.send(world, from: "a@sub.reject.test").code == 550)
        try world.sink.wait(for: 4)
        for message in try world.sink.messages() {
            #expect(try ReceivedMessage(message).results().methods.contains("dmarc=fail"))
        }
        let strict = try self.world("dmarc: {overrides: {parent.test: none, open.test: reject}}")
        #expect(try self.send(strict, from: "a@parent.test").code == 250)
        #expect(try self.send(strict, from: "a@open.test").code == 550)
        let plain = try self.world()
        #expect(try self.send(plain, from: "a@parent.test").code == 250)
        #expect(try self.send(plain, from: "a@sub.parent.test").code == 550)
    }

    @Test func `exempt clients are believed, and what was found is still told`() throws {
        let world = try AuthenticationWorld(
            records: Self.records, authentication: { _ in "exempt: [\"inline:{127.0.0.9=OK}\"]" })
        #expect(try self.send(world, from: "a@reject.test").code == 250)
        #expect(try world.arrived().results().methods.contains("dmarc=fail"))
        #expect(try self.send(world, from: "a@reject.test", client: "127.0.0.10").code == 550)
    }

    /// A message that passed at a list, which changed it and sealed that it had passed.
    private func fromList(_ world: AuthenticationWorld, results: String) throws -> [UInt8] {
        let sent = try world.signed(AuthenticationWorld.message(from: "a@reject.test"), by: Self.author)
        let changed = Array(String(decoding: sent, as: UTF8.self).utf8) + Array("-- \r\nThe list\r\n".utf8)
        let content = Array("Authentication-Results: mx.list.test; \(results)\r\n".utf8) + changed
        let fields = try PythonAuthentication.ask(.arcSign(content, world.plan(Self.list), server: "mx.list.test"))
        return Array(try #require(fields.fields, "\(fields)").joined().utf8) + content
    }

    @Test func `a trusted list's seal saves what it changed, and nobody else's does`() throws {
        let keys = [Self.list, Self.author]
        let trusting = try self.world("arc: {trusted_sealers: [list.test]}", keys: keys)
        let passed = "dkim=pass header.d=reject.test; dmarc=pass header.from=reject.test"
        let sent = try self.fromList(trusting, results: passed)
        let send = { (world: AuthenticationWorld, message: [UInt8]) in
            try world.send(message, from: "bounces@list.test", client: AuthenticationWorld.stranger)
        }
        #expect(try send(trusting, sent).code == 250)
        let message = try trusting.arrived()
        #expect(Set(try message.results().methods).isSuperset(of: ["dmarc=fail", "arc=pass"]))
        #expect(message.text.contains("dkim=fail"))
        // What the list itself found wanting it does not vouch for.
        #expect(
            try send(trusting, try self.fromList(trusting, results: "dmarc=fail header.from=reject.test")).code == 550)
        // Changed once more on the way.
        #expect(try send(trusting, sent + Array("more\r\n".utf8)).code == 550)
        let distrusting = try self.world("arc: {trusted_sealers: [other.test]}", keys: keys)
        #expect(try send(distrusting, try self.fromList(distrusting, results: passed)).code == 550)
    }

    @Test func `while name servers do not answer mail comes in marked, or again later, and is never refused for good`()
        throws
    {
        let marking = try AuthenticationWorld(silent: ["silent.test"])
        #expect(try self.send(marking, from: "a@silent.test").code == 250)
        #expect(try marking.arrived().results().methods.contains("dmarc=temperror"))
        let deferring = try AuthenticationWorld(
            authentication: { _ in "dmarc: {temperror: defer}" }, silent: ["silent.test"])
        let reply = try self.send(deferring, from: "a@silent.test")
        #expect(reply.code == 451 && reply.text.hasPrefix("4.7.1 Whether the message is from silent.test"), "\(reply)")
        #expect(try deferring.postern.queued() == 0)
        #expect(try self.send(deferring, from: "a@good.test", client: AuthenticationWorld.sender).code == 250)
        // Without any server, too: neither refused nor believed.
        try deferring.server.stop()
        let silent = try self.send(deferring, from: "a@unknown.test")
        #expect(silent.code == 451, "\(silent)")
    }

    @Test func `a From that names no domain, or several, is marked, held or rejected as is set`() throws {
        let malformed = [
            "From: a@good.test\r\nFrom: b@good.test\r\n", "Subject: x\r\n", "From: \r\n", "From: undisclosed:;\r\n",
            "From: <a@[127.0.0.5]>\r\n",
        ]
        for (setting, code) in [("mark", 250), ("hold", 250), ("reject", 550)] {
            let world = try self.world("dmarc: {malformed_from: \(setting)}")
            for head in malformed {
                let reply = try world.send(Array("\(head)\r\nx\r\n".utf8), from: "x@good.test")
                #expect(reply.code == code && (code == 250 || reply.text.hasPrefix("5.6.0 ")), "\(head): \(reply)")
            }
            let held = try world.postern.command("queue", "list", "--state", "held").output.split(separator: "\n")
            #expect(held.count == (setting == "hold" ? malformed.count : 0))
            guard setting == "mark" else { continue }
            try world.sink.wait(for: malformed.count)
            for message in try world.sink.messages() {
                #expect(try ReceivedMessage(message).results().methods.contains("dmarc=permerror"))
            }
        }
    }

    @Test func `whoever is named in From, however it is written, his domain decides`() throws {
        let world = try self.world()
        let writings = [
            "From: \"a@good.test\" <x@reject.test>", "From: <a@reject.test>, ", "From : a@reject.test",
            "FROM\t:a@REJECT.Test", "From: (a@good.test) a@reject.test (b@good.test)", "From:\r\n a@reject.test",
            "From: a@good.test <b@reject.test>", "no field\r\nFrom: a@reject.test",
            "From: a@good.test, b@reject.test",
            "Sender: a@good.test\r\nFrom: =?utf-8?q?a=40good.test?= <b@reject.test>",
        ]
        for writing in writings {
            let reply = try world.send(Array("\(writing)\r\n\r\nx\r\n".utf8), from: "x@good.test")
            #expect(reply.code == 550 && reply.text.contains("reject.test"), "\(writing): \(reply)")
        }
        #expect(try world.postern.queued() == 0 && world.sink.count == 0)
    }

    @Test func `by the tree walk policies of names between are found`() throws {
        let records = """
            _dmarc.tree.test. TXT "v=DMARC1; p=none; np=reject"
            _dmarc.middle.tree.test. TXT "v=DMARC1; p=reject; psd=n"
            leaf.middle.tree.test. A 192.0.2.1
            there.tree.test. A 192.0.2.1
            """
        for (setting, codes) in [("true", [550, 250, 550]), ("false", [250, 250, 550])] {
            let world = try AuthenticationWorld(
                records: records, authentication: { _ in "dmarc: {tree_walk: \(setting)}" })
            let authors = ["a@leaf.middle.tree.test", "a@there.tree.test", "a@nowhere.tree.test"]
            #expect(try authors.map { try self.send(world, from: $0).code } == codes, "tree_walk: \(setting)")
        }
    }
}
