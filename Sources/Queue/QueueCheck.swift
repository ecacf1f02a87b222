import LMDB
package import Mail

/// Verifies every record of a queue, also while a daemon uses it or when none can be started.
///
/// Reads in short transactions, so that the file does not grow meanwhile; of a queue in use it may therefore see
/// a message come or go, which it looks at again before it calls it damage.
package struct QueueCheck: Sendable {
    package struct Finding: Sendable, Equatable {
        package let id: QueueID?
        package let problem: String
    }

    package struct Report: Sendable {
        package var messages = 0
        package var contentBytes = 0
        package var findings: [Finding] = []
    }

    private let environment: Environment
    private let tables: ReadTables

    /// The tables that a check looks at.
    private struct ReadTables {
        let messages: Table, progress: Table, content: Table, lanes: Table, receiving: Table, damaged: Table
    }

    private static let pageSize = 200

    /// - Parameter folder: the queue's; nothing in it is changed.
    package init(folder: String) throws(QueueError) {
        do throws(LMDBError) {
            // The size is that of the file.
            self.environment = try Environment(folder: folder, mapBytes: 0, tables: Tables.count, isReadOnly: true)
            let open = { [environment] (name: String) throws(LMDBError) -> Table in
                guard let table = try environment.existingTable(name) else { throw .corrupted }
                return table
            }
            self.tables = ReadTables(
                messages: try open("messages"), progress: try open("progress"), content: try open("content"),
                lanes: try open("lanes"), receiving: try open("receiving"), damaged: try open("damaged"))
        } catch {
            throw .unusable("\(folder): \(error)")
        }
    }

    /// - Parameter damaged: called with each message that is damaged and what can be saved of it.
    package func run(_ damaged: (Finding, Salvage) throws -> Void = { _, _ in }) throws -> Report {
        var report = Report()
        var last: QueueID?
        while let page = try self.page(after: last) {
            for id in page.ids {
                report.messages += 1
                guard let problem = try self.problem(of: id, &report) else { continue }
                // Once more: it may have been on its way out.
                var again = Report()
                guard try self.problem(of: id, &again) != nil, try self.isThere(id) else { continue }
                let finding = Finding(id: id, problem: problem)
                report.findings.append(finding)
                try damaged(finding, try self.salvage(id))
            }
            last = page.ids.last
        }
        for (id, reason) in try self.setAside() {
            let finding = Finding(id: id, problem: "set aside: \(reason)")
            report.findings.append(finding)
            try damaged(finding, try self.salvage(id))
        }
        report.findings += try self.strayLanes() + self.strayContent()
        return report
    }

    // MARK: Messages

    private func page(after id: QueueID?) throws -> (ids: [QueueID], Void)? {
        var ids: [QueueID] = []
        try self.environment.read { transaction throws(LMDBError) in
            try transaction.scan(self.tables.messages, from: QueueID(value: (id?.value ?? 0) + 1).key) { key, _ in
                ids.append(QueueID(key: key))
                return ids.count < Self.pageSize ? .next : .stop
            }
        }
        return ids.isEmpty ? nil : (ids, ())
    }

    private func isThere(_ id: QueueID) throws -> Bool {
        try self.environment.read { transaction throws(LMDBError) in
            try transaction.get(id.key, in: self.tables.messages) { _ in true } ?? false
        }
    }

    /// nil if the message and its content are as they were stored, and it is in the schedule if it should be.
    private func problem(of id: QueueID, _ report: inout Report) throws -> String? {
        guard let (record, progress) = try self.records(of: id) else { return nil }
        do {
            let message = try Self.decode(id, record, progress)
            report.contentBytes += message.contentBytes
            return try self.contentProblem(message) ?? self.laneProblem(message)
        } catch let damage as RecordReader.Damage {
            return damage.what
        }
    }

    private func records(of id: QueueID) throws -> (message: [UInt8], progress: [UInt8]?)? {
        try self.environment.read { transaction throws(LMDBError) in
            let message = try transaction.get(id.key, in: self.tables.messages) { Array($0) }
            let progress = try transaction.get(id.key, in: self.tables.progress) { Array($0) }
            return message.map { ($0, progress) }
        }
    }

    private static func decode(_ id: QueueID, _ record: [UInt8], _ progress: [UInt8]?) throws -> QueuedMessage {
        let state = try progress.map { try $0.withUnsafeBytes { try Progress(record: $0) } }
        return try record.withUnsafeBytes { try QueuedMessage(id: id, record: $0, progress: state) }
    }

    private func contentProblem(_ message: QueuedMessage) throws -> String? {
        var check = ContentCheck(of: message)
        try self.environment.read { transaction throws(LMDBError) in
            for first in [ContentKey.firstOfHead, 0] {
                _ = try transaction.scanContent(of: message.id, from: first, in: self.tables.content) { part in
                    check.update(Array(part))
                    return .next
                }
            }
        }
        return check.isWhole ? nil : "content is not what was stored"
    }

    private func laneProblem(_ message: QueuedMessage) throws -> String? {
        guard !message.progress.isHeld else { return nil }
        for lane in message.progress.occupiedLanes {
            let key = LaneKey(lane: lane.name, due: lane.due, id: message.id).bytes
            let isThere = try self.environment.read { transaction throws(LMDBError) in
                try transaction.get(key, in: self.tables.lanes) { _ in true } ?? false
            }
            if !isThere { return "not scheduled in lane \(lane.name)" }
        }
        return message.progress.isFinished ? "finished and not removed" : nil
    }

    // MARK: What belongs to no message

    private func setAside() throws -> [(QueueID, String)] {
        var found: [(QueueID, String)] = []
        try self.environment.read { transaction throws(LMDBError) in
            try transaction.scan(self.tables.damaged, from: []) { key, value in
                found.append((QueueID(key: key), DamagedRecord(value)?.reason ?? "for an unknown reason"))
                return .next
            }
        }
        return found
    }

    private func strayLanes() throws -> [Finding] {
        var suspects: [LaneKey] = []
        try self.environment.read { transaction throws(LMDBError) in
            try transaction.scan(self.tables.lanes, from: []) { bytes, _ throws(LMDBError) in
                guard let key = LaneKey(bytes) else { return .next }
                if try transaction.get(key.id.key, in: self.tables.messages, { _ in true }) == nil {
                    suspects.append(key)
                }
                return .next
            }
        }
        return suspects.map { Finding(id: $0.id, problem: "lane \($0.lane) names a message that is not there") }
    }

    /// Content under an ID that is neither a message, nor coming in, nor set aside.
    private func strayContent() throws -> [Finding] {
        var findings: [Finding] = []
        try self.environment.read { transaction throws(LMDBError) in
            var next: QueueID? = QueueID(value: 0)
            while let start = next {
                next = nil
                var found: QueueID?
                try transaction.scan(self.tables.content, from: ContentKey(start, record: 0)) { key, _ in
                    found = QueueID(key: key)
                    return .stop
                }
                guard let id = found, id.value < .max else { return }
                let owners = [self.tables.messages, self.tables.receiving, self.tables.damaged]
                var isOwned = false
                for table in owners where try transaction.get(id.key, in: table, { _ in true }) != nil {
                    isOwned = true
                }
                if !isOwned { findings.append(Finding(id: id, problem: "content without a message")) }
                next = QueueID(value: id.value + 1)
            }
        }
        return findings
    }

    // MARK: Salvage

    /// What can be saved of a damaged message.
    package struct Salvage: Sendable {
        /// The envelope if its record can be read.
        package let message: QueuedMessage?
        /// All content there is, in order; with holes if records are missing.
        package let content: [UInt8]
    }

    private func salvage(_ id: QueueID) throws -> Salvage {
        var (head, content): ([UInt8], [UInt8]) = ([], [])
        var record: [UInt8] = []
        try self.environment.read { transaction throws(LMDBError) in
            try transaction.scan(self.tables.content, from: ContentKey(id, record: 0)) { key, value in
                guard key.count == 12, QueueID(key: key) == id else { return .stop }
                let index = Int(UInt32(bigEndian: key.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
                if index < ContentKey.firstOfHead { content += value.dropFirst() } else { head += value.dropFirst() }
                return .next
            }
            let aside = try transaction.get(id.key, in: self.tables.damaged) { DamagedRecord($0)?.message }
            record = try transaction.get(id.key, in: self.tables.messages) { Array($0) } ?? (aside ?? nil) ?? []
        }
        // Without it the content is all there is.
        return Salvage(message: try? Self.decode(id, record, nil), content: head + content)
    }
}

/// A value of the table `damaged`: why the message is there, and its records as they were found.
struct DamagedRecord {
    let reason: String
    let message: [UInt8]
    let progress: [UInt8]

    private static let format: UInt8 = 1

    init(reason: String, message: [UInt8], progress: [UInt8]) {
        self.reason = reason
        self.message = message
        self.progress = progress
    }

    /// Each part behind its length, so that nothing in it need be readable.
    var bytes: [UInt8] {
        var bytes = [Self.format]
        for part in [Array(self.reason.utf8), self.message, self.progress] {
            withUnsafeBytes(of: UInt32(clamping: part.count).bigEndian) { bytes += $0 }
            bytes += part
        }
        return bytes
    }

    init?(_ value: UnsafeRawBufferPointer) {
        guard value.first == Self.format else { return nil }
        var parts: [[UInt8]] = []
        var start = 1
        for _ in 0..<3 {
            guard start + 4 <= value.count else { return nil }
            let count = Int(UInt32(bigEndian: value.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
            guard start + 4 + count <= value.count else { return nil }
            parts.append(Array(value[(start + 4)..<(start + 4 + count)]))
            start += 4 + count
        }
        self.init(reason: String(decoding: parts[0], as: UTF8.self), message: parts[1], progress: parts[2])
    }
}
