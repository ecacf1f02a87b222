import Glibc
import LMDB
package import Mail
import NIOCore
package import Polling
import Synchronization

/// How much is remembered of verified addresses. How long is ``VerifyPolicy``.
package struct VerifyCacheSettings: Sendable {
    /// Above so many those that expire first are forgotten, down to nine tenths: refused ones before accepted ones.
    package var entries = 200_000
    package var cleanupInterval = Duration.seconds(12 * 3600)
    /// How much may be lost in a crash. Addresses are then only asked about once more.
    package var writeInterval = Duration.seconds(10)
    /// Changes that are written without waiting for the interval, and that are held while the disk fails.
    package var batch = 1000
    package var waiting = 50_000

    package init() {}
}

/// What was found out about addresses, across restarts (SEMANTICS §9).
///
/// Asking and telling it never waits for the disk's writer: changes are held in memory and written by a thread of its
/// own. It is a cache: whatever happens to its file, it complains and goes on with what it has.
///
/// It lives, with its thread, until ``close()``.
package final class VerifyCache: Sendable {
    private let folder: String
    private let settings: VerifyCacheSettings
    private let clock: WallClock
    private let complain: @Sendable (String) -> Void
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
        var overlay: CacheOverlay<[UInt8], VerifyRecord>
        var policy: VerifyPolicy
        /// Something was damaged: the store is to be set aside.
        var isDamaged = false
        /// It has been complained that the disk fails.
        var isFailing = false
        var isClosed = false
    }

    static let table = "verified"
    private static let bytesPerEntry = 256

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameter complain: gets lines for the log, from any thread.
    /// - Throws: if there can be no thread.
    package init(
        folder: String, policy: VerifyPolicy = VerifyPolicy(), settings: VerifyCacheSettings = VerifyCacheSettings(),
        clock: WallClock, complain: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.folder = folder
        self.settings = settings
        self.clock = clock
        self.complain = { complain("verified addresses: \($0)") }
        self.wakeup = try Wakeup()
        self.shared = Mutex(Shared(overlay: CacheOverlay(limit: settings.waiting), policy: policy))
        self.openStore()
        let thread = try JoinableThread("verify cache") { self.work() }
        self.thread.withLock { $0 = thread }
    }

    /// Writes what waits and ends the thread.
    package func close() {
        self.shared.withLock { $0.isClosed = true }
        self.wakeup.signal()
        self.thread.withLock { $0.take() }?.join()
    }

    /// How long records count; may change at any time.
    package var policy: VerifyPolicy { self.shared.withLock { $0.policy } }

    package func use(_ policy: VerifyPolicy) { self.shared.withLock { $0.policy = policy } }

    private var isOpen: Bool { self.shared.withLock { !$0.isClosed } }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer.
    package func record(of key: VerifyKey) -> VerifyRecord? {
        guard let bytes = key.bytes else { return nil }
        let (change, store) = self.shared.withLock { ($0.overlay[bytes], $0.store) }
        switch change {
        case .set(let record): return record
        case .removed: return nil
        case nil: break
        }
        do { return try store?.value(of: bytes) { VerifyRecord(record: $0) } } catch {
            self.failed(error)
            return nil
        }
    }

    /// From any thread. It counts at once, and is on the disk within the write interval.
    package func set(_ record: VerifyRecord, of key: VerifyKey) { self.put(.set(record), key) }

    package func remove(_ key: VerifyKey) { self.put(.removed, key) }

    private func put(_ change: CacheOverlay<[UInt8], VerifyRecord>.Change, _ key: VerifyKey) {
        guard let bytes = key.bytes else { return }
        let wakes = self.shared.withLock { shared in
            let before = shared.overlay.recentCount
            _ = shared.overlay.put(change, at: bytes)
            let after = shared.overlay.recentCount
            // The thread is told of the first, to set its clock, and of one too many.
            return before != after && (after == 1 || after - 1 == self.settings.batch)
        }
        if wakes { self.wakeup.signal() }
    }

    /// All records of a kind, those that wait to be written included, in no order. It reads the disk.
    package func records(_ kind: VerifyKey.Kind) -> [VerifyKey: VerifyRecord] {
        let (changes, store) = self.shared.withLock { ($0.overlay.changes, $0.store) }
        var records: [VerifyKey: VerifyRecord] = [:]
        do {
            try store?.scan(prefix: [kind.rawValue]) { key, value in
                if let key = VerifyKey(bytes: key) { records[key] = VerifyRecord(record: value) }
            }
        } catch { self.failed(error) }
        for (bytes, change) in changes {
            guard let key = bytes.withUnsafeBytes({ VerifyKey(bytes: $0) }), key.kind == kind else { continue }
            switch change {
            case .set(let record): records[key] = record
            case .removed: records[key] = nil
            }
        }
        return records
    }

    /// Entries on the disk, and changes that wait to be written. For status.
    package var statistics: (entries: Int, waiting: Int) {
        let (store, waiting) = self.shared.withLock { ($0.store, $0.overlay.count) }
        // A file that cannot be read is complained of where that matters.
        return ((try? store?.count()) ?? 0, waiting)
    }

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
        do { try store.write(batch.changes, bytes: { $0 }, encoded: { $0.encoded() }) } catch {
            self.failed(error)
            return false
        }
        let hadFailed = self.shared.withLock { shared in
            shared.overlay.endWriting(batch.number)
            defer { shared.isFailing = false }
            return shared.isFailing
        }
        if hadFailed { self.complain("\(self.folder) is written again") }
        return true
    }

    /// Forgets what has expired, and if there are too many then those that expire first. For the thread and tests.
    package func cleanUp() {
        guard let store = self.shared.withLock({ $0.store }) else { return }
        self.cleaning.withLock { _ in
            do throws(LMDBError) { try self.cleanUp(store) } catch { self.failed(error) }
        }
    }

    private func cleanUp(_ store: CacheStore) throws(LMDBError) {
        let (now, policy) = (self.clock.now(), self.policy)
        try store.sweep(while: { self.isOpen }) { value in
            guard let record = VerifyRecord(record: value) else { return true }
            return policy.expiry(of: record) < now
        }
        if self.isOpen { store.proven() }
        guard try store.count() > self.settings.entries else { return }
        try store.trim(to: self.settings.entries - self.settings.entries / 10, while: { self.isOpen }) { value in
            VerifyRecord(record: value).map { policy.expiry(of: $0).microseconds } ?? .min
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
            let settings = CacheStore.Settings(
                folder: self.folder, table: Self.table, entries: self.settings.entries,
                bytesPerEntry: Self.bytesPerEntry)
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
        if isFirst { self.complain("\(self.folder): \(error); what is learned is only in memory") }
    }
}

