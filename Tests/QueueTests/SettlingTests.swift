import Harness
import Mail
import Queue
import Synchronization
import Testing

struct SettlingTests {
    private let now = Timestamp(seconds: 1_800_000_100)
    private let later = Timestamp(seconds: 1_800_000_400)

    private func result(_ recipient: Int, _ result: Settlement.Result, _ code: Int = 250) -> Settlement.RecipientResult
    {
        Settlement.RecipientResult(
            recipient: recipient, result: result, reply: Reply(code, .init(0, 0), "text"), remote: "r[1.2.3.4]:25")
    }

    private func settlement(
        _ queue: LMDBQueue, _ id: QueueID, _ results: [Settlement.RecipientResult], condition: [Int]? = nil
    ) throws -> Settlement {
        var settlement = Settlement(message: try #require(try queue.message(id)), time: self.now)
        settlement.results = results
        settlement.condition = condition
        return settlement
    }

    /// A notice as the forwarder makes it.
    private func notice(_ queue: LMDBQueue, about id: QueueID) throws -> NewMessage {
        var incoming = IncomingContent(id: queue.makeID())
        incoming.buffer = content(500)
        return incoming.finish(
            arrival: self.now, envelope: try envelope(["s@client.example"], from: ""), client: nil, about: id,
            needsSMTPUTF8: false, lanes: .byDomain)
    }

    @Test func `a message delivered to everybody is gone without a trace`() throws {
        try withQueue { queue, folder throws in
            let id = try queue.take(try envelope(["a@example.test", "b@other.test"]), content(300_000), at: self.now)
            try queue.settleAndWait(
                try self.settlement(queue, id, [self.result(0, .delivered), self.result(1, .delivered)]))
            #expect(try queue.message(id) == nil)
            #expect(try queue.lanes().isEmpty)
            queue.close()
            #expect(try QueueCheck(folder: folder.path).run().findings == [])
        }
    }

    @Test func `only the remaining recipients are left, and each keeps its reply`() throws {
        try withQueue { queue, folder throws in
            let id = try queue.take(
                try envelope(["a@example.test", "b@example.test", "c@other.test"]), content(100), at: self.now)
            try queue.settleAndWait(
                try self.settlement(
                    queue, id, [self.result(0, .delivered), self.result(1, .deferred(until: self.later), 450)]))
            for _ in 0..<2 {
                let message = try #require(try queue.message(id))
                #expect(message.progress.recipients.map(\.status) == [.delivered, .waiting, .waiting])
                #expect(message.progress.recipients[1].lastReply?.code == 450)
                #expect(message.progress.recipients[1].attempts == 1)
                #expect(message.progress.recipients[2].attempts == 0)
                #expect(message.progress.waiting == [1, 2])
                #expect(
                    message.progress.lanes == [
                        .init(name: "example.test", due: self.later), .init(name: "other.test", due: self.now),
                    ])
            }
            #expect(
                try queue.due(in: "example.test", at: self.now, skipping: [], limit: 10, contentLimit: 0).messages
                    .isEmpty)
            #expect(
                try queue.due(in: "example.test", at: self.now, skipping: [], limit: 10, contentLimit: 0).nextDue
                    == self.later)
            #expect(
                try queue.due(in: "example.test", at: self.later, skipping: [], limit: 10, contentLimit: 0).messages
                    .count == 1)
            #expect(
                try queue.due(in: "other.test", at: self.now, skipping: [], limit: 10, contentLimit: 0).messages.count
                    == 1)
            queue.close()
            #expect(try QueueCheck(folder: folder.path).run().findings == [])
        }
    }

    @Test func `a notice is there exactly when what it tells is`() throws {
        let fails = Mutex(false)
        var probe = QueueProbe()
        probe.reached = { step throws(QueueError) in
            if step == .beforeCommit, fails.withLock({ $0 }) { throw .full }
        }
        try withQueue(probe: probe) { queue, _ throws in
            let id = try queue.take(try envelope(), content(100), at: self.now)
            var settlement = try self.settlement(queue, id, [self.result(0, .failed, 550)])
            settlement.notices = [try self.notice(queue, about: id)]
            fails.withLock { $0 = true }
            #expect(throws: QueueError.full) { try queue.settleAndWait(settlement) }
            #expect(try queue.all().map(\.id) == [id])
            fails.withLock { $0 = false }
            try queue.settleAndWait(settlement)
            #expect(try queue.all().map(\.about) == [id])
            // Once more changes nothing: the message it is about is gone.
            try queue.settleAndWait(settlement)
            #expect(try queue.all().count == 1)
        }
    }

    @Test func `an expiry is void if somebody was faster`() throws {
        try withQueue { queue, _ throws in
            let id = try queue.take(try envelope(["a@example.test", "b@other.test"]), content(100), at: self.now)
            var expiry = try self.settlement(
                queue, id, [self.result(0, .failed, 451), self.result(1, .failed, 451)], condition: [0, 1])
            expiry.notices = [try self.notice(queue, about: id)]
            try queue.settleAndWait(try self.settlement(queue, id, [self.result(0, .delivered)]))
            try queue.settleAndWait(expiry)
            #expect(try queue.message(id)?.progress.waiting == [1])
            #expect(try queue.all().count == 1)
            // Nor if it is held.
            #expect(try queue.operateAndWait(.hold, on: [id]) == [id])
            try queue.settleAndWait(try self.settlement(queue, id, [self.result(1, .failed, 451)], condition: [1]))
            #expect(try queue.message(id)?.progress.waiting == [1])
        }
    }

    @Test func `a delay is told once`() throws {
        try withQueue { queue, _ throws in
            let id = try queue.take(try envelope(), content(100), at: self.now)
            for _ in 0..<2 {
                var settlement = Settlement(message: try #require(try queue.message(id)), time: self.now)
                settlement.notifiesDelay = true
                settlement.condition = [0]
                settlement.notices = [try self.notice(queue, about: id)]
                try queue.settleAndWait(settlement)
            }
            #expect(try queue.all().count == 2)
            #expect(try queue.message(id)?.progress.wasDelayNotified == true)
            #expect(try queue.message(id)?.progress.recipients[0].attempts == 0)
        }
    }

    @Test func `the schedule hears of every change`() throws {
        try withQueue { queue, _ throws in
            let changes = Mutex<[String]>([])
            queue.observe { list in
                changes.withLock { all in
                    for change in list {
                        switch change {
                        case .added(_, let lane, let due, let message):
                            all.append("+\(lane) \(due.seconds) \(message != nil)")
                        case .removed(_, let lane): all.append("-\(lane)")
                        }
                    }
                }
            }
            let id = try queue.take(try envelope(["a@a.test", "b@b.test"]), content(100), at: self.now)
            try queue.settleAndWait(try self.settlement(queue, id, [self.result(0, .deferred(until: self.later), 450)]))
            _ = try queue.operateAndWait(.hold, on: [id])
            _ = try queue.operateAndWait(.release, on: [id])
            _ = try queue.operateAndWait(.delete, on: [id])
            #expect(
                changes.withLock { $0 } == [
                    "+a.test \(self.now.seconds) true", "+b.test \(self.now.seconds) true", "-a.test",
                    "+a.test \(self.later.seconds) false",
                    "-a.test", "-b.test", "+a.test 1800000000 false", "+b.test 1800000000 false", "-a.test", "-b.test",
                ])
        }
    }
}

