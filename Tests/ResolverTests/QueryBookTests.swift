import NIOCore
import NIOEmbedded
import Testing

@testable import Resolver

struct QueryBookTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let question = DNSQuestion(.of("example.com"), .mx)
    private let answer = DNSResult.success(
        DNSAnswer(records: [.a(1)], ttl: .seconds(60), canonicalName: .of("example.com"), security: .insecure))

    private func book(maximumQueries: Int = 10) -> QueryBook {
        QueryBook(maximumQueries: maximumQueries, cache: AnswerCache(capacity: 10))
    }

    private func query() -> DNSQuery { DNSQuery(on: EmbeddedEventLoop()) { _ in } }

    /// What is to be done, without the result.
    private func step(_ step: QueryBook.Step) -> String {
        switch step {
        case .deliver(let result): "\(result.failure.map { "\($0)" } ?? "answer")"
        case .wait: "wait"
        case .wake: "wake"
        }
    }

    @Test func `Only the first who asks has the question started, and all get its answer`() {
        var book = self.book()
        let queries = (0..<5).map { _ in self.query() }
        let deadline = self.start + .seconds(10)
        let steps = queries.map { self.step(book.ask(self.question, $0, deadline: deadline)) }
        #expect(steps == ["wake", "wait", "wait", "wait", "wait"])
        #expect(book.takeStarting() == [self.question])
        #expect(self.step(book.ask(self.question, self.query(), deadline: deadline)) == "wait")
        #expect(book.takeStarting() == [])
        #expect(book.finish(self.question, self.answer, keeping: self.start).count == 6)
        #expect(book.finish(self.question, self.answer, keeping: self.start).isEmpty)
    }

    @Test func `The thread is woken once for several questions`() throws {
        var book = self.book()
        let deadline = self.start + .seconds(10)
        #expect(self.step(book.ask(self.question, self.query(), deadline: deadline)) == "wake")
        #expect(self.step(book.ask(try DNSQuestion("b.example", .a), self.query(), deadline: deadline)) == "wait")
        #expect(book.takeStarting().count == 2)
        #expect(self.step(book.ask(try DNSQuestion("c.example", .a), self.query(), deadline: deadline)) == "wake")
    }

    @Test func `What is known is not asked again`() {
        var book = self.book()
        #expect(book.cachedResult(for: self.question, at: self.start) == nil)
        _ = book.ask(self.question, self.query(), deadline: self.start)
        _ = book.finish(self.question, self.answer, keeping: self.start)
        #expect(book.cachedResult(for: self.question, at: self.start) == self.answer)
        #expect(book.cachedResult(for: self.question, at: self.start + .seconds(60)) == nil)
    }

    @Test func `Each who waits has a time of its own, and the question goes on`() {
        var book = self.book()
        let (first, second) = (self.query(), self.query())
        _ = book.ask(self.question, first, deadline: self.start + .seconds(10))
        _ = book.ask(self.question, second, deadline: self.start + .seconds(15))
        _ = book.takeStarting()
        #expect(book.nextExpiry == self.start + .seconds(10))
        #expect(book.expire(at: self.start + .seconds(9)).isEmpty)
        #expect(book.expire(at: self.start + .seconds(10)).map(ObjectIdentifier.init) == [ObjectIdentifier(first)])
        #expect(book.nextExpiry == self.start + .seconds(15))
        #expect(book.expire(at: self.start + .seconds(15)).map(ObjectIdentifier.init) == [ObjectIdentifier(second)])
        #expect(book.nextExpiry == nil)
        #expect(self.step(book.ask(self.question, self.query(), deadline: self.start + .seconds(26))) == "wake")
        #expect(book.takeStarting() == [], "it is still under way")
        #expect(book.finish(self.question, self.answer, keeping: self.start).count == 1)
    }

    @Test func `No more questions are under way than may be, but those under way can be joined`() throws {
        var book = self.book(maximumQueries: 1)
        _ = book.ask(self.question, self.query(), deadline: self.start)
        let other = try DNSQuestion("other.example", .a)
        #expect(self.step(book.ask(other, self.query(), deadline: self.start)) == "tooManyQueries")
        #expect(self.step(book.ask(self.question, self.query(), deadline: self.start)) == "wait")
        _ = book.takeStarting()
        _ = book.finish(self.question, self.answer, keeping: nil)
        #expect(self.step(book.ask(other, self.query(), deadline: self.start)) == "wake")
    }

    @Test func `Those who have gone are not collected`() {
        var book = self.book()
        let last = self.query()
        for _ in 0..<10_000 {
            let query = self.query()
            _ = book.ask(self.question, query, deadline: self.start)
            query.cancel()
        }
        _ = book.ask(self.question, last, deadline: self.start)
        #expect(book.finish(self.question, self.answer, keeping: nil).count <= 65)
    }

    @Test func `After the end everybody has been told, and nothing begins`() {
        var book = self.book()
        _ = book.ask(self.question, self.query(), deadline: self.start)
        #expect(book.close().count == 1)
        #expect(book.isClosed && book.takeStarting().isEmpty && book.nextExpiry == nil)
        #expect(self.step(book.ask(self.question, self.query(), deadline: self.start)) == "closed")
        #expect(book.finish(self.question, self.answer, keeping: self.start).isEmpty)
        #expect(book.cachedResult(for: self.question, at: self.start) == nil)
    }
}
