import NIOCore
import NIOEmbedded
import NIOPosix
import Resolver
import Testing
import ZoneFiles

struct DNSQueryTests {
    private let results = Results()

    @Test func `The completion is called in a later turn of the loop, once`() {
        let loop = EmbeddedEventLoop()
        let query = DNSQuery(on: loop) { [results] in results.add($0) }
        query.deliver(.failure(.timeout))
        query.deliver(.failure(.closed))
        #expect(self.results.all.isEmpty && query.isWaiting)
        loop.run()
        #expect(self.results.all == [.failure(.timeout)] && !query.isWaiting)
        query.deliver(.failure(.closed))
        loop.run()
        #expect(self.results.all.count == 1)
    }

    @Test func `A cancelled query is never completed, though its result was on the way`() {
        let loop = EmbeddedEventLoop()
        let query = DNSQuery(on: loop) { [results] in results.add($0) }
        query.deliver(.failure(.timeout))
        query.cancel()
        query.cancel()
        loop.run()
        query.deliver(.failure(.timeout))
        loop.run()
        #expect(self.results.all.isEmpty && !query.isWaiting)
    }

    @Test func `Cancelling a task ends its waiting`() async throws {
        let service = try ZoneService()
        try service.fail("slow.example", with: .silence)
        let task = Task { await service.outcome("slow.example", .a) }
        try await waitUntil("the question is asked") { service.questions.count == 1 }
        task.cancel()
        #expect(await task.value == .failure(.cancelled))
    }

    @Test func `A task that is cancelled already does not wait`() async throws {
        let service = try ZoneService()
        try service.fail("slow.example", with: .silence)
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return await service.outcome("slow.example", .a)
        }
        task.cancel()
        #expect(await task.value == .failure(.cancelled))
    }

    @Test func `An invalid name fails without being asked`() async throws {
        let service = try ZoneService()
        #expect(await service.outcome("a..b", .a) == .failure(.invalidName))
        #expect(service.questions.isEmpty)
    }
}
