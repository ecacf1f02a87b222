import Foundation
import Harness
import LMDB
import Mail
import Queue
import Synchronization
import Testing

/// Writes a number into the table `meta` behind the queue's back.
func writeMeta(_ folder: String, key: String, value: UInt64) throws {
    let environment = try Environment(folder: folder, mapBytes: 256 << 20, tables: 7)
    let table = try environment.table("meta")
    let bytes = withUnsafeBytes(of: value.bigEndian) { Array($0) }
    try environment.write { transaction throws(LMDBError) in try transaction.put(bytes, at: Array(key.utf8), in: table)
    }
}

struct DamageTests {
    private let now = Timestamp(seconds: 1_800_000_000)

    /// Changes a value of a table behind the queue's back, or removes it.
    private func damage(_ folder: String, _ table: String, _ id: QueueID, _ change: ([UInt8]) -> [UInt8]?) throws {
        let environment = try Environment(folder: folder, mapBytes: 256 << 20, tables: 7)
        let table = try environment.table(table)
        let prefix = withUnsafeBytes(of: id.value.bigEndian) { Array($0) }
        try environment.write { transaction throws(LMDBError) in
            var found: (key: [UInt8], value: [UInt8])?
            try transaction.scan(table, from: prefix) { key, value in
                if key.starts(with: prefix) { found = (Array(key), Array(value)) }
                return .stop
            }
            guard let found else { return }
            try transaction.delete(found.key, in: table)
            if let changed = change(found.value) { try transaction.put(changed, at: found.key, in: table) }
        }
    }

    @Test(arguments: ["messages", "progress", "content"], [0, 1, 20, -1])
    func `a damaged message is set aside and holds up nobody`(table: String, place: Int) throws {
        let folder = try TemporaryFolder()
        var ids: [QueueID] = []
        try reopen(folder.path) { queue throws in
            for seed in 0..<3 {
                ids.append(
                    try queue.take(
                        try envelope(["a@example.test", "b@example.test"]), content(600, seed: seed), at: self.now))
            }
            for id in ids {
                var settlement = Settlement(message: try #require(try queue.message(id)), time: self.now)
                settlement.results = [
                    Settlement.RecipientResult(
                        recipient: 0, result: .delivered, reply: Reply(250, nil, "Ok"), remote: nil)
                ]
                try queue.settleAndWait(settlement)
            }
        }
        try self.damage(folder.path, table, ids[1]) { value in
            var value = value
            value[place < 0 ? value.count - 1 : place] ^= 0x55
            return value
        }
        let finding = try #require(try QueueCheck(folder: folder.path).run().findings.first)
        #expect(finding.id == ids[1])

        let events = Mutex<[MailEvent]>([])
        try reopen(folder.path, events: EventSink { event in events.withLock { $0.append(event) } }) { queue in
            let due = try queue.due(in: "example.test", at: self.now, skipping: [], limit: 10, contentLimit: 10_000)
            #expect(due.messages.map(\.message.id) == [ids[0], ids[2]])
            try eventually("it is set aside") { try queue.statistics().damaged == 1 }
            #expect(try queue.lanes().map(\.count) == [2])
            #expect(try queue.all().map(\.id) == [ids[0], ids[2]])
            try eventually("it is reported") { events.withLock { !$0.isEmpty } }
        }
        // It is still there to be saved.
        let saved = Mutex<[Int]>([])
        let report = try QueueCheck(folder: folder.path).run { finding, salvage in
            #expect(finding.id == ids[1])
            saved.withLock { $0.append(salvage.content.count) }
        }
        #expect(report.findings.count == 1)
        #expect(saved.withLock { $0.first ?? 0 } >= 600)
    }

    @Test func `missing content is damage, and a lane that leads nowhere is forgotten`() throws {
        let folder = try TemporaryFolder()
        var ids: [QueueID] = []
        try reopen(folder.path) { queue throws in
            for seed in 0..<3 { ids.append(try queue.take(try envelope(), content(600, seed: seed), at: self.now)) }
        }
        try self.damage(folder.path, "content", ids[0]) { _ in nil }
        try self.damage(folder.path, "messages", ids[2]) { _ in nil }
        let problems = try QueueCheck(folder: folder.path).run().findings.map(\.problem)
        #expect(problems.contains("content is not what was stored"))
        #expect(problems.contains("lane example.test names a message that is not there"))
        #expect(problems.contains("content without a message"))
        try reopen(folder.path) { queue throws in
            #expect(
                try queue.due(in: "example.test", at: self.now, skipping: [], limit: 10, contentLimit: 10_000).messages
                    .map(\.message.id) == [ids[1]])
            try eventually("the lane has one left") { try queue.lanes().map(\.count) == [1] }
        }
    }

