import LMDB
private import Synchronization

/// A cache on the disk whose changes are held in memory until they are written.
///
/// Asking and telling it never waits for the disk's writer. Whatever happens to its file, it complains and goes on with
/// what it has. It has no thread: its owner writes and cleans up.
package final class BufferedCache<Value: Hashable & Sendable>: Sendable {
    package typealias Change = CacheOverlay<Value>.Change

    /// How values are kept.
    package struct Format: Sendable {
        let encoded: @Sendable (Value) -> [UInt8]
        let decoded: @Sendable (UnsafeRawBufferPointer) -> Value?

        /// - Parameter decoded: nil for what cannot be read: it is not there, and goes with the next cleanup.
        package init(
            encoded: @escaping @Sendable (Value) -> [UInt8],
            decoded: @escaping @Sendable (UnsafeRawBufferPointer) -> Value?
        ) {
            self.encoded = encoded
            self.decoded = decoded
        }
    }

    private let settings: CacheStore.Settings
    private let batch: Int
    private let format: Format
    private let contents: String
    private let complain: @Sendable (String) -> Void
    private let shared: Mutex<Shared>
    /// Held while changes are written: two at once could end in the wrong order.
    private let writing = Mutex<Void>(())
    /// Held while the disk is cleaned up: two at once would take away too much.
    private let cleaning = Mutex<Void>(())

    private struct Shared {
        /// Nil while it cannot be opened.
        var store: CacheStore?
        var overlay: CacheOverlay<Value>
        /// Something was damaged: the store is to be set aside.
        var isDamaged = false
        /// It has been complained that the disk fails, or that changes were forgotten.
        var isFailing = false
        var hasForgotten = false
        var writeFailures = 0
    }

    /// Opens the cache in a folder that exists. What cannot be read is set aside, and complained of; without a usable
    /// folder it only lives in memory, and tries again with every writing.
    ///
    /// - Parameters:
    ///   - waiting: changes that are held while the disk fails.
    ///   - batch: so many changes need not wait for the usual time.
    ///   - contents: what the values are called in complaints, with its verb: "passes are".
    ///   - complain: gets lines for the log, from any thread.
    package init(
        _ settings: CacheStore.Settings, waiting: Int, batch: Int, format: Format, contents: String,
        complain: @escaping @Sendable (String) -> Void
    ) {
        self.settings = settings
        self.batch = batch
        self.format = format
        self.contents = contents
        self.complain = complain
        self.shared = Mutex(Shared(overlay: CacheOverlay(limit: waiting)))
        self.openStore()
    }

    // MARK: Asking and telling

    /// From any thread. It never waits for a writer. A key has 1 to 511 octets.
    package func value(of key: [UInt8]) -> Value? {
        let (change, store) = self.shared.withLock { ($0.overlay[key], $0.store) }
        switch change {
        case .set(let value): return value
        case .removed: return nil
        case nil: break
        }
        do { return try store?.value(of: key, self.format.decoded) } catch {
            self.failed(error)
            return nil
        }
    }

    /// From any thread. It counts at once.
    ///
    /// - Returns: whether the writer is to be told: of the first, to set its clock, and of one too many.
    package func put(_ change: Change, at key: [UInt8]) -> Bool {
        let (wakes, isFirstLoss) = self.shared.withLock { shared in
            let before = shared.overlay.recentCount
            let forgotten = shared.overlay.put(change, at: key)
            defer { shared.hasForgotten = shared.hasForgotten || forgotten > 0 }
            let after = shared.overlay.recentCount
            return (
                before != after && (after == 1 || after - 1 == self.batch), forgotten > 0 && !shared.hasForgotten
            )
        }
        if isFirstLoss {
            self.complain(
                "\(self.settings.folder) has not been written for so long that \(self.contents) forgotten")
        }
        return wakes
    }

    /// Those whose keys begin so, what waits to be written included, in no order. It reads the disk.
    package func values(prefix: [UInt8]) -> [[UInt8]: Value] {
        let (changes, store) = self.shared.withLock { ($0.overlay.changes, $0.store) }
        var values: [[UInt8]: Value] = [:]
        do {
            try store?.scan(prefix: prefix) { key, value in
                values[Array(key)] = self.format.decoded(value)
                return true
            }
        } catch { self.failed(error) }
        for (key, change) in changes where key.starts(with: prefix) {
            switch change {
            case .set(let value): values[key] = value
            case .removed: values[key] = nil
            }
        }
        return values
    }

    /// The first of those, in the order of their keys, for who goes through many: a page is all that is in memory.
    ///
    /// - Parameter after: a key that begins so, to begin behind it.
    package func values(prefix: [UInt8], after: [UInt8]?, limit: Int) -> [(key: [UInt8], value: Value)] {
        let (changes, store) = self.shared.withLock { ($0.overlay.changes, $0.store) }
        var values: [(key: [UInt8], value: Value)] = []
        do {
            try store?.scan(prefix: prefix, after: after) { key, value in
                let key = Array(key)
                if changes[key] == nil, let value = self.format.decoded(value) { values.append((key, value)) }
                return values.count < limit
            }
        } catch { self.failed(error) }
        for (key, change) in changes where key.starts(with: prefix) {
            guard case .set(let value) = change, after?.lexicographicallyPrecedes(key) ?? true else { continue }
            values.append((key, value))
        }
        return Array(values.sorted { $0.key.lexicographicallyPrecedes($1.key) }.prefix(limit))
    }

    /// Entries on the disk, changes that wait to be written, and how often that failed. For status.
    package var statistics: (entries: Int, waiting: Int, writeFailures: Int) {
        let (store, waiting, failures) = self.shared.withLock { ($0.store, $0.overlay.count, $0.writeFailures) }
        // A file that cannot be read is complained of where that matters.
        return ((try? store?.count()) ?? 0, waiting, failures)
    }

    /// Values that wait to be written, without removals; what was set twice may count twice.
    package var waitingValues: Int { self.shared.withLock { $0.overlay.setCount } }
    /// Whether anything waits to be written, and whether that is more than a batch.
    package var waiting: (isAny: Bool, isMuch: Bool) {
        self.shared.withLock { ($0.overlay.count > 0, $0.overlay.recentCount > self.batch) }
    }

    // MARK: Writing

    /// Writes what waits.
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
        do { try store.write(batch.changes, encoded: self.format.encoded) } catch {
            self.shared.withLock { $0.writeFailures += 1 }
            self.failed(error)
            return false
        }
        let hadFailed = self.shared.withLock { shared in
            shared.overlay.endWriting(batch.number)
            defer { (shared.isFailing, shared.hasForgotten) = (false, false) }
            return shared.isFailing
        }
        if hadFailed { self.complain("\(self.settings.folder) is written again") }
        return true
    }

    /// Forgets what expired before a time, and if there are too many then those that expire first, down to nine tenths.
    ///
    /// - Parameters:
    ///   - goesOn: asked between two transactions.
    ///   - expiry: on the scale of the limit; nil for what need not be kept.
    package func cleanUp(before limit: Int64, while goesOn: () -> Bool, expiry: (Value) -> Int64?) {
        guard let store = self.shared.withLock({ $0.store }) else { return }
        func time(_ value: UnsafeRawBufferPointer) -> Int64? { self.format.decoded(value).flatMap(expiry) }
        self.cleaning.withLock { _ in
            do throws(LMDBError) {
                try store.sweep(while: goesOn) { time($0).map { $0 < limit } ?? true }
                if goesOn() { store.proven() }
                let most = self.settings.entries
                guard try store.count() > most else { return }
                try store.trim(to: most - most / 10, while: goesOn) { time($0) ?? .min }
            } catch { self.failed(error) }
        }
    }

    /// Whether neither the bound nor a file that was opened late should wait for the next cleanup.
    package var isCleanUpDue: Bool {
        guard let store = self.shared.withLock({ $0.store }) else { return false }
        return (try? store.isDue(forEntries: self.settings.entries)) ?? false  // What fails has been complained of.
    }

    /// The program ends in order.
    package func proven() { self.shared.withLock { $0.store }?.proven() }

    private func openStore() {
        // LMDB allows a file to be open once in a process.
        let isDamaged = self.shared.withLock { shared in
            shared.store = nil
            return shared.isDamaged
        }
        let folder = self.settings.folder
        if isDamaged, CacheStore.setAside(folder) {
            self.complain("\(folder)/data.mdb is now data.mdb.damaged, and the cache is empty")
        }
        do throws(LMDBError) {
            let store = try CacheStore.open(self.settings, complain: self.complain)
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
        if isFirst { self.complain("\(self.settings.folder): \(error); \(self.contents) only in memory") }
    }
}
