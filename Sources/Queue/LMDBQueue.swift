import LMDB
package import Mail
import Polling
import Synchronization

/// The queue in one LMDB database. One thread writes; whatever waits shares its next commit, so that the cost of
/// making it durable is paid once for all (group commit). Reading happens on the caller's thread.
///
/// Sendable: `environment` and `tables` are safe to share, everything that changes is in a `Mutex`.
package final class LMDBQueue: MailQueue, @unchecked Sendable {
    let environment: Environment
    let tables: Tables
    let events: EventSink
    private let options: QueueOptions
    private let clock: WallClock
    private let probe: QueueProbe
    private let folder: String
    private let inbox = Inbox<WriteJob>()
    private let shared: Mutex<Shared>
    /// Messages that have an ID and are neither stored nor dropped: whose content is coming in.
    private let incoming = Atomic<Int>(0)
    private var thread: JoinableThread?

    private struct Shared {
        var generator: QueueIDGenerator
        var observers: [@Sendable ([ScheduleChange]) -> Void] = []
        var commits = 0
        /// Messages that could not be dropped, because the disk was full for that too.
        var undropped: [QueueID] = []
        /// Octets that may still be accepted, reserve deducted, when it was last looked.
        var room = 0
        var roomChecked: Timestamp?
        var touchedBytes = 0
    }

    /// Octets in one commit. LMDB holds them in memory until then.
    private static let commitBytes = 8 << 20
    /// Octets touched through the map after which its pages are given back.
    private static let mappedBytes = 64 << 20
    /// What a record that is read or written may have mapped: with a page the system maps those around it that it
    /// has in its cache, 64 KiB in all.
    static let pageBytes = 64 << 10
    private static let roomInterval = Duration.seconds(1)
    /// How long a commit waits for messages whose content is coming in already. What one waits is little beside
    /// what a commit takes, and the more share it the less each pays.
    private static let companyDelay = Duration.microseconds(2000)
    private static let companyLimit = 64

    /// Opens the queue in a folder, and finishes what a crash left unfinished.
    ///
    /// It lives, with its thread, until ``close()``.
    package init(
        folder: String, options: QueueOptions = QueueOptions(), clock: WallClock = .system,
        events: EventSink = EventSink { _ in }, probe: QueueProbe = QueueProbe()
    ) throws(QueueError) {
        self.folder = folder
        self.options = options
        self.clock = clock
        self.events = events
        self.probe = probe
        do throws(LMDBError) {
            self.environment = try Environment(
                folder: folder, mapBytes: options.maximumSize.bytes / 4096 * 4096, tables: Tables.count)
            self.tables = try Tables(self.environment)
        } catch {
            throw .unusable("\(folder): \(error)")
        }
        let last = try Self.recover(self.environment, self.tables)
        self.shared = Mutex(Shared(generator: QueueIDGenerator(after: last)))
        do { self.thread = try JoinableThread("queue") { self.writeUntilClosed() } } catch {
            throw .unusable("\(error)")
        }
        self.refreshRoom()
    }

    package func close() {
        self.inbox.close()
        self.thread?.join()
        self.thread = nil
    }

    // MARK: Receiving

    package func makeID() -> QueueID {
        let now = self.clock.now()
        return self.shared.withLock { $0.generator.next(at: now) }
    }

    package func beginMessage() -> QueueID {
        self.incoming.add(1, ordering: .relaxed)
        return self.makeID()
    }

    package func append(_ piece: ContentPiece, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.take(bytes: piece.bytes.count)
        self.submit(AppendJob(piece, completion: completion))
    }

    package func store(_ message: NewMessage, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.incoming.subtract(1, ordering: .relaxed)
        self.take(bytes: message.tail.count)
        self.submit(StoreJob(message, completion: completion))
    }

    package func drop(_ id: QueueID, wasAppended: Bool) {
        self.incoming.subtract(1, ordering: .relaxed)
        if wasAppended { self.removeContent(of: id) }
    }

    private func removeContent(of id: QueueID) {
        self.submit(DropJob(id) { [weak self] id in self?.shared.withLock { $0.undropped.append(id) } })
    }

    package func settle(_ settlement: Settlement, completion: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        self.submit(SettleJob(settlement, completion: completion))
    }

    package func operate(
        _ operation: QueueOperation, on ids: [QueueID],
        completion: @escaping @Sendable (Result<[QueueID], QueueError>) -> Void
    ) {
        self.submit(OperateJob(operation, ids, now: self.clock.now(), completion: completion))
    }

    package func setAside(_ id: QueueID, reason: String) {
        self.submit(SetAsideJob(id, reason: reason, laneKey: nil, events: self.events))
    }

    package func observe(_ observer: @escaping @Sendable ([ScheduleChange]) -> Void) {
        self.shared.withLock { $0.observers.append(observer) }
    }

    func submit(_ job: WriteJob) {
        if !self.inbox.put(job, delay: job.delay) { job.finished(.failure(.closed)) }
    }

    // MARK: Room

    package func hasRoom(forBytes bytes: Int) -> Bool {
        let now = self.clock.now()
        let (room, isOld) = self.shared.withLock { shared in
            let age = shared.roomChecked.map { now - $0 } ?? Self.roomInterval
            return (shared.room, age >= Self.roomInterval || age < .zero)
        }
        guard isOld else { return room >= bytes }
        return self.refreshRoom() >= bytes
    }

    /// Reckons with what is about to be written until it is looked again.
    private func take(bytes: Int) {
        // A message has some pages besides its content.
        self.shared.withLock { $0.room -= bytes + 8192 }
    }

    /// Looks how much may be written: free pages of the file, and as much as file system and map let it grow.
    @discardableResult
    private func refreshRoom() -> Int {
        let now = self.clock.now()
        let room = (try? self.environment.size()).map { size in  // Unknown is none.
            let growth = min(size.mapBytes - size.usedBytes, self.diskFreeBytes())
            return size.freeBytes + growth - self.options.reserve.bytes
        }
        return self.shared.withLock { shared in
            shared.room = room ?? 0
            shared.roomChecked = now
            return shared.room
        }
    }

    private func diskFreeBytes() -> Int { self.probe.diskFreeBytes?() ?? FileSystem.freeBytes(at: self.folder) }

    package func statistics() throws(QueueError) -> QueueStatistics {
        do throws(LMDBError) {
            var statistics = QueueStatistics()
            let size = try self.environment.size()
            (statistics.fileBytes, statistics.freeBytes, statistics.mapBytes) = (
                size.usedBytes, size.freeBytes, size.mapBytes
            )
            statistics.diskFreeBytes = self.diskFreeBytes()
            statistics.roomBytes = self.refreshRoom()
            statistics.commits = self.shared.withLock { $0.commits }
            try self.environment.read { transaction throws(LMDBError) in
                statistics.messages = try transaction.count(of: self.tables.messages)
                statistics.damaged = try transaction.count(of: self.tables.damaged)
                statistics.receiving = try transaction.count(of: self.tables.receiving)
            }
            return statistics
        } catch {
            throw QueueError(error)
        }
    }

    /// Counts what has been read or written, and gives the mapped pages back from time to time.
    func noteTouched(bytes: Int) {
        let isMuch = self.shared.withLock { shared in
            shared.touchedBytes += bytes
            guard shared.touchedBytes >= Self.mappedBytes else { return false }
            shared.touchedBytes = 0
            return true
        }
        if isMuch { self.environment.releaseMappedPages() }
    }

    package func backup(to path: String) throws(QueueError) {
        let file = try FileSystem.create(path)
        do throws(LMDBError) {
            defer { FileSystem.close(file) }
            try self.environment.copy(toFile: file)
        } catch {
            FileSystem.remove(path)  // Half a copy is none, and would be in the way of the next.
            throw QueueError(error)
        }
    }
}

