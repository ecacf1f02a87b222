import CSystem
import Glibc
import Mail
import NIOCore
import Polling
import Resolver
import SMTP

/// What happens on the gate's thread: it performs what each connection's ``Screening`` says, and decides nothing but
/// who has to make room.
final class GateKeeper {
    let context: GateContext
    let mailbox: Gate.Mailbox
    private let capacity: GateCapacity
    let handOn: @Sendable (ScreenedConnection) -> Void
    let poll: EventPoll
    let teaser: [UInt8]
    let greeting: [UInt8]

    private var policy: ScreenerPolicy
    private var listeners: [(socket: ListeningSocket, door: Screening.Door, number: UInt64)] = []
    var connections = ConnectionTable()
    var timers = TimerHeap<UInt64>()
    private var sessionIDs = QueueIDGenerator(after: QueueID(value: 0))
    var results: [ScreeningOutcome.Result: Int] = [:]
    private var isEnding = false
    /// No connection can be accepted until then.
    private var pauseEnd: NIODeadline?
    /// When it was last said that none can be.
    private var lastComplaint: NIODeadline?

    /// The most there were since memory was given back.
    private var mostConnections = 0
    /// Connections that are worth that.
    private static let floodConnections = 1000

    /// Connections accepted before others have their turn.
    private static let acceptBatch = 64
    private static let pause = TimeAmount.milliseconds(100)
    private static let complaintInterval = TimeAmount.seconds(60)

    init(
        _ context: GateContext, policy: ScreenerPolicy, capacity: GateCapacity, mailbox: Gate.Mailbox,
        handOn: @escaping @Sendable (ScreenedConnection) -> Void
    ) throws(SystemError) {
        self.context = context
        self.policy = policy
        self.capacity = capacity
        self.mailbox = mailbox
        self.handOn = handOn
        self.poll = try EventPoll(wakeup: mailbox.wakeup, batchSize: 256)
        let greeting = Reply.greeting(context.hostname)
        let teaser = Reply(code: greeting.code, detail: nil, lines: greeting.lines + greeting.lines)
        var bytes: [UInt8] = []
        greeting.append(to: &bytes)
        self.greeting = bytes
        var both: [UInt8] = []
        teaser.append(to: &both)
        self.teaser = Array(both.dropLast(bytes.count))
    }

    func run() {
        while !self.isEnding || !self.connections.isEmpty {
            let next = [self.timers.nextDeadline(), self.pauseEnd].compactMap(\.self).min()
            self.poll.wait(until: next) { self.handle($0, $1) }
            for letter in self.mailbox.take() { self.handle(letter) }
            let now = NIODeadline.now()
            while let number = self.timers.next(dueAt: now) { self.handle(number, .timedOut) }
            if let end = self.pauseEnd, end <= now { self.resumeAccepting() }
            self.publish()
        }
        self.publish()
    }

    private func publish() {
        self.measureStress()
        self.giveMemoryBack()
        self.mailbox.status = GateStatus(
            waiting: self.connections.waitingCount, silent: self.connections.silentCount, isUnderStress: self.stress,
            results: self.results)
    }

    /// After a flood the allocator holds what thousands of connections had, in many small pieces.
    private func giveMemoryBack() {
        self.mostConnections = max(self.mostConnections, self.connections.count)
        guard self.mostConnections > Self.floodConnections, self.connections.count < self.mostConnections / 8 else {
            return
        }
        self.mostConnections = self.connections.count
        malloc_trim(0)
    }

    private func handle(_ number: UInt64, _ report: EventPoll.Interest) {
        if let listener = self.listeners.first(where: { $0.number == number }) {
            self.accept(listener.socket, listener.door)
        } else {
            self.look(number)
            // Behind octets that wait for the rest of their line the end would not be seen.
            if !report.isDisjoint(with: [.ended, .broken]) { self.handle(number, .input(.end)) }
        }
    }

    private func handle(_ letter: Gate.Mailbox.Letter) {
        switch letter {
        case .listen(let socket, let door): self.listen(socket, door)
        case .use(let policy): self.policy = policy
        case .answer(let number, let zone, let result): self.answer(number, zone: zone, result)
        case .question(let answer): answer()
        case .shutDown:
            self.isEnding = true
            for listener in self.listeners { listener.socket.close() }
            self.listeners = []
            self.pauseEnd = nil
            for number in self.connections.numbers { self.handle(number, .shutdown) }
        }
    }

    // MARK: - Accepting

    private func listen(_ socket: ListeningSocket, _ door: Screening.Door) {
        let number = self.connections.nextNumber()
        do {
            try self.poll.add(socket.descriptor, .readable, number: number)
            self.listeners.append((socket, door, number))
        } catch { self.context.complain("cannot wait for connections: \(error)") }
    }

