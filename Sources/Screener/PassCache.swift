import Glibc
package import LMDB
package import Mail
import NIOCore
package import Polling
import Synchronization

/// How much is remembered of clients that passed, and for how long.
package struct PassCacheOptions: Sendable {
    /// Above so many those that expire first are forgotten, down to nine tenths.
    package var entries = 500_000
    /// How long a record is kept behind its last expiry: that a client once passed makes it less of a stranger.
    package var retention = Duration.seconds(7 * 86_400)
    package var cleanupInterval = Duration.seconds(12 * 3600)
    /// How much may be lost in a crash. Clients are then only tested once more.
    package var writeInterval = Duration.seconds(10)
    /// Changes that are written without waiting for the interval.
    package var batch = 1000
    /// Changes that are held in memory while the disk fails; some 10 MB.
    package var waiting = 50_000

    package init() {}
}

/// Faults that tests make happen; nothing in production.
package struct PassCacheProbe: Sendable {
    /// What is taken for the fault of a commit.
    package var commitFault: @Sendable () -> LMDBError? = { nil }

    package init() {}
}

/// What clients have passed, across restarts (SEMANTICS §1, cache record).
///
/// Asking and telling it never waits for the disk's writer: changes are held in memory and written by a thread of its
/// own. It is a cache: whatever happens to its file, it complains and goes on with what it has.
///
/// It lives, with its thread, until ``close()``.
package final class PassCache: Sendable {
    private let folder: String
    private let options: PassCacheOptions
    private let clock: WallClock
    private let complain: @Sendable (String) -> Void
    private let probe: PassCacheProbe
    private let wakeup: Wakeup
    private let thread = Mutex<JoinableThread?>(nil)
    private let shared: Mutex<Shared>
    /// Held while changes are written: two at once could end in the wrong order.
    private let writing = Mutex<Void>(())
    /// Held while the disk is cleaned up: two at once would take away too much.
    private let cleaning = Mutex<Void>(())

    private struct Shared {
        /// Nil while it cannot be opened.
        var store: CacheStore?
        var overlay: CacheOverlay<IPNetwork, PassRecord>
        /// Something was damaged: the store is to be set aside.
        var isDamaged = false
        /// It has been complained that the disk fails, or that changes were forgotten.
        var isFailing = false
        var hasForgotten = false
        var writeFailures = 0
        var isClosed = false
    }

    private static let table = "passes"
    /// Some 70, and room.
    private static let bytesPerEntry = 128

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameter complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, options: PassCacheOptions = PassCacheOptions(), clock: WallClock,
        probe: PassCacheProbe = PassCacheProbe(), complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.folder = folder
        self.options = options
        self.clock = clock
        self.complain = { complain("pass cache: \($0)") }
        self.probe = probe
        self.wakeup = try Wakeup()
        self.shared = Mutex(Shared(overlay: CacheOverlay(limit: options.waiting)))
        self.openStore()
        let thread = try JoinableThread("pass cache") { self.work() }
        self.thread.withLock { $0 = thread }
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.shared.withLock { $0.isClosed = true }
        self.wakeup.signal()
        self.thread.withLock { $0.take() }?.join()
    }

    private var isOpen: Bool { self.shared.withLock { !$0.isClosed } }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer.
    package func record(of client: IPNetwork) -> PassRecord? {
        let (change, store) = self.shared.withLock { ($0.overlay[client], $0.store) }
        switch change {
        case .set(let record): return record
        case .removed: return nil
        case nil: break
        }
        do { return try store?.value(of: client.passKey) { PassRecord(record: $0) } } catch {
            self.failed(error)
            return nil
        }
    }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func set(_ record: PassRecord, of client: IPNetwork) { self.put(.set(record), of: client) }

    package func remove(_ client: IPNetwork) { self.put(.removed, of: client) }

    private func put(_ change: CacheOverlay<IPNetwork, PassRecord>.Change, of client: IPNetwork) {
        let (wakes, isFirstLoss) = self.shared.withLock { shared in
            let before = shared.overlay.recentCount
            let forgotten = shared.overlay.put(change, at: client)
            let after = shared.overlay.recentCount
            defer { shared.hasForgotten = shared.hasForgotten || forgotten > 0 }
            // The thread is told of the first, to set its clock, and of one too many.
            return (
                before != after && (after == 1 || after - 1 == self.options.batch),
                forgotten > 0 && !shared.hasForgotten
            )
        }
        if wakes { self.wakeup.signal() }
        if isFirstLoss {
            self.complain("\(self.folder) has not been written for so long that passes are forgotten")
        }
    }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) {
        let (store, waiting, failures) = self.shared.withLock { ($0.store, $0.overlay.count, $0.writeFailures) }
        // A file that cannot be read is complained of where that matters.
        return ((try? store?.count()) ?? 0, waiting, failures)
    }

    /// Clients remembered, for status, without removals, of which a flood of bots brings many. Who has just passed again
    /// may be counted twice.
    package var clientCount: Int { self.statistics.entries + self.shared.withLock { $0.overlay.setCount } }

    // MARK: Writing

    /// Writes what waits. For the thread and for tests.
    package func flush() {
        self.writing.withLock { _ in
            let (batches, isUsable) = self.shared.withLock { shared in
                (shared.overlay.hasOlder ? 2 : 1, shared.store != nil && !shared.isDamaged)
            }
            if !isUsable { self.openStore() }
            // What could not be written before, then what has come since; not what comes meanwhile.
            for _ in 0..<batches { guard self.writeBatch() else { return } }
        }
    }

    /// - Returns: whether something was written.
    private func writeBatch() -> Bool {
        let (store, batch) = self.shared.withLock { ($0.store, $0.overlay.beginWriting()) }
        guard let batch, let store else { return false }
        do { try store.write(batch.changes, bytes: { $0.passKey }, encoded: { $0.encoded() }) } catch {
            self.shared.withLock { $0.writeFailures += 1 }
            self.failed(error)
            return false
        }
        let hadFailed = self.shared.withLock { shared in
            shared.overlay.endWriting(batch.number)
            defer { (shared.isFailing, shared.hasForgotten) = (false, false) }
            return shared.isFailing
        }
        if hadFailed { self.complain("\(self.folder) is written again") }
        return true
    }

    /// Forgets what expired long ago, and if there are too many then those that expire first. For the thread and tests.
    package func cleanUp() {
        guard let store = self.shared.withLock({ $0.store }) else { return }
        self.cleaning.withLock { _ in
            do throws(LMDBError) { try self.cleanUp(store) } catch { self.failed(error) }
        }
    }

    private func cleanUp(_ store: CacheStore) throws(LMDBError) {
        let limit = self.clock.now() - self.options.retention
        try store.sweep(while: { self.isOpen }) { value in
            guard let expiry = PassRecord(record: value)?.lastExpiry else { return true }
            return expiry < limit
        }
        if self.isOpen { store.proven() }
        guard try store.count() > self.options.entries else { return }
        try store.trim(to: self.options.entries - self.options.entries / 10, while: { self.isOpen }) { value in
            PassRecord(record: value)?.lastExpiry?.microseconds ?? .min
        }
    }

    private func openStore() {
        // LMDB allows a file to be open once in a process.
        let isDamaged = self.shared.withLock { shared in
            shared.store = nil
            return shared.isDamaged
        }
        if isDamaged, CacheStore.setAside(self.folder) {
            self.complain("\(self.folder)/data.mdb is now data.mdb.damaged, and the cache is empty")
        }
        do throws(LMDBError) {
            var settings = CacheStore.Settings(
                folder: self.folder, table: Self.table, entries: self.options.entries,
                bytesPerEntry: Self.bytesPerEntry)
            settings.commitFault = self.probe.commitFault
            let store = try CacheStore.open(settings, complain: self.complain)
            self.shared.withLock { ($0.store, $0.isDamaged) = (store, false) }
        } catch {
            self.failed(error)
        }
    }

    /// Complains, unless it has done so since it last worked.
    private func failed(_ error: LMDBError) {
        let isFirst = self.shared.withLock { shared in
            defer { shared.isFailing = true }
            if error == .corrupted { shared.isDamaged = true }
            return !shared.isFailing
        }
        if isFirst { self.complain("\(self.folder): \(error); passes are only in memory") }
    }

    // MARK: The thread

    private func work() {
        var cleanup = NIODeadline.now()
        var write: NIODeadline?
        while self.isOpen {
            let now = NIODeadline.now()
            if now >= cleanup {
                self.cleanUp()
                cleanup = .now() + .microseconds(max(self.options.cleanupInterval, .seconds(1)).microseconds)
            }
            let isMuch = self.shared.withLock { $0.overlay.recentCount > self.options.batch }
            if isMuch || write.map({ now >= $0 }) ?? false {
                self.flush()
                if self.isCleanUpDue { self.cleanUp() }
                write = nil
            }
            if write == nil, self.shared.withLock({ $0.overlay.count > 0 }) {
                write = now + .microseconds(self.options.writeInterval.microseconds)
            }
            self.wait(until: min(cleanup, write ?? cleanup))
        }
        self.flush()
        self.shared.withLock { $0.store }?.proven()
    }

    /// So that neither the bound nor a file that was opened late waits for the next cleanup.
    private var isCleanUpDue: Bool {
        guard let store = self.shared.withLock({ $0.store }) else { return false }
        return (try? store.isDue(forEntries: self.options.entries)) ?? false  // What fails has been complained of.
    }

    /// A signal may end it early, and nothing is due then.
    private func wait(until deadline: NIODeadline) {
        let nanoseconds = max((deadline - .now()).nanoseconds, 0)
        var descriptor = pollfd(fd: self.wakeup.descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&descriptor, 1, CInt(clamping: (nanoseconds + 999_999) / 1_000_000))
        self.wakeup.drain()
    }
}
