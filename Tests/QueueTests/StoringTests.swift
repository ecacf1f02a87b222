import Clocks
import Foundation
import Harness
import Mail
import Queue
import Synchronization
import Testing

struct StoringTests {
    @Test func `everything about a message comes back as it was`() throws {
        try withQueue { queue, folder throws in
            var parameters = MailParameters()
            parameters.body = .eightBitMIME
            parameters.smtputf8 = true
            parameters.noticeReturn = .headers
            parameters.envelopeID = "QQ+2B1"
            var envelope = Envelope(
                reversePath: .mailbox(try mailbox("\"a b\"@[IPv6:2001:db8::1]")), parameters: parameters)
            var options = RecipientParameters()
            options.notify = [.success, .delay]
            options.originalRecipient = "rfc822;x@example.test"
            envelope.recipients = [
                Recipient(try mailbox("A.B+c@Example.TEST"), parameters: options),
                Recipient(try mailbox("δ@παράδειγμα.gr")),
                Recipient(try mailbox("x@example.test")),
            ]
            let client = ClientIdentity(
                address: .v6(high: 1, low: 2), port: 99, hostname: "h.example", helo: "helo", proto: "UTF8SMTP")
            let time = Timestamp(microseconds: 1_800_000_000_123_456)
            let bytes = content(3000)
            let id = try queue.take(envelope, bytes, at: time, client: client)
            for reopened in [false, true] {
                let check = { (queue: LMDBQueue) throws in
                    let message = try #require(try queue.message(id))
                    #expect(message.envelope == envelope)
                    #expect(message.client == client)
                    #expect(message.arrival == time)
                    #expect(message.contentBytes == bytes.count)
                    #expect(message.progress.lanes.map(\.name) == ["example.test", "xn--hxajbheg2az3al.gr"])
                    #expect(message.progress.recipients.map(\.lane) == [0, 1, 0])
                    #expect(try queue.whole(id) == bytes)
                }
                guard reopened else {
                    try check(queue)
                    continue
                }
                queue.close()
                try reopen(folder.path) { try check($0) }
            }
        }
    }

    @Test(arguments: [0, 1, 4078, 4079, 4080, 130_528, 130_529, 1_000_000]) func `content of any size comes back`(
        bytes: Int
    ) throws {
        try withQueue { queue, folder throws in
            let original = bytes == 0 ? [] : content(bytes)
            let id = try queue.take(try envelope(), original, at: Timestamp(seconds: 1))
            #expect(try queue.whole(id) == original)
            var pieces: [UInt8] = []
            while true {
                let piece = try queue.content(of: id, from: pieces.count, limit: 5000)
                if piece.isEmpty { break }
                pieces += piece
            }
            #expect(pieces == original)
            queue.close()
            let report = try QueueCheck(folder: folder.path).run()
            #expect(report.findings == [])
            #expect(report.messages == 1)
        }
    }

    @Test(arguments: [(100, 50), (400_000, 50), (400_000, 4079), (400_000, 20_000), (1_000_000, 8158)])
    func `what is put in front at the end is read first, in pieces of any size`(_ bytes: Int, _ headBytes: Int) throws {
        try withQueue { queue, folder throws in
            let (head, body) = (content(headBytes, seed: 7), content(bytes))
            let id = try queue.take(try envelope(), body, head: head, at: Timestamp(seconds: 1))
            let following = try queue.take(try envelope(), body, at: Timestamp(seconds: 2))
            let message = try #require(try queue.message(id))
            #expect(message.contentBytes == head.count + body.count)
            #expect(message.headBytes == (bytes > IncomingContent.pieceBytes ? head.count : 0))
            #expect(try queue.whole(id) == head + body)
            #expect(try queue.whole(following) == body)
            for size in [700, 5000, 128 * 1024] {
                var pieces: [UInt8] = []
                var check = ContentCheck(of: message)
                while true {
                    let piece = try queue.content(of: id, from: pieces.count, limit: size)
                    if piece.isEmpty { break }
                    #expect(!check.isWhole)
                    check.update(piece)
                    pieces += piece
                }
                #expect(pieces == head + body)
                #expect(check.isWhole)
            }
            let due = try queue.due(
                in: "example.test", at: Timestamp(seconds: 9), skipping: [], limit: 10, contentLimit: 2_000_000)
            #expect(due.messages.first { $0.message.id == id }?.content == head + body)
            queue.close()
            #expect(try QueueCheck(folder: folder.path).run().findings == [])
        }
    }

