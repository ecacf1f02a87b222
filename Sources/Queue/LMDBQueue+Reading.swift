import LMDB
package import Mail

extension LMDBQueue {
    /// Entries of the schedule in a page, at least.
    private static let entriesPerPage = 32

    package func lanes() throws(QueueError) -> [LaneSummary] {
        var lanes: [String: (count: Int, firstDue: Timestamp, oldest: QueueID)] = [:]
        var name = ""
        var prefix: [UInt8] = []
        var current = (count: 0, firstDue: Timestamp(microseconds: 0), oldest: QueueID(value: 0))
        try self.read { transaction throws(LMDBError) in
            try transaction.scan(self.tables.lanes, from: []) { bytes, _ in
                // A million entries pass here: only the first of a lane is taken apart.
                if !prefix.isEmpty, bytes.count == prefix.count + 16, bytes.starts(with: prefix) {
                    current.count += 1
                    if current.count % Self.entriesPerPage == 0 { self.noteTouched(bytes: Self.pageBytes) }
                    let id = QueueID(key: UnsafeRawBufferPointer(rebasing: bytes.suffix(8)))
                    current.oldest = min(current.oldest, id)
                    return .next
                }
                if current.count > 0 { lanes[name] = current }
                guard let key = LaneKey(bytes) else { return .next }
                (name, prefix, current) = (key.lane, LaneKey.prefix(key.lane), (1, key.due, key.id))
                return .next
            }
        }
        if current.count > 0 { lanes[name] = current }
        self.environment.releaseMappedPages()
        return lanes.map { name, lane in
            LaneSummary(name: name, count: lane.count, firstDue: lane.firstDue, oldest: lane.oldest.time)
        }
    }

    package func due(
        in lane: String, at now: Timestamp, skipping skipped: Set<QueueID>, limit: Int, contentLimit: Int
    ) throws(QueueError) -> DueMessages {
        var result = DueMessages()
        var unreadable: [(QueueID, String, laneKey: [UInt8])] = []
        let prefix = LaneKey.prefix(lane)
        try self.read { transaction throws(LMDBError) in
            try transaction.scan(self.tables.lanes, from: prefix) { bytes, _ throws(LMDBError) in
                guard bytes.starts(with: prefix), let key = LaneKey(bytes) else { return .stop }
                guard key.due <= now else {
                    result.nextDue = key.due
                    return .stop
                }
                if skipped.contains(key.id) { return .next }
                guard result.messages.count < limit else {
                    result.hasMore = true
                    return .stop
                }
                switch try self.readable(key.id, contentLimit: contentLimit, transaction) {
                case .success(let (message, content)): result.messages.append((message, content))
                case .failure(let damage): unreadable.append((key.id, damage.what, Array(bytes)))
                }
                return .next
            }
        }
        self.noteTouched(bytes: result.messages.count * Self.pageBytes)
        for (id, reason, key) in unreadable {
            self.submit(SetAsideJob(id, reason: reason, laneKey: key, events: self.events))
        }
        return result
    }

    /// Goes from lane to lane, and in each straight to what is later.
    package func scheduled(after due: Timestamp, limit: Int) throws(QueueError) -> [QueueID] {
        var found: Set<QueueID> = []
        try self.read { transaction throws(LMDBError) in
            var start: [UInt8]? = []
            while let from = start, found.count < limit {
                start = nil
                var prefix: [UInt8] = []
                try transaction.scan(self.tables.lanes, from: from) { bytes, _ in
                    guard let key = LaneKey(bytes) else { return .next }
                    prefix = LaneKey.prefix(key.lane)
                    start = prefix.dropLast() + [1]  // Behind every key of the lane.
                    return .stop
                }
                guard !prefix.isEmpty else { break }
                let first = prefix + LaneKey(lane: "", due: due, id: QueueID(value: .max)).bytes.dropFirst()
                try transaction.scan(self.tables.lanes, from: first) { bytes, _ in
                    guard found.count < limit, bytes.starts(with: prefix), let key = LaneKey(bytes) else {
                        return .stop
                    }
                    if key.due > due { found.insert(key.id) }
                    return .next
                }
            }
        }
        return Array(found)
    }

    package func message(_ id: QueueID) throws(QueueError) -> QueuedMessage? {
        var found: Result<QueuedMessage, RecordReader.Damage>?
        try self.read { transaction throws(LMDBError) in found = try self.message(id, transaction) }
        switch found {
        case nil: return nil
        case .success(let message): return message
        case .failure(let damage): throw .damaged(damage.what)
        }
    }

    package func messages(after id: QueueID?, limit: Int) throws(QueueError) -> MessagePage {
        var page = MessagePage()
        var seen = 0
        var last: QueueID?
        try self.read { transaction throws(LMDBError) in
            let start = QueueID(value: (id?.value ?? 0) + 1)
            try transaction.scan(self.tables.messages, from: start.key) { key, record throws(LMDBError) in
                guard seen < limit else {
                    page.end = last
                    return .stop
                }
                seen += 1
                let id = QueueID(key: key)
                last = id
                if case .success(let message) = try self.decode(id, record, transaction) {
                    page.messages.append(message)
                }
                return .next
            }
        }
        self.noteTouched(bytes: seen * Self.pageBytes)
        return page
    }

