import Authentication
import LibSPF2
import Mail
import Synchronization
import Testing

/// libspf2 as the engine, and the pool that it runs on.
struct SPFEngineTests {
    private static let check = SPFCheck(
        client: .v4(0xC000_0201), helo: "mail.example.test", reversePath: "user@example.test", receiver: "mx.test",
        time: Timestamp(seconds: 1))

    private static func result(_ names: NameSource, _ check: SPFCheck = Self.check) async throws -> SPFResult {
        let engine = try SPFEngine.libspf2(threads: 1)
        let result = await engine.check(check, identity: .mailFrom, names: names)
        engine.close()
        return result
    }

    /// Small random worlds, the same each time.
    @Test func `Both engines agree`() async throws {
        let engine = try SPFEngine.libspf2(threads: 1)
        var world = RandomWorld(seed: 1)
        var counts: [SPFResult.Kind: Int] = [:]
        for round in 0..<3000 {
            let zone = world.next()
            let client = world.client()
            let check = SPFCheck(
                client: client, helo: "n1.test", reversePath: "a-b@n0.test", time: Timestamp(seconds: 1))
            let ours = await check.check(identity: .mailFrom, names: TestNames(zone).source)
            let theirs = await engine.check(check, identity: .mailFrom, names: TestNames(zone).source)
            counts[ours.result, default: 0] += 1
            let records = zone.compactMap { query, reply in
                if case .texts(let texts) = reply {
                    "\(query.name) \(String(decoding: texts[0], as: UTF8.self))"
                } else {
                    nil
                }
            }
            #expect(ours.result == theirs.result, "\(round), \(client): \(records.sorted()) \(ours) \(theirs)")
            #expect(ours.explanation == theirs.explanation, "\(round), \(client): \(records.sorted())")
            if ours.result != .permerror, ours.result != .temperror {
                #expect(ours.lookups == theirs.lookups, "\(round), \(client): \(records.sorted())")
                #expect(ours.voidLookups == theirs.voidLookups, "\(round), \(client): \(records.sorted())")
            }
        }
        engine.close()
        // The worlds are such that everything happens often.
        for kind in SPFResult.Kind.allCases where kind != .none { #expect(counts[kind, default: 0] > 50, "\(counts)") }
    }

    /// What libspf2 alone would ask on and on for, or write over its memory with.
    @Test func `libspf2 is held to the same limits`() async throws {
        let many = (0..<11).map { "m\($0).test" }
        let worlds: [(String, [NameQuery: NameReply], SPFResult.Kind)] = [
            ("include:example.test", [:], .permerror), ("include:r.test", [:], .permerror),
            ((0..<11).map { _ in "include:i.test" }.joined(separator: " "), [:], .permerror),
            ("include:j.test include:j.test include:j.test", [:], .permerror), ("a:1.test a:2.test", [:], .fail),
            ("a:1.test a:2.test a:3.test a:4.test a:5.test", [:], .permerror), ("mx", [:], .permerror),
            ("ptr", [:], .fail),
            ("exists:\(String(repeating: "%{S}%{d2r+-}%{h99}", count: 200)).test", [:], .fail),
            ("a:\(String(repeating: "x", count: 3000)).test", [:], .fail), ("a:%{l1000}.%{i20r=}.a/0//0", [:], .fail),
            ("exists:%{L}.test", [NameQuery("a%252b.test", .a): .addresses([.v4(1)])], .fail), ("%{d", [:], .permerror),
        ]
        for (terms, more, expected) in worlds {
            var zone = more
            zone[NameQuery("example.test", .txt)] = text("v=spf1 \(terms) -all exp=e.%{o}")
            zone[NameQuery("e.example.test", .txt)] = text(String(repeating: "%{S}%{h3r} %%%-", count: 300))
            zone[NameQuery("r.test", .txt)] = text("v=spf1 redirect=r.test")
            zone[NameQuery("i.test", .txt)] = text("v=spf1 ip4:198.51.100.1")
            zone[NameQuery("j.test", .txt)] = text("v=spf1 a:m0.test a:m0.test a:m0.test a:m0.test")
            zone[NameQuery("example.test", .mx)] = .hosts(many)
            zone[NameQuery("1.2.0.192.in-addr.arpa", .ptr)] = .hosts(many)
            for host in many { zone[NameQuery(host, .a)] = .addresses([.v4(1)]) }
            let names = TestNames(zone)
            let result = try await Self.result(names.source)
            #expect(result.result == expected, "\(terms.prefix(80)): \(result)")
            #expect(names.questions.count <= 13, "\(terms.prefix(80)): \(names.questions)")
            #expect(await Self.check.check(identity: .mailFrom, names: names.source).result == expected)
        }
    }

    /// libspf2 keeps 511 octets of a record in its own form.
    @Test func `What libspf2 has no room for is permerror, and not cut`() async throws {
        for count in [10, 20, 40, 41, 42, 43, 50, 63, 64, 100, 128, 255, 256, 1000] {
            let record = "v=spf1 " + String(repeating: "ip4:198.51.100.1 ", count: count) + "-all"
            let result = try await Self.result(TestNames(texts: ["example.test": record]).source)
            #expect(result.result == .fail || result.result == .permerror && count > 40, "\(count): \(result)")
        }
    }

    /// A known difference that cannot be turned off.
    @Test func `A client of the loopback network passes without a question`() async throws {
        let names = TestNames(texts: ["example.test": "v=spf1 -all"])
        let check = SPFCheck(
            client: .v4(0x7F00_0001), helo: "x", reversePath: "user@example.test", time: Timestamp(seconds: 1))
        let result = try await Self.result(names.source, check)
        #expect(result.result == .pass)
        #expect(names.questions.isEmpty)
        #expect(await check.check(identity: .mailFrom, names: names.source).result == .fail)
    }

    /// Otherwise the thread would wait for ever.
    @Test(.timeLimit(.minutes(1))) func `A check that is cancelled lets go of its thread`() async throws {
        let engine = try SPFEngine.libspf2(threads: 1)
        let (asked, feed) = AsyncStream.makeStream(of: Void.self)
        let (never, hold) = AsyncStream.makeStream(of: Void.self)
        defer { hold.finish() }
        let task = Task {
            await engine.check(
                Self.check, identity: .mailFrom,
                names: NameSource { _ in
                    feed.yield(())
                    // Until it is cancelled.
                    for await _ in never {}
                    return .failed("cancelled")
                })
        }
        for await _ in asked { break }
        task.cancel()
        #expect(await task.value.result == .temperror)
        let names = TestNames(texts: ["example.test": "v=spf1 -all"])
        #expect(await engine.check(Self.check, identity: .mailFrom, names: names.source).result == .fail)
        engine.close()
        #expect(await engine.check(Self.check, identity: .mailFrom, names: names.source).result == .temperror)
    }

    /// Slow senders hold all threads; the others must not wait for them without end.
    @Test(.timeLimit(.minutes(1))) func `A check that no thread takes is given up`() async throws {
        let engine = try SPFEngine.libspf2(threads: 1, patience: .milliseconds(20))
        defer { engine.close() }
        let (asked, feed) = AsyncStream.makeStream(of: Void.self)
        let (never, hold) = AsyncStream.makeStream(of: Void.self)
        let slow = Task {
            await engine.check(
                Self.check, identity: .mailFrom,
                names: NameSource { _ in
                    feed.yield(())
                    for await _ in never {}
                    return .noSuchName
                })
        }
        for await _ in asked { break }
        let names = TestNames(texts: ["example.test": "v=spf1 -all"])
        let result = await engine.check(Self.check, identity: .mailFrom, names: names.source)
        #expect(result.result == .temperror && result.why == "all threads are busy")
        #expect(names.questions.isEmpty)
        // Who has a thread is not given up.
        hold.finish()
        #expect(await slow.value.result == .none)
        #expect(await engine.check(Self.check, identity: .mailFrom, names: names.source).result == .fail)
    }

    @Test func `The time of a check begins with its first question`() async throws {
        let start = ContinuousClock.now
        let now = Mutex(start)
        let names = NameSource { _ in .noRecords }.lasting(.seconds(20)) { now.withLock { $0 } }
        var replies: [NameReply] = []
        for seconds in [100, 119, 120] {
            now.withLock { $0 = start + .seconds(seconds) }
            replies.append(await names.ask(NameQuery("a.test", .a)))
        }
        #expect(replies == [.noRecords, .noRecords, .failed("out of time")])
    }

    /// Both names are looked at, one behind the other: what the first takes is not taken from the second.
    @Test(.timeLimit(.minutes(1))) func `Waiting for a thread costs no time of a check`() async throws {
        let engine = try SPFEngine.libspf2(threads: 1)
        defer { engine.close() }
        let now = Mutex(ContinuousClock.now)
        let names = NameSource { _ in
            now.withLock { $0 += .seconds(19) }
            return .texts([Array("v=spf1 -all".utf8)])
        }
        let policy = SPFPolicy(
            SPFOptions(), receiver: "mx.example.test", clock: { now.withLock { $0 } }, engine: engine)
        let client = AuthenticatedClient(
            address: .v4(0xC000_0201), helo: "mail.example.test",
            reversePath: .mailbox(try #require(Mailbox("a@example.test"))))
        for _ in 0..<20 {
            let finding = await policy.finding(on: client, names: names, at: Timestamp(seconds: 1))
            #expect(finding.helo?.result == .fail && finding.mailFrom.result == .fail)
        }
    }

    // MARK: The pool alone

    private static func verdict(
        _ limits: PolicyLimits = PolicyLimits(), _ lookup: @escaping @Sendable (PolicyQuestion) -> PolicyAnswer
    ) async throws -> PolicyVerdict? {
        let pool = try PolicyPool(threads: 1)
        let verdict = await withCheckedContinuation { continuation in
            pool.evaluate("example.test", for: .v4(0xC000_0201), limits: limits, lookup: lookup) {
                continuation.resume(returning: $0)
            }
        }
        pool.close()
        return verdict
    }

    @Test func `The pool asks its closure and gives libspf2's verdict`() async throws {
        let verdict = try await Self.verdict { question in
            switch (question.name, question.kind) {
            case ("example.test", .txt): .texts([Array("v=spf1 mx:m.test -all".utf8)])
            case ("m.test", .mx): .names(["h.test"])
            case ("h.test", .a): .v4([0xC000_0201])
            default: .noSuchName
            }
        }
        #expect(verdict?.result == .pass)
    }

    @Test func `Beyond its limits an evaluation gets no answers`() async throws {
        let text: @Sendable (PolicyQuestion) -> PolicyAnswer = { _ in .texts([Array("v=spf1 include:b.test all".utf8)])
        }
        var limits = PolicyLimits()
        #expect(try await Self.verdict(limits, text)?.result == .permanentError)
        limits.questions = 1
        #expect(try await Self.verdict(limits, text)?.result == .temporaryError)
        limits = PolicyLimits()
        limits.time = .zero
        #expect(try await Self.verdict(limits, text)?.result == .temporaryError)
        limits = PolicyLimits()
        limits.textBytes = 10
        #expect(try await Self.verdict(limits, text)?.result == .temporaryError)
    }
}

/// Zones of a handful of names with random policies, of which most are right.
private struct RandomWorld {
    private var state: UInt64
    private static let qualifiers = ["", "", "-", "~", "?"]
    private static let networks = ["192.0.2.1", "192.0.2.0/24", "192.0.2.0/0", "198.51.100.0/25", "10.0.0.0/8"]
    private static let networks6 = ["2001:db8::/32", "2001:db8::1", "::/0", "fe80::/10", "::ffff:192.0.2.1"]
    private static let lengths = ["", "", "", "/24", "/0", "//64", "/16//0"]
    private static let macros = [
        "%{d}", "%{o}", "%{l1r-}.%{d2}", "%{ir}.x.test", "%{h}", "%{d5r}.test", "%{p}.test", "a..test",
    ]

    init(seed: UInt64) { self.state = seed }

    /// SplitMix64.
    private mutating func random(_ limit: Int) -> Int {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var word = self.state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((word ^ (word >> 31)) % UInt64(limit))
    }

    private mutating func pick<Value>(_ list: [Value]) -> Value { list[self.random(list.count)] }

    mutating func client() -> IPAddress {
        self.pick([.v4(0xC000_0201), .v4(0xC633_6401), .v6(high: 0x2001_0DB8_0000_0000, low: 1)])
    }

    private mutating func name() -> String { "n\(self.random(6)).test" }

    private mutating func domain() -> String { self.random(4) == 0 ? self.pick(Self.macros) : self.name() }

    private mutating func mechanism() -> String {
        switch self.random(12) {
        case 0, 1: "ip4:\(self.pick(Self.networks))"
        case 2: "ip6:\(self.pick(Self.networks6))"
        case 3: "a\(self.pick(Self.lengths))"
        case 4, 5: "a:\(self.domain())\(self.pick(Self.lengths))"
        case 6: "mx:\(self.domain())\(self.pick(Self.lengths))"
        case 7, 8: "include:\(self.domain())"
        case 9: "exists:\(self.domain())"
        case 10: self.pick(["ptr", "ptr:test", "ptr:n2.test", "mx"])
        default: self.random(3) == 0 ? "all" : "ip4:203.0.113.1"
        }
    }

    private mutating func record() -> String {
        var terms = (0..<self.random(5)).map { _ in self.pick(Self.qualifiers) + self.mechanism() }
        switch self.random(6) {
        case 0: terms.append("redirect=\(self.domain())")
        case 1: terms.insert("exp=e.\(self.name())", at: 0)
        case 2: terms.append("x=y")
        default: break
        }
        if self.random(2) == 0 { terms.append(self.pick(Self.qualifiers) + "all") }
        if self.random(60) == 0 { terms.append("oops") }
        return (["v=spf1"] + terms).joined(separator: " ")
    }

    private mutating func addresses() -> [IPAddress] {
        (0...self.random(2)).map { _ in self.random(3) == 0 ? .v4(0xC000_0200 + UInt32(self.random(3))) : .v4(7) }
    }

    mutating func next() -> [NameQuery: NameReply] {
        var zone: [NameQuery: NameReply] = [:]
        for number in 0..<6 {
            let name = "n\(number).test"
            if number == 0 || self.random(8) > 0 { zone[NameQuery(name, .txt)] = text(self.record()) }
            zone[NameQuery("e.\(name)", .txt)] = text("see %{d} and %{c}")
            if self.random(4) > 0 { zone[NameQuery(name, .a)] = .addresses(self.addresses()) }
            if self.random(2) > 0 {
                zone[NameQuery(name, .aaaa)] = .addresses([
                    .v6(high: 0x2001_0DB8_0000_0000, low: UInt64(self.random(3)))
                ])
            }
            if self.random(40) == 0 { zone[NameQuery(name, self.pick([.a, .txt, .mx]))] = .failed("timeout") }
            if self.random(2) > 0 { zone[NameQuery(name, .mx)] = .hosts((0...self.random(3)).map { _ in self.name() }) }
        }
        let hosts = (0...self.random(3)).map { _ in self.name() }
        for name in ["1.2.0.192.in-addr.arpa", "1.100.51.198.in-addr.arpa"] {
            zone[NameQuery(name, .ptr)] = .hosts(hosts)
        }
        return zone
    }
}