    @Test func `a message whose head is not what was stored is damaged`() throws {
        try withQueue { queue, _ throws in
            let id = try queue.take(
                try envelope(), content(400_000), head: content(5000, seed: 7), at: Timestamp(seconds: 1))
            let message = try #require(try queue.message(id))
            var bytes = try queue.whole(id)
            bytes[17] ^= 1
            var check = ContentCheck(of: message)
            check.update(bytes)
            #expect(!check.isWhole)
        }
    }

    @Test func `what was not stored is gone after a restart and leaves nothing behind`() throws {
        let folder = try TemporaryFolder()
        let last = try reopen(folder.path) { queue throws in
            var incoming = IncomingContent(id: queue.beginMessage())
            incoming.buffer = content(400_000)
            let taken = incoming.takePiece()
            let piece = try #require(taken)
            try wait { queue.append(piece, completion: $0) }
            #expect(try queue.statistics().receiving == 1)
            return incoming.id
        }
        try reopen(folder.path) { queue throws in
            #expect(try queue.statistics().receiving == 0)
            #expect(try queue.all().isEmpty)
            #expect(queue.makeID() > last)
        }
        #expect(try QueueCheck(folder: folder.path).run().findings == [])
    }

    @Test func `content that is dropped leaves nothing behind`() throws {
        try withQueue { queue, folder throws in
            var incoming = IncomingContent(id: queue.beginMessage())
            incoming.buffer = content(400_000)
            let taken = incoming.takePiece()
            let piece = try #require(taken)
            try wait { queue.append(piece, completion: $0) }
            queue.drop(incoming.id, wasAppended: true)
            try eventually("it is dropped") { try queue.statistics().receiving == 0 }
            queue.close()
            #expect(try QueueCheck(folder: folder.path).run().findings == [])
        }
    }

    @Test func `waiting messages share a commit`() throws {
        let gate = DispatchSemaphore(value: 0)
        let first = Mutex(true)
        var probe = QueueProbe()
        probe.reached = { step in
            guard step == .beforeCommit,
                first.withLock({ isFirst in
                    defer { isFirst = false }; return isFirst
                })
            else { return }
            gate.wait()
        }
        try withQueue(probe: probe) { queue, _ throws in
            let done = Mutex(0)
            for seed in 0..<100 {
                var incoming = IncomingContent(id: queue.beginMessage())
                incoming.buffer = content(1000, seed: seed)
                let message = incoming.finish(
                    arrival: Timestamp(seconds: 1), envelope: try envelope(), client: nil, about: nil,
                    needsSMTPUTF8: false,
                    lanes: .byDomain)
                queue.store(message) { result in
                    if case .success = result { done.withLock { $0 += 1 } }
                }
            }
            #expect(done.withLock { $0 } == 0)
            gate.signal()
            try eventually("all are safe") { done.withLock { $0 } == 100 }
            #expect(try queue.statistics().commits <= 3)
        }
    }

    @Test func `IDs rise over restarts with a clock that is set back`() throws {
        let folder = try TemporaryFolder()
        let clock = TestClock()
        let first = try reopen(folder.path, clock: clock) { try $0.take(try envelope(), content(10), at: clock.now) }
        clock.set(Timestamp(seconds: 1000))
        let second = try reopen(folder.path, clock: clock) { try $0.take(try envelope(), content(10), at: clock.now) }
        #expect(second > first)
    }

    @Test func `files of an unknown format are not touched`() throws {
        let folder = try TemporaryFolder()
        try reopen(folder.path) { _ = try $0.take(try envelope(), content(10), at: Timestamp(seconds: 1)) }
        try writeMeta(folder.path, key: "format", value: 99)
        #expect(throws: QueueError.unusable("the queue has an unknown format")) { try reopen(folder.path) { _ in } }
        try writeMeta(folder.path, key: "format", value: 1)
        #expect(try reopen(folder.path) { try $0.all().count } == 1)
    }

    @Test func `a backup made while messages come in is a whole queue`() throws {
        try withQueue { queue, folder throws in
            for seed in 0..<50 { try queue.take(try envelope(), content(5000, seed: seed), at: Timestamp(seconds: 1)) }
            let copy = try TemporaryFolder()
            try queue.backup(to: copy.path("data.mdb"))
            #expect(throws: QueueError.self) { try queue.backup(to: copy.path("data.mdb")) }
            for seed in 50..<60 { try queue.take(try envelope(), content(5000, seed: seed), at: Timestamp(seconds: 1)) }
            #expect(try QueueCheck(folder: copy.path).run().messages == 50)
            try reopen(copy.path) { restored throws in
                for (seed, message) in try restored.all().enumerated() {
                    #expect(try restored.whole(message.id) == content(5000, seed: seed))
                }
            }
        }
    }
}

