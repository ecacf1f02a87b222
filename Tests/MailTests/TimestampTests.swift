import Mail
import Testing

struct TimestampTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z", "Thu, 1 Jan 1970 00:00:00 +0000"),
        (951_782_399_999_000, "2000-02-28T23:59:59.999Z", "Mon, 28 Feb 2000 23:59:59 +0000"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 +0000"),
        (1_795_236_600_123_456, "2026-11-21T04:50:00.123Z", "Sat, 21 Nov 2026 04:50:00 +0000"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z", "Mon, 1 Mar 2100 00:00:00 +0000"),
        (-1, "1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 +0000"),
    ])
    func `dates are written as the RFCs want them`(microseconds: Int64, rfc3339: String, rfc5322: String) {
        let time = Timestamp(microseconds: microseconds)
        #expect(time.rfc3339 == rfc3339)
        #expect(time.rfc5322 == rfc5322)
    }

    @Test func `sums beyond all time stay at its end`() {
        let late = Timestamp(microseconds: .max - 1)
        #expect(late + .seconds(10) == Timestamp(microseconds: .max))
        #expect(Timestamp(microseconds: .min + 1) - .seconds(10) == Timestamp(microseconds: .min))
        #expect(Timestamp(microseconds: 5) - Timestamp(microseconds: 2) == .microseconds(3))
        #expect(Timestamp(microseconds: .min).rfc3339.hasSuffix("-21T19:59:05.224Z"))
    }
}

struct QueueIDTests {
    @Test func `an ID reads back in either case and sorts like its time`() throws {
        var generator = QueueIDGenerator(after: QueueID(value: 0))
        let first = generator.next(at: Timestamp(microseconds: 1_795_236_600_123_456))
        let second = generator.next(at: Timestamp(microseconds: 1_795_236_600_123_457))
        #expect(first.description.count == QueueID.length)
        #expect(QueueID(first.description) == first)
        #expect(QueueID(first.description.lowercased()) == first)
        #expect(first.description < second.description)
        #expect(first.time == Timestamp(microseconds: 1_795_236_600_123_456))
    }

    @Test func `IDs rise although the clock is set back`() {
        var generator = QueueIDGenerator(after: QueueID(value: 1000))
        #expect(generator.next(at: Timestamp(microseconds: 500)) == QueueID(value: 1001))
        #expect(generator.next(at: Timestamp(microseconds: 500)) == QueueID(value: 1002))
        #expect(generator.next(at: Timestamp(microseconds: 5000)) == QueueID(value: 5000))
    }

    @Test(arguments: ["", "1K3QZ8V0M4", "1K3QZ8V0M4TT", "1K3QZ8V0M4U", "1K3QZ8V0M4é", "1K3QZ 8V0M4"])
    func `what is no ID is not read`(text: String) {
        #expect(QueueID(text) == nil)
    }
}