struct OperatingTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    @Test func `held messages are out of the schedule until they are released`() throws {
        try withQueue { queue, folder throws in
            let id = try queue.take(try envelope(), content(100), at: self.now)
            #expect(try queue.operateAndWait(.release, on: [id]) == [])
            #expect(try queue.operateAndWait(.hold, on: [id]) == [id])
            #expect(try queue.operateAndWait(.hold, on: [id]) == [])
            #expect(try queue.operateAndWait(.retry, on: [id]) == [])
            #expect(try queue.lanes().isEmpty)
            #expect(try queue.message(id)?.progress.isHeld == true)
            #expect(try queue.operateAndWait(.release, on: [id]) == [id])
            #expect(try queue.lanes().map(\.count) == [1])
            queue.close()
            #expect(try QueueCheck(folder: folder.path).run().findings == [])
        }
    }

    @Test func `operations pass over what is not there`() throws {
        try withQueue { queue, _ throws in
            let id = try queue.take(try envelope(), content(100), at: self.now)
            for operation in [QueueOperation.hold, .release, .retry, .delete] {
                #expect(try queue.operateAndWait(operation, on: [QueueID(value: 5)]) == [])
            }
            #expect(try queue.operateAndWait(.delete, on: [id, QueueID(value: 5), id]) == [id])
            #expect(try queue.all().isEmpty)
        }
    }

    @Test func `listing changes nothing`() throws {
        try withQueue { queue, _ throws in
            for seed in 0..<20 { try queue.take(try envelope(), content(100, seed: seed), at: self.now) }
            let before = try queue.statistics().commits
            let lanes = try queue.lanes()
            var seen: [QueueID] = []
            var end: QueueID?
            repeat {
                let page = try queue.messages(after: end, limit: 7)
                seen += page.messages.map(\.id)
                end = page.end
            } while end != nil
            #expect(seen.count == 20 && seen == seen.sorted())
            #expect(try queue.statistics().commits == before)
            #expect(try queue.lanes() == lanes)
        }
    }

    @Test func `recipients change lanes with the routes`() throws {
        try withQueue { queue, folder throws in
            let id = try queue.take(try envelope(["a@example.test", "b@example.test"]), content(100), at: self.now)
            let held = try queue.take(try envelope(["a@example.test"]), content(100), at: self.now)
            _ = try queue.operateAndWait(.hold, on: [held])
            let naming = LaneNaming { $0.localPart.unquoted == "a" ? "a@example.test" : $0.domain.key }
            try queue.nameLanes(naming, fingerprint: ["a@example.test"])
            #expect(try queue.lanes().map(\.name).sorted() == ["a@example.test", "example.test"])
            #expect(try queue.message(id)?.progress.waiting(in: "a@example.test") == [0])
            #expect(try queue.message(held)?.progress.waiting(in: "a@example.test") == [0])
            // The same again is no work.
            let commits = try queue.statistics().commits
            try queue.nameLanes(naming, fingerprint: ["a@example.test"])
            #expect(try queue.statistics().commits == commits)
            try queue.nameLanes(.byDomain, fingerprint: [])
            #expect(try queue.lanes().map(\.name) == ["example.test"])
            queue.close()
            #expect(try QueueCheck(folder: folder.path).run().findings == [])
        }
    }

    @Test func `the longest due comes first, and what the caller has is left out`() throws {
        try withQueue { queue, _ throws in
            var ids: [QueueID] = []
            for second in 0..<10 {
                ids.append(
                    try queue.take(
                        try envelope(), content(100), at: Timestamp(seconds: 1_800_000_000 + Int64(9 - second))))
            }
            let due = try queue.due(
                in: "example.test", at: Timestamp(seconds: 1_800_000_007), skipping: [ids[9]], limit: 5,
                contentLimit: 1000)
            #expect(due.messages.map(\.message.id) == [ids[8], ids[7], ids[6], ids[5], ids[4]])
            #expect(due.messages.allSatisfy { $0.content != nil })
            #expect(due.hasMore)
            let rest = try queue.due(
                in: "example.test", at: Timestamp(seconds: 1_800_000_007), skipping: [], limit: 50, contentLimit: 10)
            #expect(rest.messages.count == 8)
            #expect(!rest.hasMore)
            #expect(rest.nextDue == Timestamp(seconds: 1_800_000_008))
            #expect(rest.messages.allSatisfy { $0.content == nil })
            #expect(
                try queue.due(in: "example", at: self.now, skipping: [], limit: 5, contentLimit: 0).messages.isEmpty)
        }
    }
}
