import NIOCore
import Testing

@testable import Resolver

struct AnswerCacheTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    private static func question(_ number: Int) -> DNSQuestion { DNSQuestion(.of("n\(number).example"), .a) }

    private static func answer(_ number: Int, ttl: Duration = .seconds(60)) -> DNSResult {
        let name = DNSName.of("n\(number).example")
        return .success(DNSAnswer(records: [.a(UInt32(number))], ttl: ttl, canonicalName: name, security: .secure))
    }

    @Test func `An answer is given with the time it has left, and then no more`() {
        var cache = AnswerCache(capacity: 4)
        cache.keep(Self.answer(1), for: Self.question(1), at: self.start)
        #expect(cache.result(for: Self.question(1), at: self.start + .seconds(20)) == Self.answer(1, ttl: .seconds(40)))
        #expect(cache.result(for: Self.question(1), at: self.start + .seconds(60)) == nil)
        #expect(cache.result(for: Self.question(2), at: self.start) == nil)
    }

    @Test func `That there is none is kept too, other failures are not`() {
        var cache = AnswerCache(capacity: 9)
        let negative = DNSNegative(ttl: .seconds(30), canonicalName: .root, security: .insecure)
        let later = DNSNegative(ttl: .seconds(10), canonicalName: .root, security: .insecure)
        cache.keep(.failure(.noSuchName(negative)), for: Self.question(1), at: self.start)
        cache.keep(.failure(.noData(negative)), for: Self.question(2), at: self.start)
        let now = self.start + .seconds(20)
        #expect(cache.result(for: Self.question(1), at: now) == .failure(.noSuchName(later)))
        #expect(cache.result(for: Self.question(2), at: now) == .failure(.noData(later)))
        for failure in [DNSFailure.timeout, .serverFailure("SERVFAIL"), .bogus("no key")] {
            cache.keep(.failure(failure), for: Self.question(3), at: self.start)
            #expect(cache.result(for: Self.question(3), at: self.start) == nil)
        }
        cache.keep(Self.answer(3, ttl: .zero), for: Self.question(3), at: self.start)
        #expect(cache.result(for: Self.question(3), at: self.start) == nil)
    }

    @Test func `A newer answer replaces the older one`() {
        var cache = AnswerCache(capacity: 4)
        cache.keep(Self.answer(1), for: Self.question(1), at: self.start)
        cache.keep(Self.answer(2), for: Self.question(1), at: self.start)
        #expect(cache.result(for: Self.question(1), at: self.start) == Self.answer(2))
        #expect(cache.count == 1)
    }

    @Test func `It has no more entries than it may, and those in use stay`() {
        var cache = AnswerCache(capacity: 8)
        for number in 0..<1000 {
            cache.keep(Self.answer(number), for: Self.question(number), at: self.start)
            #expect(cache.result(for: Self.question(0), at: self.start) != nil)
            #expect(cache.count <= 8)
        }
        #expect(cache.result(for: Self.question(1), at: self.start) == nil)
    }

    @Test func `Entries that have expired make room first`() {
        var cache = AnswerCache(capacity: 2)
        cache.keep(Self.answer(1, ttl: .seconds(10)), for: Self.question(1), at: self.start)
        cache.keep(Self.answer(2), for: Self.question(2), at: self.start)
        for number in 1...2 { _ = cache.result(for: Self.question(number), at: self.start) }
        cache.keep(Self.answer(3), for: Self.question(3), at: self.start + .seconds(11))
        #expect(cache.result(for: Self.question(2), at: self.start + .seconds(11)) != nil)
    }

    @Test func `Without room it keeps nothing`() {
        var cache = AnswerCache(capacity: 0)
        cache.keep(Self.answer(1), for: Self.question(1), at: self.start)
        #expect(cache.result(for: Self.question(1), at: self.start) == nil)
    }
}