// MARK: - The writing thread

extension LMDBQueue {
    private func writeUntilClosed() {
        while var jobs = self.inbox.take() {
            let coming = min(self.incoming.load(ordering: .relaxed), Self.companyLimit)
            if coming > 0 { jobs += self.inbox.takeMore(coming, within: Self.companyDelay) }
            var batch: [WriteJob] = []
            var bytes = 0
            for job in jobs {
                if bytes + job.bytes > Self.commitBytes, !batch.isEmpty {
                    self.commit(batch)
                    (batch, bytes) = ([], 0)
                }
                batch.append(job)
                bytes += job.bytes
            }
            self.commit(batch)
        }
    }

    /// Writes jobs in one transaction. If that fails each is tried alone, in order, so that only those fail that must.
    private func commit(_ jobs: [WriteJob]) {
        do {
            let changes = try self.write(jobs)
            let (observers, undropped) = self.shared.withLock { shared in
                shared.commits += 1
                defer { shared.undropped = [] }
                return (shared.observers, shared.undropped)
            }
            // Clients first, they wait for their 250. What else was written ends after its changes are known: a lease
            // that ends before would let the message go twice.
            for job in jobs where job.isAwaited { job.finished(.success(())) }
            for id in undropped { self.removeContent(of: id) }
            if !changes.isEmpty { for observer in observers { observer(changes) } }
            for job in jobs where !job.isAwaited { job.finished(.success(())) }
            self.noteTouched(bytes: jobs.reduce(0) { $0 + $1.bytes + Self.pageBytes })
        } catch {
            guard jobs.count > 1 else {
                // Whatever is full now was not when we looked.
                if error == .full { self.shared.withLock { $0.room = 0 } }
                for job in jobs { job.finished(.failure(error)) }
                return
            }
            for job in jobs { self.commit([job]) }
        }
    }

    private func write(_ jobs: [WriteJob]) throws(QueueError) -> [ScheduleChange] {
        let last = self.shared.withLock { $0.generator.last }
        var fault: QueueError?
        do throws(LMDBError) {
            let changes = try self.environment.write { transaction throws(LMDBError) in
                var changes: [ScheduleChange] = []
                for job in jobs { changes += try job.apply(transaction, self.tables) }
                try transaction.put(last.bytes, at: Tables.lastIDKey, in: self.tables.meta)
                do throws(QueueError) { try self.probe.reached(.beforeCommit) } catch {
                    fault = error
                    throw .other(code: 0, message: "")
                }
                return changes
            }
            try? self.probe.reached(.afterCommit)  // A step to look at; nothing can fail behind a commit.
            return changes
        } catch {
            throw fault ?? QueueError(error)
        }
    }
}

extension QueueID {
    var bytes: [UInt8] { withUnsafeBytes(of: self.value.bigEndian) { Array($0) } }
}

extension QueueError {
    init(_ error: LMDBError) {
        switch error {
        case .mapFull, .diskFull, .transactionFull: self = .full
        case .corrupted: self = .damaged("\(error)")
        case .incompatible: self = .unusable("\(error)")
        case .other: self = .failed("\(error)")
        }
    }
}
