import Forwarder
import Mail
import Queue
import SMTP
import Testing

/// A dispatcher with a queue that is a dictionary.
struct DispatcherFixture {
    var dispatcher: Dispatcher
    var now = Timestamp(seconds: 1_800_000_000)
    /// Connections that were asked for, and what was given to them.
    private(set) var opened: [(id: Dispatcher.ConnectionID, destination: String, excluding: [String])] = []
    private(set) var delivered: [(id: Dispatcher.ConnectionID, job: Dispatcher.Job, delivery: ClientSession.Delivery)] =
        []
    private(set) var settled: [Dispatcher.Verdicts] = []
    private(set) var quit: [Dispatcher.ConnectionID] = []
    private(set) var events: [MailEvent] = []
    /// What each connection was asked for.
    private(set) var requirements: [TLSRequirement] = []
    private(set) var refills = 0
    /// What is on the disk: messages by ID, and when they are due in each lane.
    private(set) var messages: [QueueID: QueuedMessage] = [:]
    private(set) var due: [String: [QueueID: Timestamp]] = [:]
    private var lastID: UInt64 = 0
    /// Reads from the disk wait until they are told.
    var holdsRefills = false

    init(
        options: ForwarderOptions = ForwarderOptions(), lifetimes: QueueOptions = QueueOptions(),
        routes: RouteTable? = nil
    ) {
        self.dispatcher = Dispatcher(
            options: options, lifetimes: lifetimes, routes: routes ?? Self.byName, lanes: [], now: self.now)
    }

    static let byName = RouteTable { lane in
        (try? Route(
            lane == "fail.test" ? "error:5.1.2 no such place" : lane == "drop.test" ? "discard:" : "smtp:[\(lane)]",
            recipientDomain: .literal(AddressLiteral(.v4(0)))))
            ?? .discard
    }

    /// A connection that is on its way, for a message that waits.
    static func opening(_ fixture: inout DispatcherFixture) throws -> Dispatcher.ConnectionID {
        try fixture.add()
        let last = fixture.opened.popLast()
        return try #require(last).id
    }

    mutating func handle(_ event: Dispatcher.Event) {
        for action in self.dispatcher.handle(event, at: self.now) {
            switch action {
            case .refill(let lane, let skipped, _):
                self.refills += 1
                if !self.holdsRefills { self.refill(lane, skipped) }
            case .open(let id, let destination, _, let requirement, let excluded):
                self.opened.append((id, destination, excluded))
                self.requirements.append(requirement)
            case .deliver(let id, let delivery, let job): self.delivered.append((id, job, delivery))
            case .quit(let id): self.quit.append(id)
            case .settle(let verdicts): self.settled.append(verdicts)
            case .record(let event): self.events.append(event)
            }
        }
    }

