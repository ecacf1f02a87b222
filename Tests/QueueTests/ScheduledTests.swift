import Harness
import Mail
import Queue
import Testing

/// What waits for a later time than it should, after the clock was set back.
struct ScheduledTests {
    private let now = Timestamp(seconds: 1_800_000_100)

    /// Messages to two lanes, each put off by so many seconds.
    private func putOff(_ queue: LMDBQueue, _ seconds: [Int]) throws -> [QueueID] {
        try seconds.map { seconds in
            let id = try queue.take(try envelope(["a@example.test", "b@other.test"]), content(100), at: self.now)
            var settlement = Settlement(message: try #require(try queue.message(id)), time: self.now)
            settlement.results = (0..<2).map {
                Settlement.RecipientResult(
                    recipient: $0, result: .deferred(until: self.now + .seconds(seconds)),
                    reply: Reply(450, .init(2, 0), "later"), remote: nil)
            }
            try queue.settleAndWait(settlement)
            return id
        }
    }

    @Test func `what is due later than a time is found once, in all lanes`() throws {
        try withQueue { queue, _ throws in
            let ids = try self.putOff(queue, [60, 4000, 90_000, 172_800])
            _ = try queue.take(try envelope(["c@third.test"]), content(100), at: self.now)
            func found(_ seconds: Int, limit: Int = 100) throws -> Set<QueueID> {
                let found = try queue.scheduled(after: self.now + .seconds(seconds), limit: limit)
                #expect(Set(found).count == found.count)
                return Set(found)
            }
            #expect(try found(4000) == [ids[2], ids[3]])
            #expect(try found(3999) == [ids[1], ids[2], ids[3]])
            #expect(try found(172_800).isEmpty)
            #expect(try found(0) == Set(ids))
            #expect(try found(0, limit: 2).count == 2)
        }
    }

    @Test func `it is due at once when it is retried`() throws {
        try withQueue { queue, _ throws in
            let ids = try self.putOff(queue, [172_800])
            // The clock of the fixture is behind.
            _ = try queue.operateAndWait(.retry, on: try queue.scheduled(after: self.now, limit: 10))
            #expect(try queue.scheduled(after: self.now, limit: 10).isEmpty)
            let due = try queue.due(in: "example.test", at: self.now, skipping: [], limit: 10, contentLimit: 0)
            #expect(due.messages.map(\.0.id) == ids)
        }
    }
}