    @Test func `records with any octet changed or missing are refused and never trap`() throws {
        let folder = try TemporaryFolder()
        let id = try reopen(folder.path) {
            try $0.take(try envelope(["a@example.test", "b@other.test"]), content(50), at: self.now)
        }
        let original = Mutex<[UInt8]>([])
        try self.damage(folder.path, "messages", id) { value in
            original.withLock { $0 = value }
            return value
        }
        let bytes = original.withLock { $0 }
        for length in stride(from: 0, to: bytes.count, by: 7) {
            try self.damage(folder.path, "messages", id) { _ in Array(bytes[..<length]) }
            try reopen(folder.path) { queue in #expect(throws: QueueError.self) { try queue.message(id) } }
        }
        for place in stride(from: 0, to: bytes.count, by: 11) {
            var changed = bytes
            changed[place] ^= 0xFF
            try self.damage(folder.path, "messages", id) { _ in changed }
            try reopen(folder.path) { queue in #expect(throws: QueueError.self) { try queue.message(id) } }
        }
    }
}

/// The process is killed between every two steps: what the disk holds at each step is taken as what a crash leaves.
struct CrashTests {
    @Test func `every step of a message's life leaves a state that recovers`() throws {
        let snapshots = try TemporaryFolder()
        let count = Mutex(0)
        let source = Mutex("")
        var probe = QueueProbe()
        probe.reached = { _ in
            let number = count.withLock { value in
                value += 1
                return value
            }
            let folder = snapshots.path("\(number)")
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            try? FileManager.default.copyItem(
                atPath: source.withLock { $0 } + "/data.mdb", toPath: folder + "/data.mdb")
        }
        // What was promised, or finished, when the snapshot of this number was taken.
        let promised = Mutex<[(after: Int, id: QueueID, bytes: [UInt8])]>([])
        let finished = Mutex<[(after: Int, id: QueueID)]>([])
        let folder = try TemporaryFolder()
        source.withLock { $0 = folder.path }
        let now = Timestamp(seconds: 1_800_000_000)
        let queue = try LMDBQueue(folder: folder.path, options: .small(maximum: 64 << 20), probe: probe)
        for seed in 0..<6 {
            let bytes = content(seed.isMultiple(of: 2) ? 500 : 300_000, seed: seed)
            let id = try queue.take(try envelope(["a@example.test", "b@other.test"]), bytes, at: now)
            promised.withLock { $0.append((count.withLock { $0 }, id, bytes)) }
            guard seed >= 2 else { continue }
            var settlement = Settlement(message: try #require(try queue.message(id)), time: now)
            settlement.results = [
                Settlement.RecipientResult(recipient: 0, result: .delivered, reply: Reply(250, nil, "Ok"), remote: nil)
            ]
            try queue.settleAndWait(settlement)
            guard seed >= 4 else { continue }
            settlement = Settlement(message: try #require(try queue.message(id)), time: now)
            settlement.results = [
                Settlement.RecipientResult(recipient: 1, result: .failed, reply: Reply(550, nil, "No"), remote: nil)
            ]
            var incoming = IncomingContent(id: queue.makeID())
            incoming.buffer = content(700, seed: 100 + seed)
            settlement.notices = [
                incoming.finish(
                    arrival: now, envelope: try envelope(["s@client.example"], from: ""), client: nil, about: id,
                    needsSMTPUTF8: false, lanes: .byDomain)
            ]
            try queue.settleAndWait(settlement)
            finished.withLock { $0.append((count.withLock { $0 }, id)) }
        }
        queue.close()
        let steps = count.withLock { $0 }
        #expect(steps > 20)
        for step in 1...steps {
            let place = snapshots.path("\(step)")
            try reopen(place) { recovered throws in
                let messages = try recovered.all()
                for (after, id, bytes) in promised.withLock({ $0 }) where after < step {
                    if let message = messages.first(where: { $0.id == id }) {
                        #expect(try recovered.whole(id) == bytes)
                        #expect(!message.progress.isFinished)
                    } else {
                        // Gone only if it was finished; then its notice is there.
                        #expect(messages.contains { $0.about == id }, "step \(step)")
                    }
                }
                for (after, id) in finished.withLock({ $0 }) where after < step {
                    #expect(!messages.contains { $0.id == id })
                    #expect(messages.filter { $0.about == id }.count == 1)
                }
                #expect(try recovered.statistics().receiving == 0)
            }
            #expect(try QueueCheck(folder: place).run().findings == [], "step \(step)")
        }
    }
}

struct ChecksumTests {
    /// Published values of XXH64 with seed 0.
    @Test(arguments: [
        ("", 0xEF46_DB37_51D8_E999 as UInt64), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999),
    ])
    func `known values come out`(text: String, value: UInt64) {
        #expect(Array(text.utf8).withUnsafeBytes { Checksum.of($0) } == value)
    }

    @Test func `pieces come to the same as the whole`() {
        let bytes = content(1000)
        let whole = bytes.withUnsafeBytes { Checksum.of($0) }
        for cut in stride(from: 0, to: bytes.count, by: 13) {
            var checksum = Checksum()
            bytes[..<cut].withUnsafeBytes { checksum.update($0) }
            bytes[cut...].withUnsafeBytes { checksum.update($0) }
            #expect(checksum.value == whole)
        }
    }
}