    private mutating func refill(_ lane: String, _ skipped: Set<QueueID>) {
        var result = DueMessages()
        for (id, due) in (self.due[lane] ?? [:]).sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            if due > self.now {
                result.nextDue = min(result.nextDue ?? due, due)
            } else if !skipped.contains(id), let message = self.messages[id] {
                if result.messages.count < Schedule.windowSize {
                    result.messages.append((message, nil))
                } else {
                    result.hasMore = true
                }
            }
        }
        self.handle(.refilled(lane: lane, result))
    }

    /// Puts a message into the queue.
    @discardableResult
    mutating func add(
        _ recipients: [String] = ["a@x.test"], from: String = "s@client.example", inMemory: Bool = true,
        tls: TLSRequirement = .unspecified
    ) throws -> QueueID {
        self.lastID += 1
        let id = QueueID(value: self.lastID)
        var parameters = MailParameters()
        parameters.tls = tls
        var envelope = Envelope(
            reversePath: from.isEmpty ? .null : .mailbox(try #require(Mailbox(from))), parameters: parameters)
        envelope.recipients = try recipients.map { Recipient(try #require(Mailbox($0))) }
        let names = envelope.recipients.map { LaneNaming.lane($0.mailbox.domain.key, for: tls) }
        let message = QueuedMessage(
            id: id, arrival: self.now, envelope: envelope, client: nil, about: nil, contentBytes: 3, contentChecksum: 0,
            needsSMTPUTF8: false, progress: Progress(laneNames: names, due: self.now))
        self.messages[id] = message
        var changes: [ScheduleChange] = []
        for lane in message.progress.lanes {
            self.due[lane.name, default: [:]][id] = self.now
            changes.append(.added(id, lane: lane.name, due: self.now, message: inMemory ? (message, [1]) : nil))
        }
        self.handle(.changed(changes))
        return id
    }

    /// Writes verdicts down as the queue does.
    mutating func settleNext() {
        guard !self.settled.isEmpty else { return }
        let verdicts = self.settled.removeFirst()
        guard let message = self.messages[verdicts.job.message.id] else {
            return self.handle(.settled(job: verdicts.job.number))
        }
        var settlement = Settlement(message: message, time: self.now)
        for result in verdicts.delivered {
            settlement.results.append(
                .init(recipient: result.recipient, result: .delivered, reply: result.reply, remote: nil))
        }
        for result in verdicts.failed {
            settlement.results.append(
                .init(recipient: result.recipient, result: .failed, reply: result.reply, remote: nil))
        }
        for (result, due) in verdicts.deferred {
            settlement.results.append(
                .init(recipient: result.recipient, result: .deferred(until: due), reply: result.reply, remote: nil))
        }
        let after = message.progress.settled(settlement)
        var changes: [ScheduleChange] = []
        for lane in message.progress.occupiedLanes where !after.occupiedLanes.contains(lane) {
            self.due[lane.name]?[message.id] = nil
            changes.append(.removed(message.id, lane: lane.name))
        }
        for lane in after.occupiedLanes where !message.progress.occupiedLanes.contains(lane) {
            self.due[lane.name, default: [:]][message.id] = lane.due
            changes.append(.added(message.id, lane: lane.name, due: lane.due, message: nil))
        }
        self.messages[message.id]?.progress = after
        if after.isFinished { self.messages[message.id] = nil }
        if !changes.isEmpty { self.handle(.changed(changes)) }
        self.handle(.settled(job: verdicts.job.number))
    }

    mutating func readyNext() -> Dispatcher.ConnectionID? {
        guard !self.opened.isEmpty else { return nil }
        let id = self.opened.removeFirst().id
        self.handle(.ready(id, remote: "r\(id.number)"))
        return id
    }

    /// The next delivery ends with the same reply for everybody, and the session is ready again.
    mutating func finishNext(
        _ reply: Reply = Reply(250, .init(0, 0), "Ok"), _ standing: ClientSession.Standing = .decided
    ) {
        guard !self.delivered.isEmpty else { return }
        let (id, _, delivery) = self.delivered.removeFirst()
        let replies = delivery.envelope.recipients.map { _ in reply }
        self.handle(
            .finished(id, ClientSession.Outcome(replies: replies, passedNoticeRequests: true, standing: standing)))
        if standing == .broken || standing == .brokenEarly {
            self.handle(.closed(id))
        } else {
            self.handle(.ready(id, remote: "r\(id.number)"))
        }
    }

    mutating func failNext(_ reply: Reply = Reply(451, .init(4, 1), "refused")) {
        guard !self.opened.isEmpty else { return }
        self.handle(.openFailed(self.opened.removeFirst().id, .temporary(reply)))
    }

    mutating func exhaustNext() {
        guard !self.opened.isEmpty else { return }
        self.handle(.openFailed(self.opened.removeFirst().id, .exhausted(Reply(451, .init(4, 1), "no more servers"))))
    }

    mutating func forget() {
        self.opened = []
        self.delivered = []
    }

    mutating func pass(_ duration: Duration) {
        self.now = self.now + duration
        self.handle(.tick)
    }
}

struct DispatcherTests {
    @Test func `a message is sent, settled and gone`() throws {
        var fixture = DispatcherFixture()
        try fixture.add(["a@x.test", "b@x.test"])
        #expect(fixture.opened.map(\.destination) == ["[x.test]"])
        _ = fixture.readyNext()
        #expect(fixture.delivered.map { $0.delivery.envelope.recipients.count } == [2])
        fixture.finishNext()
        #expect(fixture.settled.map { $0.delivered.count } == [2])
        fixture.settleNext()
        #expect(fixture.messages.isEmpty)
        #expect(fixture.dispatcher.activeJobs == 0)
    }

    @Test func `a connection is used again and given up when nobody needs it`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        _ = fixture.readyNext()
        fixture.finishNext()
        fixture.settleNext()
        try fixture.add()
        #expect(fixture.opened.isEmpty)
        #expect(fixture.delivered.count == 1)
        fixture.finishNext()
        fixture.settleNext()
        fixture.pass(.seconds(4))
        #expect(fixture.quit.isEmpty)
        fixture.pass(.seconds(2))
        #expect(fixture.quit.count == 1)
    }

    @Test func `recipients of several domains with one primary go in one transaction`() throws {
        let primary = try Route("smtp:[192.0.2.1]", recipientDomain: .literal(AddressLiteral(.v4(0))))
        var fixture = DispatcherFixture(routes: RouteTable { _ in primary ?? .discard })
        try fixture.add(["a@x.test", "b@y.test", "c@z.test"])
        while fixture.readyNext() != nil {}
        #expect(fixture.delivered.map { $0.delivery.envelope.recipients.count } == [3])
        fixture.finishNext()
        fixture.settleNext()
        #expect(fixture.messages.isEmpty)
    }

    @Test func `many recipients go in several transactions over one connection`() throws {
        var options = ForwarderOptions()
        options.recipientsPerTransaction = 2
        var fixture = DispatcherFixture(options: options)
        try fixture.add((0..<5).map { "u\($0)@x.test" })
        _ = fixture.readyNext()
        var sizes: [Int] = []
        while !fixture.delivered.isEmpty {
            sizes.append(fixture.delivered[0].delivery.envelope.recipients.count)
            fixture.finishNext()
        }
        #expect(sizes == [2, 2, 1])
        #expect(fixture.settled.map { $0.delivered.count } == [5])
    }

    @Test func `recipients that were too many for a transaction follow in the next`() throws {
        var fixture = DispatcherFixture()
        try fixture.add(["a@x.test", "b@x.test", "c@x.test"])
        let ready = fixture.readyNext()
        let connection = try #require(ready)
        let ok = Reply(250, nil, "Ok")
        fixture.handle(
            .finished(
                connection,
                ClientSession.Outcome(
                    replies: [ok, Reply(452, .init(5, 3), "too many"), Reply(550, nil, "no")],
                    passedNoticeRequests: false, standing: .decided)))
        #expect(fixture.delivered.last?.delivery.envelope.recipients.map(\.mailbox.description) == ["b@x.test"])
        fixture.handle(
            .finished(connection, ClientSession.Outcome(replies: [ok], passedNoticeRequests: false, standing: .decided))
        )
        #expect(
            fixture.settled.first.map { ($0.delivered.count, $0.failed.count, $0.deferred.count) } ?? (0, 0, 0) == (
                2, 1, 0
            ))
    }

    @Test func `a deferred message waits as long as it is old, within bounds`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        let start = fixture.now
        let defers = Reply(450, .init(2, 0), "later")
        var waits: [Int] = []
        for _ in 0..<8 {
            while fixture.delivered.isEmpty, fixture.readyNext() != nil {}
            #expect(fixture.delivered.count == 1)
            let before = fixture.now
            fixture.finishNext(defers)
            let due = try #require(fixture.settled.first?.deferred.first?.due)
            waits.append(Int((due - before).inSeconds))
            fixture.settleNext()
            fixture.pass(due - before - .seconds(1))
            #expect(fixture.delivered.isEmpty)
            fixture.pass(.seconds(1))
        }
        #expect(waits == [300, 300, 600, 1200, 2400, 4000, 4000, 4000])
        #expect(fixture.now > start)
    }

    @Test func `an unreachable destination is probed alone, whatever waits for it`() throws {
        var fixture = DispatcherFixture()
        for _ in 0..<100 { try fixture.add() }
        #expect(fixture.opened.count == 5)
        for _ in 0..<5 { fixture.failNext() }
        #expect(fixture.opened.isEmpty)
        #expect(fixture.settled.isEmpty)
        var probes = 0
        for _ in 0..<3600 {
            fixture.pass(.seconds(1))
            try fixture.add()
            #expect(fixture.opened.count <= 1)
            if !fixture.opened.isEmpty {
                probes += 1
                fixture.failNext()
            }
        }
        // After 15 s, 30, 60, ... at most every 300 s.
        #expect((14...20).contains(probes))
        #expect(fixture.settled.isEmpty && fixture.delivered.isEmpty)
    }

    @Test(arguments: [true, false]) func `a clock that is set back does not keep a destination away`(_ isThere: Bool)
        throws
    {
        var fixture = DispatcherFixture()
        fixture.pass(.seconds(172_800))
        try fixture.add()
        if isThere {
            fixture.failNext()
        } else {
            let gone = Reply(550, .init(4, 4), "not found")
            fixture.handle(.openFailed(fixture.opened[0].id, .permanent(gone)))
            fixture.settleNext()
            fixture.forget()
        }
        fixture.pass(.seconds(-172_800))
        try fixture.add()
        #expect(fixture.opened.count == 1)
        fixture.failNext()
        #expect(fixture.dispatcher.status.first?.since == fixture.now)
    }

    @Test func `when a destination is back its backlog starts at once, slowly, then faster, and not above the limit`()
        throws
    {
        var options = ForwarderOptions()
        options.concurrency = 8
        var fixture = DispatcherFixture(options: options)
        for _ in 0..<200 { try fixture.add(inMemory: false) }
        while !fixture.opened.isEmpty { fixture.failNext() }
        fixture.pass(.seconds(15))
        #expect(fixture.opened.count == 1)
        var most: [Int] = []
        while !fixture.messages.isEmpty {
            while fixture.readyNext() != nil {}
            most.append(fixture.delivered.count)
            let round = fixture.delivered.count
            #expect(round > 0)
            guard round > 0 else { return }
            for _ in 0..<round { fixture.finishNext() }
            while !fixture.settled.isEmpty { fixture.settleNext() }
        }
        #expect(most.prefix(4) == [1, 2, 4, 8])
        #expect(most.max() == 8)
        #expect(fixture.events.contains { if case .destinationUp = $0 { true } else { false } })
    }

    @Test func `a server that wants no more connections gets fewer, and is not taken for dead`() throws {
        var fixture = DispatcherFixture()
        for _ in 0..<20 { try fixture.add() }
        #expect(fixture.opened.count == 5)
        _ = fixture.readyNext()
        for _ in 0..<4 { fixture.failNext() }
        #expect(fixture.opened.isEmpty)
        #expect(fixture.delivered.count == 1)
        for _ in 0..<20 {
            fixture.finishNext()
            while !fixture.settled.isEmpty { fixture.settleNext() }
            while !fixture.opened.isEmpty { fixture.failNext() }
        }
        #expect(fixture.messages.isEmpty)
    }

    @Test func `a backlog for one destination does not delay another`() throws {
        var fixture = DispatcherFixture()
        for _ in 0..<500 { try fixture.add(["a@slow.test"], inMemory: false) }
        try fixture.add(["a@fast.test"])
        #expect(fixture.opened.contains { $0.destination == "[fast.test]" })
    }

    @Test func `domains with one primary take turns, and new mail with a backlog`() throws {
        let primary = try Route("smtp:[192.0.2.1]", recipientDomain: .literal(AddressLiteral(.v4(0))))
        var options = ForwarderOptions()
        options.initialConcurrency = 1
        options.concurrency = 1
        var fixture = DispatcherFixture(options: options, routes: RouteTable { _ in primary ?? .discard })
        for _ in 0..<100 { try fixture.add(["a@big.test"], inMemory: false) }
        for _ in 0..<5 { try fixture.add(["a@small.test"]) }
        var order: [String] = []
        for _ in 0..<20 {
            while fixture.readyNext() != nil {}
            guard let delivery = fixture.delivered.first else { break }
            order.append(delivery.delivery.envelope.recipients[0].mailbox.domain.key)
            if order.count == 6 { try fixture.add(["new@big.test"]) }
            fixture.finishNext()
            while !fixture.settled.isEmpty { fixture.settleNext() }
        }
        #expect(order.prefix(12).filter { $0 == "small.test" }.count == 5)
        #expect(!fixture.messages.values.contains { $0.envelope.recipients[0].mailbox.localPart.unquoted == "new" })
    }

    @Test func `a session that breaks off early is no fault of the message, if it had served others`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        _ = fixture.readyNext()
        fixture.finishNext()
        fixture.settleNext()
        try fixture.add()
        fixture.finishNext(Reply(421, nil, "enough"), .brokenEarly)
        #expect(fixture.settled.isEmpty)
        #expect(fixture.opened.count == 1)
        _ = fixture.readyNext()
        // Over a fresh connection it is.
        fixture.finishNext(Reply(421, nil, "enough"), .brokenEarly)
        #expect(fixture.settled.first?.deferred.count == 1)
    }

    @Test func `what one server cannot take is offered to the others`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        _ = fixture.readyNext()
        let obstacle = Reply(550, .init(6, 7), "no SMTPUTF8")
        fixture.finishNext(obstacle, .unsuitable)
        #expect(fixture.opened.map(\.excluding) == [["r1"]])
        fixture.exhaustNext()
        #expect(fixture.settled.first?.failed.map(\.reply) == [obstacle])
        fixture.settleNext()
        try fixture.add()
        fixture.finishNext(obstacle, .unsuitable)
        _ = fixture.readyNext()
        fixture.finishNext()
        #expect(fixture.settled.first?.delivered.count == 1)
        fixture.settleNext()
        // One that cannot be reached now is waited for.
        try fixture.add()
        fixture.finishNext(obstacle, .unsuitable)
        fixture.failNext()
        #expect(fixture.settled.first?.failed.isEmpty == true)
        #expect(fixture.settled.first?.deferred.count == 1)
    }

    @Test func `routes that need no connection are answered at once`() throws {
        var fixture = DispatcherFixture()
        try fixture.add(["a@fail.test"])
        #expect(fixture.settled.first?.failed.first?.reply.status == "5.1.2")
        fixture.settleNext()
        try fixture.add(["a@drop.test"])
        #expect(fixture.settled.first?.delivered.count == 1)
        fixture.settleNext()
        #expect(fixture.messages.isEmpty)
        #expect(fixture.opened.isEmpty)
    }

    @Test func `a destination that does not exist fails its mail and is looked up again`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        try fixture.add()
        let gone = Reply(550, .init(4, 4), "not found")
        for opened in fixture.opened { fixture.handle(.openFailed(opened.id, .permanent(gone))) }
        #expect(fixture.settled.count == 2)
        fixture.settleNext()
        fixture.settleNext()
        try fixture.add()
        #expect(fixture.settled.first?.failed.first?.reply == gone)
        fixture.settleNext()
        fixture.forget()
        fixture.pass(.seconds(301))
        try fixture.add()
        #expect(fixture.settled.isEmpty)
        #expect(fixture.opened.count == 1)
    }

    @Test func `time is over exactly at the lifetime, with one verdict`() throws {
        var lifetimes = QueueOptions()
        lifetimes.lifetime = .seconds(10 * 86_400)
        var fixture = DispatcherFixture(lifetimes: lifetimes)
        let id = try fixture.add(["a@x.test", "b@y.test"])
        while !fixture.opened.isEmpty { fixture.failNext() }
        fixture.pass(.seconds(10 * 86_400 - 60))
        while !fixture.opened.isEmpty { fixture.failNext() }
        let message = try #require(fixture.messages[id])
        fixture.handle(.overdue([message]))
        #expect(fixture.settled.isEmpty)
        fixture.now = fixture.now + .seconds(60)
        fixture.handle(.overdue([message]))
        fixture.handle(.overdue([message]))
        #expect(fixture.settled.count == 1)
        #expect(fixture.settled.first?.failed.count == 2)
        #expect(fixture.settled.first?.hasExpired == true)
        #expect(fixture.settled.first?.condition == [0, 1])
        fixture.settleNext()
        #expect(fixture.messages.isEmpty)
    }

    @Test func `the last attempt of a deferred message is at the end of its time`() throws {
        var lifetimes = QueueOptions()
        lifetimes.lifetime = .seconds(1000)
        var fixture = DispatcherFixture(lifetimes: lifetimes)
        try fixture.add()
        let start = fixture.now
        var attempts: [Int] = []
        for _ in 0..<5000 where !fixture.messages.isEmpty {
            while fixture.readyNext() != nil {}
            while !fixture.delivered.isEmpty {
                attempts.append(Int((fixture.now - start).inSeconds))
                fixture.finishNext(Reply(450, nil, "later"))
                while !fixture.settled.isEmpty { fixture.settleNext() }
            }
            fixture.pass(.seconds(1))
        }
        #expect(attempts == [0, 300, 600, 1000])
        #expect(fixture.messages.isEmpty)
    }

    @Test func `a flush tries what is down`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        fixture.failNext()
        fixture.handle(.flush(destination: "y.test"))
        #expect(fixture.opened.isEmpty)
        fixture.handle(.flush(destination: "x.test"))
        #expect(fixture.opened.count == 1)
        fixture.failNext()
        fixture.handle(.flush(destination: nil))
        #expect(fixture.opened.count == 1)
    }

    @Test func `other routes take over what waits`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        fixture.failNext()
        let other = try Route("smtp:[192.0.2.9]", recipientDomain: .literal(AddressLiteral(.v4(0))))
        fixture.dispatcher.use(
            options: ForwarderOptions(), lifetimes: QueueOptions(), routes: RouteTable { _ in other ?? .discard })
        fixture.handle(.routesChanged)
        #expect(fixture.opened.map(\.destination) == ["[192.0.2.9]"])
        _ = fixture.readyNext()
        fixture.finishNext()
        fixture.settleNext()
        #expect(fixture.messages.isEmpty)
    }

    @Test func `all connections together stay below their limit`() throws {
        var options = ForwarderOptions()
        options.connections = 3
        var fixture = DispatcherFixture(options: options)
        for number in 0..<10 { try fixture.add(["a@d\(number).test"]) }
        #expect(fixture.opened.count == 3)
        for _ in 0..<40 where !fixture.messages.isEmpty {
            while fixture.readyNext() != nil {}
            #expect(fixture.delivered.count <= 3)
            fixture.finishNext()
            while !fixture.settled.isEmpty { fixture.settleNext() }
            for id in fixture.quit { fixture.handle(.closed(id)) }
            fixture.pass(.seconds(6))
            for id in fixture.quit { fixture.handle(.closed(id)) }
        }
        #expect(fixture.messages.isEmpty)
    }

    @Test func `after stop nothing new begins`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        _ = fixture.readyNext()
        fixture.handle(.stop)
        try fixture.add()
        #expect(fixture.delivered.count == 1)
        fixture.finishNext()
        #expect(fixture.quit.count == 1)
        fixture.settleNext()
        #expect(fixture.dispatcher.activeJobs == 0)
    }

    /// Whatever happens, in any order, no message is lost, sent twice at once, or stuck.
    @Test func `random days end with an empty queue`() throws {
        for round in 0..<60 {
            var options = ForwarderOptions()
            options.concurrency = 3
            options.recipientsPerTransaction = 2
            var fixture = DispatcherFixture(options: options)
            for step in 0..<300 {
                switch Int.random(in: 0..<12) {
                case 0...2 where step < 200:
                    let domains = ["x.test", "y.test", "z.test"]
                    let recipients = (0..<Int.random(in: 1...4)).map { "u\($0)@\(domains[Int.random(in: 0..<3)])" }
                    try fixture.add(recipients, inMemory: Bool.random())
                case 3, 4: _ = fixture.readyNext()
                case 5: fixture.failNext()
                case 6: fixture.finishNext(Reply(450, nil, "later"))
                case 7: fixture.finishNext(Reply(421, nil, "bye"), .broken)
                case 8: fixture.finishNext(Reply(421, nil, "bye"), .brokenEarly)
                case 9: fixture.settleNext()
                case 10: fixture.finishNext()
                default: fixture.pass(.seconds(Int.random(in: 1...400)))
                }
                // Nobody is being sent the same message twice at once.
                let pairs = fixture.delivered.flatMap { item in
                    item.delivery.envelope.recipients.map { "\(item.job.message.id) \($0.mailbox)" }
                }
                #expect(Set(pairs).count == pairs.count)
            }
            for _ in 0..<4000 where !fixture.messages.isEmpty {
                while fixture.readyNext() != nil {}
                while !fixture.delivered.isEmpty { fixture.finishNext() }
                while !fixture.settled.isEmpty { fixture.settleNext() }
                fixture.pass(.seconds(100))
            }
            #expect(fixture.messages.isEmpty, "round \(round)")
            #expect(fixture.dispatcher.activeJobs == 0)
        }
    }

    // MARK: What messages ask of connections

    @Test func `messages that ask for something have connections of their own`() throws {
        var fixture = DispatcherFixture()
        for requirement in [TLSRequirement.unspecified, .required, .optional] {
            try fixture.add(tls: requirement)
        }
        // To the options they are one destination.
        #expect(fixture.opened.map(\.destination) == ["[x.test]", "[x.test]", "[x.test]"])
        #expect(fixture.requirements == [.unspecified, .required, .optional])
        let first = fixture.readyNext()
        #expect(fixture.delivered.map(\.delivery.envelope.parameters.tls) == [.unspecified])
        fixture.finishNext()
        #expect(fixture.delivered.isEmpty, "\(String(describing: first)) takes nothing of the others")
        #expect(
            fixture.dispatcher.status.map(\.destination).sorted() == [
                "[x.test]", "[x.test] (REQUIRETLS)", "[x.test] (TLS-Required: No)",
            ])
        // Whoever names it means all of it.
        fixture.failNext()
        fixture.failNext()
        fixture.forget()
        fixture.handle(.flush(destination: "[x.test]"))
        #expect(fixture.opened.count == 2 && Set(fixture.requirements.suffix(2)) == [.required, .optional])
    }

    @Test func `connections that were made under other rules end with what they do`() throws {
        var fixture = DispatcherFixture()
        let routes = DispatcherFixture.byName
        // A message that waits for its time, for without mail a connection ends with any change.
        try fixture.add()
        let ready = fixture.readyNext()
        let idle = try #require(ready)
        fixture.finishNext(Reply(450, .init(2, 0), "later"))
        fixture.settleNext()
        // Nothing has changed: it stays.
        fixture.dispatcher.use(options: ForwarderOptions(), lifetimes: QueueOptions(), routes: routes)
        fixture.handle(.routesChanged)
        #expect(fixture.quit.isEmpty)
        try fixture.add()
        #expect(fixture.delivered.map(\.id) == [idle])
        let opening = try DispatcherFixture.opening(&fixture)
        fixture.dispatcher.use(
            options: ForwarderOptions(), lifetimes: QueueOptions(), routes: routes, keepsConnections: false)
        fixture.handle(.routesChanged)
        #expect(fixture.quit.isEmpty, "a busy one ends with its message")
        fixture.finishNext()
        #expect(fixture.quit == [idle])
        fixture.settleNext()
        // One that was on its way is not used either, and the next is made under the new rules.
        fixture.handle(.ready(opening, remote: "r"))
        #expect(fixture.quit == [idle, opening])
        #expect(fixture.delivered.isEmpty)
        let next = fixture.readyNext()
        let new = try #require(next)
        #expect(fixture.delivered.map(\.id) == [new])
    }

    @Test func `an idle connection that was made under other rules ends at once`() throws {
        var fixture = DispatcherFixture()
        try fixture.add()
        let ready = fixture.readyNext()
        let idle = try #require(ready)
        fixture.finishNext(Reply(450, .init(2, 0), "later"))
        fixture.settleNext()
        fixture.dispatcher.use(
            options: ForwarderOptions(), lifetimes: QueueOptions(), routes: DispatcherFixture.byName,
            keepsConnections: false)
        fixture.handle(.routesChanged)
        #expect(fixture.quit == [idle])
    }
}