    private func accept(_ socket: ListeningSocket, _ door: Screening.Door) {
        for _ in 0..<Self.acceptBatch {
            switch socket.accept() {
            case .connection(let descriptor, let client):
                self.begin(descriptor, client, at: socket, door)
            case .nobody: return
            case .exhausted(let code):
                guard self.shed(.unknown) || self.shed(.known) else { return self.stopAccepting(code) }
            case .failed(let code): return self.stopAccepting(code)
            }
        }
    }

    /// Without this the thread would spin on a listener from which nothing can be taken.
    private func stopAccepting(_ code: CInt) {
        let now = NIODeadline.now()
        if self.lastComplaint.map({ now - $0 >= Self.complaintInterval }) ?? true {
            self.lastComplaint = now
            self.context.complain("cannot accept connections: \(String(cString: strerror(code)))")
        }
        for listener in self.listeners { self.poll.remove(listener.socket.descriptor) }
        self.pauseEnd = now + Self.pause
    }

    private func resumeAccepting() {
        self.pauseEnd = nil
        let listeners = self.listeners
        self.listeners = []
        for listener in listeners { self.listen(listener.socket, listener.door) }
    }

    private func begin(
        _ descriptor: CInt, _ client: Endpoint, at socket: ListeningSocket, _ door: Screening.Door
    ) {
        let number = self.connections.add(
            Connection(
                descriptor: descriptor, client: client, session: self.sessionIDs.next(at: self.context.clock.now()),
                began: .now(), screening: Screening(self.policy, at: door)))
        do {
            try self.poll.add(descriptor, [.readable, .ended, .edges], number: number)
        } catch {
            self.context.complain("cannot wait for a client: \(error)")
            return self.close(number)
        }
        let isAnyAddress = socket.endpoint?.address.isUnspecified ?? true
        let local = isAnyAddress ? SocketAddress.reading { getsockname(descriptor, $0, $1) }?.endpoint : socket.endpoint
        self.connections[number]?.local = local
        guard door.isProxied else { return self.admit(number) }
        guard self.policy.proxy.networks.contains(where: { $0.contains(client.address) }) else {
            return self.handle(number, .shed(.proxyRefused))
        }
        self.wait(self.policy.proxy.timeout, number)
        self.look(number)
    }

    /// Finds out who the client is to us.
    ///
    /// - Parameter isProxy: it is a proxy that speaks for itself, to see whether we are well.
    func admit(_ number: UInt64, isProxy: Bool = false) {
        guard let connection = self.connections[number] else { return }
        let policy = connection.screening.policy
        let address = connection.client.address
        let now = self.context.clock.now()
        var access = isProxy ? .exempt(isLogged: false) : policy.access(address)
        var record: PassRecord?
        if case .tested = access { record = self.context.passes.record(of: policy.limits.client(address)) }
        let isKnown =
            switch access {
            case .exempt: true
            case .tested: policy.isKnown(record, at: now, isTLS: connection.screening.isTLS)
            case .rejected, .refused: false
            }
        let standing = isKnown ? ClientLimits.Standing.known : .unknown
        let capacity = isKnown ? self.capacity.known : self.capacity.unknown
        if self.context.clients.openConnections(standing) >= capacity { _ = self.shed(standing) }
        do {
            self.connections[number]?.place = try self.context.clients.admit(
                address, as: standing, capacity: capacity, limits: policy.limits,
                isExempt: policy.isTrusted(address), now: NIODeadline.now().uptimeNanoseconds)
        } catch { access = .refused(.to(error)) }
        self.measureStress()
        self.handle(
            number,
            .admitted(
                Screening.Admission(
                    address: address, access: access, record: record,
                    isVetoed: policy.isVetoed(connection.local?.address), isUnderStress: self.stress, now: now)))
    }

    // MARK: - Stress

    private var stress = false

    /// Begins at 90 % of the places of unknown clients and ends at 70 % (SEMANTICS §1).
    private func measureStress() {
        let open = self.context.clients.openConnections(.unknown)
        let limit = self.capacity.unknown
        if !self.stress, open * 10 >= limit * 9 {
            self.stress = true
            self.context.hurry()
            self.context.complain("\(open) of \(limit) connections of unknown clients are open: they get less time now")
        } else if self.stress, open * 10 <= limit * 7 {
            self.stress = false
            self.context.complain("\(open) connections of unknown clients are open: they get their time again")
        }
    }

    /// Makes room: of the clients of a standing the one goes that has been silent since its greeting for the longest,
    /// or else has waited for it for the longest.
    ///
    /// - Returns: whether there was one.
    private func shed(_ standing: ClientLimits.Standing) -> Bool {
        guard let number = self.connections.takeOldest(standing) else { return false }
        self.handle(number, .shed(.serverBusy))
        return true
    }
}