struct FullTests {
    @Test func `a full disk fails what is new and nothing else, and passes`() throws {
        let isFull = Mutex(false)
        var probe = QueueProbe()
        probe.reached = { step throws(QueueError) in
            if step == .beforeCommit, isFull.withLock({ $0 }) { throw .full }
        }
        try withQueue(probe: probe) { queue, _ throws in
            let kept = try queue.take(try envelope(), content(2000), at: Timestamp(seconds: 1))
            isFull.withLock { $0 = true }
            #expect(throws: QueueError.full) {
                try queue.take(try envelope(), content(2000), at: Timestamp(seconds: 1))
            }
            #expect(!queue.hasRoom(forBytes: 1))
            isFull.withLock { $0 = false }
            #expect(try queue.whole(kept) == content(2000))
            try queue.take(try envelope(), content(2000), at: Timestamp(seconds: 1))
            #expect(try queue.all().count == 2)
        }
    }

    @Test func `a file at its largest size takes what fits and keeps what it has`() throws {
        let clock = TestClock()
        try withQueue(options: .small(maximum: 4 << 20, reserve: 1 << 20), clock: clock) { queue, folder throws in
            var kept: [QueueID: Int] = [:]
            var refused = 0
            for seed in 0..<80 {
                guard queue.hasRoom(forBytes: 100_000) else {
                    refused += 1
                    continue
                }
                kept[try queue.take(try envelope(), content(100_000, seed: seed), at: clock.now)] = seed
            }
            #expect(refused > 10 && kept.count > 10)
            for (id, seed) in kept { #expect(try queue.whole(id) == content(100_000, seed: seed)) }
            // There is always room to get rid of something, and then for something new.
            #expect(try queue.operateAndWait(.delete, on: Array(kept.keys.prefix(5))).count == 5)
            clock.advance(.seconds(2))
            try queue.take(try envelope(), content(100_000), at: clock.now)
            queue.close()
            #expect(try QueueCheck(folder: folder.path).run().findings == [])
        }
    }

    @Test func `one message that does not fit spoils no other of its commit`() throws {
        let gate = DispatchSemaphore(value: 0)
        let first = Mutex(true)
        var probe = QueueProbe()
        probe.reached = { step in
            guard step == .beforeCommit,
                first.withLock({ isFirst in
                    defer { isFirst = false }; return isFirst
                })
            else { return }
            gate.wait()
        }
        try withQueue(options: .small(maximum: 2 << 20, reserve: 0), probe: probe) { queue, _ throws in
            let results = Mutex<[Bool]>([])
            for bytes in [1000, 1000, 3_000_000, 1000, 1000] {
                var incoming = IncomingContent(id: queue.beginMessage())
                incoming.buffer = content(bytes)
                let message = incoming.finish(
                    arrival: Timestamp(seconds: 1), envelope: try envelope(), client: nil, about: nil,
                    needsSMTPUTF8: false,
                    lanes: .byDomain)
                queue.store(message) { result in results.withLock { $0.append((try? result.get()) != nil) } }
            }
            gate.signal()
            try eventually("all are decided") { results.withLock { $0.count } == 5 }
            #expect(results.withLock { $0.filter { $0 }.count } == 4)
            #expect(try queue.all().count == 4)
        }
    }

    @Test func `below the reserve nothing new is let in`() throws {
        let free = Mutex(10 << 20)
        let clock = TestClock()
        var probe = QueueProbe()
        probe.diskFreeBytes = { free.withLock { $0 } }
        try withQueue(options: .small(reserve: 8 << 20), clock: clock, probe: probe) { queue, _ throws in
            #expect(queue.hasRoom(forBytes: 1 << 20))
            #expect(!queue.hasRoom(forBytes: 3 << 20))
            free.withLock { $0 = 7 << 20 }
            clock.advance(.seconds(2))
            #expect(!queue.hasRoom(forBytes: 0))
            free.withLock { $0 = 100 << 20 }
            clock.advance(.seconds(2))
            #expect(queue.hasRoom(forBytes: 50 << 20))
        }
    }
}