    package func content(of id: QueueID, from offset: Int, limit: Int) throws(QueueError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(limit, 256 * 1024))
        try self.read { transaction throws(LMDBError) in
            var skip = offset
            let take = { (part: UnsafeRawBufferPointer) -> ScanStep in
                let wanted = part.dropFirst(skip)
                skip -= part.count - wanted.count
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: wanted.prefix(limit - bytes.count)))
                return bytes.count < limit ? .next : .stop
            }
            guard try transaction.scanContent(of: id, from: ContentKey.firstOfHead, in: self.tables.content, take)
            else {
                throw .corrupted
            }
            guard bytes.count < limit else { return }
            let first = skip / IncomingContent.recordBytes
            skip -= first * IncomingContent.recordBytes
            guard try transaction.scanContent(of: id, from: first, in: self.tables.content, take) else {
                throw .corrupted
            }
        }
        self.noteTouched(bytes: bytes.count)
        return bytes
    }

    /// A message and, if it is short, its content.
    private func readable(
        _ id: QueueID, contentLimit: Int, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Result<(QueuedMessage, [UInt8]?), RecordReader.Damage> {
        switch try self.message(id, transaction) {
        case nil: return .failure(RecordReader.Damage(what: "no message record"))
        case .failure(let damage): return .failure(damage)
        case .success(let message):
            guard message.contentBytes <= contentLimit else { return .success((message, nil)) }
            let content = try self.content(of: message, transaction)
            var check = ContentCheck(of: message)
            check.update(content)
            guard check.isWhole else {
                return .failure(RecordReader.Damage(what: "content is not what was stored"))
            }
            return .success((message, content))
        }
    }

    private func content(
        of message: QueuedMessage, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.contentBytes)
        if message.headBytes > 0 {
            try self.appendContent(
                of: message.id, from: ContentKey.firstOfHead, message.headBytes, to: &bytes, transaction)
        }
        try self.appendContent(of: message.id, from: 0, message.contentBytes, to: &bytes, transaction)
        return bytes
    }

    /// Appends records until there are so many octets, or no more records. Asking for each by its key is faster than
    /// a cursor, where there are few.
    private func appendContent(
        of id: QueueID, from first: Int, _ count: Int, to bytes: inout [UInt8],
        _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) {
        var index = first
        while bytes.count < count {
            let isThere = try transaction.get(ContentKey(id, record: index), in: self.tables.content) { value in
                guard value.count > 1, value[0] == contentFormat else { return false }
                bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: value[1...]))
                return true
            }
            guard isThere ?? false else { return }
            index += 1
        }
    }

    /// nil if there is none of this ID.
    private func message(
        _ id: QueueID, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Result<QueuedMessage, RecordReader.Damage>? {
        try transaction.get(id.key, in: self.tables.messages) { record throws(LMDBError) in
            try self.decode(id, record, transaction)
        }
    }

    private func decode(
        _ id: QueueID, _ record: UnsafeRawBufferPointer, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Result<QueuedMessage, RecordReader.Damage> {
        let progress = try transaction.get(id.key, in: self.tables.progress) { bytes in
            Result { () throws(RecordReader.Damage) in try Progress(record: bytes) }
        }
        return Result { () throws(RecordReader.Damage) in
            try QueuedMessage(id: id, record: record, progress: try progress?.get())
        }
    }

    func read(_ body: (borrowing ReadTransaction) throws(LMDBError) -> Void) throws(QueueError) {
        do { try self.environment.read(body) } catch { throw QueueError(error) }
    }
}

extension ReadTransaction {
    /// Gives the content in consecutive records, from one on, up to the first that is missing.
    ///
    /// - Parameter first: 0 or above for the content, ``ContentKey/firstOfHead`` for what stands in front of it.
    /// - Returns: false if what comes behind them is not the end, or a record cannot be read.
    borrowing func scanContent(
        of id: QueueID, from first: Int, in table: Table, _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> ScanStep
    ) throws(LMDBError) -> Bool {
        var expected = first
        var isSound = true
        try self.scan(table, from: ContentKey(id, record: first)) { key, value throws(LMDBError) in
            guard key.count == 12, QueueID(key: key) == id else { return .stop }
            let index = Int(UInt32(bigEndian: key.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
            guard index < ContentKey.firstOfHead || first >= ContentKey.firstOfHead else { return .stop }
            isSound = index == expected && value.count > 1 && value[0] == contentFormat
            guard isSound else { return .stop }
            expected += 1
            return try body(UnsafeRawBufferPointer(rebasing: value.dropFirst()))
        }
        return isSound
    }
}