// MARK: - The thread

extension VerifyCache {
    private func work() {
        var cleanup = NIODeadline.now()
        var write: NIODeadline?
        while self.isOpen {
            let now = NIODeadline.now()
            if now >= cleanup {
                self.cleanUp()
                cleanup = .now() + .microseconds(max(self.settings.cleanupInterval, .seconds(1)).microseconds)
            }
            let isMuch = self.shared.withLock { $0.overlay.recentCount > self.settings.batch }
            if isMuch || write.map({ now >= $0 }) ?? false {
                self.flush()
                if self.isOverfull { self.cleanUp() }
                write = nil
            }
            if write == nil, self.shared.withLock({ $0.overlay.count > 0 }) {
                write = now + .microseconds(self.settings.writeInterval.microseconds)
            }
            self.wait(until: min(cleanup, write ?? cleanup))
        }
        self.flush()
        self.shared.withLock { $0.store }?.proven()
    }

    private var isOverfull: Bool { self.statistics.entries > self.settings.entries }

    /// A signal may end it early, and nothing is due then.
    private func wait(until deadline: NIODeadline) {
        let nanoseconds = max((deadline - .now()).nanoseconds, 0)
        var descriptor = pollfd(fd: self.wakeup.descriptor, events: Int16(POLLIN), revents: 0)
        _ = poll(&descriptor, 1, CInt(clamping: (nanoseconds + 999_999) / 1_000_000))
        self.wakeup.drain()
    }
}
