import Clocks
import Foundation
import Harness
import Mail
import Queue
import Synchronization
import Testing

extension QueueOptions {
    /// Small, so that opening costs nothing.
    static func small(maximum: Int = 256 << 20, reserve: Int = 1 << 20) -> QueueOptions {
        var options = QueueOptions()
        options.maximumSize = ByteCount(maximum)
        options.reserve = ByteCount(reserve)
        return options
    }
}

func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }

func envelope(_ recipients: [String] = ["a@example.test"], from: String = "s@client.example") throws -> Envelope {
    var envelope = Envelope(reversePath: from.isEmpty ? .null : .mailbox(try mailbox(from)))
    envelope.recipients = try recipients.map { Recipient(try mailbox($0)) }
    return envelope
}

/// Content of so many octets, in lines, different for each seed.
func content(_ bytes: Int, seed: Int = 0) -> [UInt8] {
    var output = Array("Subject: \(seed)\r\n\r\n".utf8)
    var state = UInt64(seed) &+ 1
    while output.count < bytes {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        output += Array("\(state)\r\n".utf8)
    }
    return output
}

extension MailQueue {
    /// Takes a message in as the receiver does, and waits until it is safe.
    @discardableResult
    func take(
        _ envelope: Envelope, _ content: [UInt8], head: [UInt8] = [], at time: Timestamp,
        client: ClientIdentity? = nil, lanes: LaneNaming = .byDomain
    ) throws -> QueueID {
        var incoming = IncomingContent(id: self.beginMessage())
        var rest = content[...]
        while !rest.isEmpty {
            incoming.buffer += rest.prefix(10_000)
            rest = rest.dropFirst(10_000)
            if let piece = incoming.takePiece() { try wait { self.append(piece, completion: $0) } }
        }
        let id = incoming.id
        incoming.head = head
        let new = incoming.finish(
            arrival: time, envelope: envelope, client: client, about: nil, needsSMTPUTF8: false, lanes: lanes)
        try wait { self.store(new, completion: $0) }
        return id
    }

    func settleAndWait(_ settlement: Settlement) throws { try wait { self.settle(settlement, completion: $0) } }

    func operateAndWait(_ operation: QueueOperation, on ids: [QueueID]) throws -> [QueueID] {
        try wait { self.operate(operation, on: ids, completion: $0) }
    }

    func whole(_ id: QueueID) throws -> [UInt8] { try self.content(of: id, from: 0, limit: 1 << 30) }

    func all() throws -> [QueuedMessage] { try self.messages(after: nil, limit: 100_000).messages }
}

/// Waits for a completion.
@discardableResult
func wait<Value: Sendable>(
    _ start: (@escaping @Sendable (Result<Value, QueueError>) -> Void) -> Void
) throws -> Value {
    let done = DispatchSemaphore(value: 0)
    let outcome = Mutex<Result<Value, QueueError>?>(nil)
    start { result in
        outcome.withLock { $0 = result }
        done.signal()
    }
    #expect(done.wait(timeout: .now() + 30) == .success)
    return try #require(outcome.withLock { $0 }).get()
}

/// A queue in a folder of its own, closed at the end.
func withQueue(
    options: QueueOptions = .small(), clock: TestClock = TestClock(), probe: QueueProbe = QueueProbe(),
    events: EventSink = EventSink { _ in }, _ body: (LMDBQueue, TemporaryFolder) throws -> Void
) throws {
    let folder = try TemporaryFolder()
    let queue = try LMDBQueue(
        folder: folder.path, options: options, clock: clock.wallClock, events: events, probe: probe)
    defer { queue.close() }
    try body(queue, folder)
}

/// Opens what is in a folder, as after a crash.
@discardableResult
func reopen<Result>(
    _ folder: String, clock: TestClock = TestClock(), events: EventSink = EventSink { _ in },
    _ body: (LMDBQueue) throws -> Result
) throws -> Result {
    let queue = try LMDBQueue(folder: folder, options: .small(), clock: clock.wallClock, events: events)
    defer { queue.close() }
    return try body(queue)
}
