import Foundation
import NIOCore
import NIOPosix
import Resolver
import Synchronization
import Testing

/// Against servers that misbehave, and the life of the resolver itself.
@Suite(.timeLimit(.minutes(1)))
struct UnboundResolverTests {
    private static let address: FakeServer.Response = .record(ttl: 300, [192, 0, 2, 1])
    private static let records: [DNSRecord] = [.a(0xC000_0201)]

    // MARK: - Servers

    @Test func `A server that never answers is a timeout, in our time`() async throws {
        let server = try await FakeServer { _ in .silence }
        let resolver = try UnboundResolver(ports: server.port) { $0.timeout = .milliseconds(200) }
        let start = ContinuousClock.now
        #expect(await resolver.outcome("dead.example", .a) == .failure(.timeout))
        let duration = ContinuousClock.now - start
        #expect(duration >= .milliseconds(200) && duration < .seconds(8))
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `A name that takes seconds is waited for`() async throws {
        let server = try await FakeServer { _ in .held }
        let resolver = try UnboundResolver(ports: server.port)
        async let outcome = resolver.outcome("slow.example", .a)
        try await waitUntil("the server is asked for the fifth time") { server.questions.count >= 5 }
        try await server.release()
        #expect(await outcome.records == Self.records)
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `An answer that comes after the timeout is kept for the next who asks`() async throws {
        let server = try await FakeServer { _ in .held }
        let resolver = try UnboundResolver(ports: server.port) { $0.timeout = .milliseconds(100) }
        #expect(await resolver.outcome("slow.example", .a) == .failure(.timeout))
        try await server.release()
        let asked = server.questions.count
        try await waitUntil("the late answer is known") {
            await resolver.outcome("slow.example", .a).records == Self.records
        }
        #expect(server.questions.count == asked)
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `A truncated answer without TCP is a failure`() async throws {
        let server = try await FakeServer { _ in .truncated }
        let resolver = try UnboundResolver(ports: server.port)
        guard case .failure(.serverFailure) = await resolver.outcome("large.example", .txt) else {
            Issue.record("must fail")
            return
        }
        await resolver.shutdown()
        try await server.end()
    }

    @Test(arguments: [2, 5])
    func `An error of the server is a failure that is not kept`(code: Int) async throws {
        let isWell = Mutex(false)
        let server = try await FakeServer { _ in isWell.withLock { $0 } ? Self.address : .code(code) }
        let resolver = try UnboundResolver(ports: server.port)
        #expect(await resolver.outcome("sick.example", .a) == .failure(.serverFailure("SERVFAIL")))
        isWell.withLock { $0 = true }
        // libunbound itself remembers the failure for five seconds.
        try await waitUntil("the server is asked again") {
            await resolver.outcome("sick.example", .a).records == Self.records
        }
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `The second server helps when the first is dead`() async throws {
        let dead = try await FakeServer { _ in .silence }
        let alive = try await FakeServer { _ in Self.address }
        let resolver = try UnboundResolver(ports: dead.port, alive.port)
        for number in 1...20 {
            #expect(await resolver.outcome("n\(number).example", .a).records == Self.records)
        }
        await resolver.shutdown()
        try await dead.end()
        try await alive.end()
    }

    @Test func `Names without an answer do not take others with them`() async throws {
        let server = try await FakeServer { $0.name.text.hasPrefix("dead") ? .silence : Self.address }
        let resolver = try UnboundResolver(ports: server.port) { $0.timeout = .seconds(7) }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let dead = Results()
        var asked = 0
        try await waitUntil("all dead names are given up") {
            asked += 1
            if asked <= 300 {
                resolver.resolve(try DNSQuestion("dead\(asked).example", .a), on: loop) { dead.add($0) }
            }
            #expect(await resolver.outcome("alive\(asked).example", .a).records == Self.records)
            return dead.all.count == 300
        }
        await resolver.shutdown()
        try await server.end()
    }

    /// libunbound measures how fast a server is, and takes the names it cannot resolve for its slowness.
    @Test func `A server is not given up because of names it cannot resolve`() async throws {
        let server = try await FakeServer { $0.name.text.hasPrefix("dead") ? .silence : Self.address }
        let resolver = try UnboundResolver(ports: server.port)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        for number in 1...100 {
            resolver.resolve(try DNSQuestion("dead\(number).example", .a), on: loop) { _ in }
            try await Task.sleep(for: .milliseconds(60))  // It is the rate that matters, not that it is exact.
        }
        #expect(await resolver.outcome("alive.example", .a).records == Self.records)
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `A server that comes back is found again`() async throws {
        let isDead = Mutex(true)
        let server = try await FakeServer { _ in isDead.withLock { $0 } ? .silence : Self.address }
        let resolver = try UnboundResolver(ports: server.port) { $0.timeout = .seconds(2) }
        for number in 1...3 { #expect(await resolver.outcome("n\(number).example", .a) == .failure(.timeout)) }
        isDead.withLock { $0 = false }
        for number in 4...6 { #expect(await resolver.outcome("n\(number).example", .a).records == Self.records) }
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `Questions leave from random ports on which nobody listens`() async throws {
        let server = try await FakeServer { _ in Self.address }
        let resolver = try UnboundResolver(ports: server.port)
        for number in 1...40 { _ = await resolver.outcome("n\(number).example", .a) }
        let ports = server.sourcePorts
        #expect(Set(ports).count > 30 && ports.allSatisfy { $0 >= 32768 })
        await resolver.shutdown()
        try await server.end()
    }

    // MARK: - Queries

    @Test func `Everybody who asks the same at once gets the answer to one question`() async throws {
        let server = try await FakeServer { _ in Self.address }
        let resolver = try UnboundResolver(ports: server.port)
        await withTaskGroup(of: DNSResult.self) { group in
            for _ in 1...200 { group.addTask { await resolver.outcome("popular.example", .a) } }
            for await result in group { #expect(result.records == Self.records) }
        }
        #expect(server.questions == [try DNSQuestion("popular.example", .a)])
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `What was answered is known at once, with the time it has left, and nothing else is`() async throws {
        let server = try await FakeServer { _ in Self.address }
        let resolver = try UnboundResolver(ports: server.port)
        let question = try DNSQuestion("known.example", .a)
        #expect(resolver.known(question) == nil)
        #expect(await resolver.outcome("known.example", .a).records == Self.records)
        let known = try #require(resolver.known(question)).get()
        #expect(known.records == Self.records && known.ttl > .zero && known.ttl <= .seconds(300))
        #expect(resolver.known(try DNSQuestion("other.example", .a)) == nil)
        await resolver.shutdown()
        #expect(resolver.known(question) == nil)
        try await server.end()
    }

    @Test func `The completion is called on the loop that asked, also from the cache, and in a later turn`()
        async throws
    {
        let server = try await FakeServer { _ in Self.address }
        let resolver = try UnboundResolver(ports: server.port)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let question = try DNSQuestion("example.com", .a)
        for _ in 1...2 {
            let order = try await loop.flatSubmit {
                let promise = loop.makePromise(of: [String].self)
                let steps = Steps()
                resolver.resolve(question, on: loop) { _ in
                    steps.add(loop.inEventLoop ? "completed" : "elsewhere")
                    promise.succeed(steps.all)
                }
                steps.add("returned")
                return promise.futureResult
            }.get()
            #expect(order == ["returned", "completed"])
        }
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `After cancelling on its loop a query is not completed`() async throws {
        let server = try await FakeServer { $0.name == .of("held.example") ? .held : Self.address }
        let resolver = try UnboundResolver(ports: server.port)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let results = Results()
        let question = try DNSQuestion("held.example", .a)
        let (query, other) = (
            resolver.resolve(question, on: loop) { results.add($0) },
            resolver.resolve(question, on: loop) { results.add($0) }
        )
        try await waitUntil("the server is asked") { !server.questions.isEmpty }
        try await loop.submit { query.cancel() }.get()
        try await server.release()
        try await waitUntil("the other query is completed") { !other.isWaiting }
        try await loop.submit {}.get()
        #expect(results.all.map(\.records) == [Self.records])
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `Answers age, and their time is told`() async throws {
        let server = try await FakeServer { _ in Self.address }
        let clock = TestClock()
        let resolver = try UnboundResolver(ports: server.port, clock: { clock.now })
        _ = await resolver.outcome("example.com", .a)
        clock.advance(by: .seconds(100))
        guard case .success(let answer) = await resolver.outcome("example.com", .a) else {
            Issue.record("no answer")
            return
        }
        #expect(answer.ttl == .seconds(200))
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `One question too many fails at once`() async throws {
        let server = try await FakeServer { _ in .silence }
        let resolver = try UnboundResolver(ports: server.port) { $0.maximumQueries = 2 }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        for number in 1...2 { resolver.resolve(try DNSQuestion("n\(number).example", .a), on: loop) { _ in } }
        #expect(await resolver.outcome("n3.example", .a) == .failure(.tooManyQueries))
        await resolver.shutdown()
        try await server.end()
    }

    // MARK: - The end

    @Test func `Shutting down completes what is under way, and nothing is asked any more`() async throws {
        let server = try await FakeServer { _ in .silence }
        let resolver = try UnboundResolver(ports: server.port)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let results = Results()
        for number in 1...50 {
            resolver.resolve(try DNSQuestion("n\(number).example", .a), on: loop) { results.add($0) }
        }
        try await waitUntil("the server is asked") { !server.questions.isEmpty }
        await withTaskGroup(of: Void.self) { group in
            for _ in 1...3 { group.addTask { await resolver.shutdown() } }
        }
        try await loop.submit {}.get()
        #expect(results.all == [DNSResult](repeating: .failure(.closed), count: 50))
        #expect(await resolver.outcome("late.example", .a) == .failure(.closed))
        await resolver.shutdown()
        try await server.end()
    }

    @Test func `A resolver that is let go of ends by itself`() async throws {
        let server = try await FakeServer { _ in .silence }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let results = Results()
        do {
            let resolver = try UnboundResolver(ports: server.port)
            resolver.resolve(try DNSQuestion("example.com", .a), on: loop) { results.add($0) }
        }
        try await waitUntil("the query is completed") { results.all == [.failure(.closed)] }
        try await server.end()
    }

    @Test func `Starting and ending many resolvers leaves no threads and no descriptors`() async throws {
        let server = try await FakeServer { _ in Self.address }
        let before = try Self.resourceCount()
        for number in 1...100 {
            let resolver = try UnboundResolver(ports: server.port)
            #expect(await resolver.outcome("n\(number).example", .a).records == Self.records)
            await resolver.shutdown()
        }
        // Other tests run at the same time and have some of their own.
        try await waitUntil("they are given back") { try Self.resourceCount() < before + 100 }
        try await server.end()
    }

    private static func resourceCount() throws -> Int {
        try ["fd", "task"].reduce(0) {
            try $0 + FileManager.default.contentsOfDirectory(atPath: "/proc/self/\($1)").count
        }
    }
}
