import Mail
import Queue
import Testing

struct ScheduleTests {
    private let now = Timestamp(seconds: 1000)

    private func message(_ number: UInt64, _ recipients: [String] = ["a@x.test"]) throws -> QueuedMessage {
        let names = recipients.map { $0.split(separator: "@").last.map(String.init) ?? "" }
        return QueuedMessage(
            id: QueueID(value: number), arrival: self.now, envelope: try envelope(recipients), client: nil, about: nil,
            contentBytes: 3, contentChecksum: 0, needsSMTPUTF8: false,
            progress: Progress(laneNames: names, due: self.now))
    }

    private func added(_ number: UInt64, due: Timestamp? = nil, inMemory: Bool = true) throws -> ScheduleChange {
        let message = try self.message(number)
        return .added(message.id, lane: "x.test", due: due ?? self.now, message: inMemory ? (message, [1, 2, 3]) : nil)
    }

    private func due(_ numbers: [UInt64], hasMore: Bool = false, nextDue: Timestamp? = nil) throws -> DueMessages {
        var due = DueMessages()
        due.messages = try numbers.map { (try self.message($0), nil) }
        due.hasMore = hasMore
        due.nextDue = nextDue
        return due
    }

    private func leased(_ schedule: inout Schedule) throws -> Schedule.Lease {
        let lease = schedule.lease(from: "x.test")
        return try #require(lease)
    }

    @Test func `a new message is leased from memory, once`() throws {
        var schedule = Schedule()
        #expect(schedule.apply(try self.added(1), now: self.now) == "x.test")
        #expect(schedule.isReady("x.test"))
        let lease = try self.leased(&schedule)
        #expect(lease.message.id == QueueID(value: 1))
        #expect(lease.content == [1, 2, 3])
        #expect(schedule.lease(from: "x.test") == nil)
        #expect(!schedule.isReady("x.test"))
        _ = schedule.apply(.removed(QueueID(value: 1), lane: "x.test"), now: self.now)
        #expect(schedule.count(in: "x.test") == 0)
        #expect(schedule.laneNames.isEmpty)
    }

    @Test func `what does not fit into memory is read from the disk, in turn with what is new`() throws {
        var schedule = Schedule(
            [LaneSummary(name: "x.test", count: 3, firstDue: self.now, oldest: self.now)], now: self.now)
        #expect(schedule.refill("x.test") == [])
        #expect(schedule.refill("x.test") == nil)
        _ = schedule.apply(try self.added(9), now: self.now)
        schedule.refilled("x.test", with: try self.due([1, 2, 3]))
        let order = (0..<4).compactMap { _ in schedule.lease(from: "x.test")?.message.id.value }
        #expect(Set(order) == [1, 2, 3, 9])
        #expect(order.prefix(2).contains(9))
        #expect(schedule.count(in: "x.test") == 4)
    }

    @Test func `a refill does not bring back what was leased or removed meanwhile`() throws {
        var schedule = Schedule()
        _ = schedule.apply(try self.added(1), now: self.now)
        _ = schedule.apply(try self.added(2, inMemory: false), now: self.now)
        _ = schedule.apply(try self.added(3, inMemory: false), now: self.now)
        let lease = try self.leased(&schedule)
        #expect(schedule.refill("x.test") == [QueueID(value: 1)])
        _ = schedule.apply(.removed(QueueID(value: 3), lane: "x.test"), now: self.now)
        schedule.refilled("x.test", with: try self.due([1, 2, 3]))
        #expect(schedule.lease(from: "x.test")?.message.id.value == 2)
        #expect(schedule.lease(from: "x.test") == nil)
        schedule.end(lease)
        #expect(schedule.isReady("x.test"))
        #expect(schedule.refill("x.test") == [QueueID(value: 2)])
    }

    @Test func `a message that is moved while it waits in memory is leased once`() throws {
        var schedule = Schedule()
        _ = schedule.apply(try self.added(1), now: self.now)
        _ = schedule.apply(.removed(QueueID(value: 1), lane: "x.test"), now: self.now)
        _ = schedule.apply(try self.added(1), now: self.now)
        #expect((schedule.lease(from: "x.test"))?.message != nil)
        #expect(schedule.lease(from: "x.test") == nil)
    }

    @Test func `a message that is deferred wakes its lane when it is due`() throws {
        var schedule = Schedule()
        let later = self.now + .seconds(300)
        #expect(schedule.apply(try self.added(1, due: later), now: self.now) == nil)
        #expect(!schedule.isReady("x.test"))
        #expect(schedule.nextDue(in: "x.test") == later)
        #expect(schedule.wake(at: self.now + .seconds(299)).isEmpty)
        #expect(schedule.wake(at: later) == ["x.test"])
        #expect(schedule.refill("x.test") == [])
    }

    @Test func `what arrives while a refill is under way is not forgotten by it`() throws {
        var schedule = Schedule(
            [LaneSummary(name: "x.test", count: 1, firstDue: self.now, oldest: self.now)], now: self.now)
        _ = schedule.refill("x.test")
        _ = schedule.apply(try self.added(2, inMemory: false), now: self.now)
        _ = schedule.apply(try self.added(3, due: self.now + .seconds(5)), now: self.now)
        schedule.refilled("x.test", with: try self.due([1]))
        _ = schedule.lease(from: "x.test")
        #expect(schedule.isReady("x.test"))
        #expect(schedule.nextDue(in: "x.test") == self.now + .seconds(5))
    }

    @Test func `another lane of a message is leased with it only if it still waits there`() throws {
        let message = try self.message(1, ["a@x.test", "b@y.test"])
        var schedule = Schedule()
        for lane in ["x.test", "y.test"] {
            _ = schedule.apply(.added(message.id, lane: lane, due: self.now, message: (message, [])), now: self.now)
        }
        _ = schedule.lease(from: "x.test")
        #expect((schedule.leaseToo(message.id, in: "y.test"))?.message != nil)
        // Now it is leased there and its entry stale.
        #expect(schedule.lease(from: "y.test") == nil)
        #expect(schedule.leaseToo(message.id, in: "y.test") == nil)
        #expect(schedule.leaseToo(message.id, in: "x.test") == nil)
        #expect(schedule.claim(message, in: "x.test") == nil)
    }

    @Test func `a lane whose destination is away is forgotten and read again`() throws {
        var schedule = Schedule()
        for number in 1...5 { _ = schedule.apply(try self.added(UInt64(number)), now: self.now) }
        let lease = try self.leased(&schedule)
        schedule.forget("x.test")
        #expect(schedule.lease(from: "x.test") == nil)
        #expect(schedule.refill("x.test") == [lease.message.id])
        #expect(schedule.count(in: "x.test") == 5)
    }
}
