import DequeModule
import Mail
import NIOCore
import Polling
import Resolver
import SMTP

/// A connection while it is at the gate.
struct Connection {
    let descriptor: CInt
    /// Behind a proxy that of whom it speaks for, once that is known.
    var client: Endpoint
    var local: Endpoint?
    let session: QueueID
    let began: NIODeadline
    var screening: Screening
    var place: ClientLimits.Place?
    var timer: TimerHeap<UInt64>.Token?
    /// Questions under way.
    var queries: [DNSQuery] = []

    init(descriptor: CInt, client: Endpoint, session: QueueID, began: NIODeadline, screening: Screening) {
        self.descriptor = descriptor
        self.client = client
        self.session = session
        self.began = began
        self.screening = screening
    }
}

/// The connections at the gate. Each has a number that is not used twice, so that what comes late finds nobody.
struct ConnectionTable {
    private var slots: [(number: UInt64, connection: Connection?)] = []
    private var free: [Int] = []
    private var lastSerial: UInt32 = 0
    private(set) var count = 0
    private(set) var waitingCount = 0
    private(set) var silentCount = 0
    /// Who was there first: known clients that are silent, others that are, and others that wait for the greeting.
    /// Those that have gone on since stay in these lists until somebody looks.
    private var silentKnown = Deque<UInt64>()
    private var silentUnknown = Deque<UInt64>()
    private var waiting = Deque<UInt64>()

    var isEmpty: Bool { self.count == 0 }

    var numbers: [UInt64] { self.slots.compactMap { $0.connection == nil ? nil : $0.number } }

    /// A number that no connection has or will have.
    mutating func nextNumber() -> UInt64 {
        self.lastSerial &+= 1
        return UInt64(self.lastSerial) << 32 | UInt64(UInt32.max)
    }

    mutating func add(_ connection: Connection) -> UInt64 {
        self.lastSerial &+= 1
        let slot = self.free.popLast() ?? self.slots.count
        let number = UInt64(self.lastSerial) << 32 | UInt64(slot)
        if slot == self.slots.count {
            self.slots.append((number, connection))
        } else {
            self.slots[slot] = (number, connection)
        }
        self.count += 1
        return number
    }

    private func slot(_ number: UInt64) -> Int? {
        let slot = Int(UInt32(truncatingIfNeeded: number))
        guard slot < self.slots.count, self.slots[slot].number == number, self.slots[slot].connection != nil else {
            return nil
        }
        return slot
    }

    /// Of a connection that is gone there is nothing to change.
    subscript(number: UInt64) -> Connection? {
        get { self.slot(number).flatMap { self.slots[$0].connection } }
        _modify {
            var nobody: Connection?
            if let slot = self.slot(number) { yield &self.slots[slot].connection } else { yield &nobody }
        }
    }

    /// nil if it is gone.
    func phase(of number: UInt64) -> Screening.Phase? {
        self.slot(number).flatMap { self.slots[$0].connection?.screening.phase }
    }

    mutating func remove(_ number: UInt64) -> Connection? {
        guard let slot = self.slot(number), let connection = self.slots[slot].connection else { return nil }
        self.slots[slot].connection = nil
        self.free.append(slot)
        self.count -= 1
        self.leave(connection.screening.phase)
        if self.count == 0 { self = ConnectionTable(after: self.lastSerial) }
        return connection
    }

    init() {}

    /// An empty table gives its memory back.
    private init(after serial: UInt32) { self.lastSerial = serial }

    /// Gives an event to a connection's screening; nil if it is gone.
    mutating func handle(_ number: UInt64, _ event: Screening.Event) -> [Screening.Action]? {
        guard let slot = self.slot(number), let before = self.slots[slot].connection?.screening.phase else {
            return nil
        }
        let actions = self.slots[slot].connection?.screening.handle(event)
        let after = self.slots[slot].connection?.screening.phase ?? .other
        if after != before {
            self.leave(before)
            self.enter(after, number)
        }
        return actions
    }

    private mutating func leave(_ phase: Screening.Phase) {
        switch phase {
        case .waiting: self.waitingCount -= 1
        case .silent: self.silentCount -= 1
        case .other: break
        }
    }

    private mutating func enter(_ phase: Screening.Phase, _ number: UInt64) {
        switch phase {
        case .waiting:
            self.waitingCount += 1
            self.waiting.append(number)
            if self.isLong(self.waiting) { self.waiting = self.waiting.filter { self.isIn(.waiting, $0) } }
        case .silent where self.slot(number).map { self.slots[$0].connection?.place?.standing } == .known:
            self.silentCount += 1
            self.silentKnown.append(number)
            if self.isLong(self.silentKnown) { self.silentKnown = self.silentKnown.filter { self.isIn(.silent, $0) } }
        case .silent:
            self.silentCount += 1
            self.silentUnknown.append(number)
            if self.isLong(self.silentUnknown) {
                self.silentUnknown = self.silentUnknown.filter { self.isIn(.silent, $0) }
            }
        case .other: break
        }
    }

    /// Most of it are connections that have gone on.
    private func isLong(_ list: Deque<UInt64>) -> Bool { list.count > 2 * self.count + 1024 }

    private func isIn(_ phase: Screening.Phase, _ number: UInt64) -> Bool {
        self.phase(of: number) == phase
    }

    /// Takes the connection off the list that has been silent since its greeting for the longest, or else has waited
    /// for it for the longest; nil if there is none.
    mutating func takeOldest(_ standing: ClientLimits.Standing) -> UInt64? {
        switch standing {
        case .known:
            while let number = self.silentKnown.popFirst() { if self.isIn(.silent, number) { return number } }
        case .unknown:
            while let number = self.silentUnknown.popFirst() { if self.isIn(.silent, number) { return number } }
            while let number = self.waiting.popFirst() { if self.isIn(.waiting, number) { return number } }
        }
        return nil
    }
}
