package import Mail
package import Polling
package import PostgreSQL
package import Rules
import Synchronization

/// A `pgsql:` table with its connections.
///
/// Good answers are kept for the time when no server can be asked. That a key was missing is not: a failure is temporary
/// and makes nobody unknown (SEMANTICS §8).
package final class PgsqlTable: Sendable {
    package enum Answer: Hashable, Sendable {
        case found(String)
        case missing
        case failed(String)
    }

    /// As the administrator wrote it.
    package let name: String
    package let file: PgsqlFile
    private let pool: DatabasePool
    private let report: @Sendable (String) -> Void
    private let shared: Mutex<Shared>

    private struct Shared {
        var known: LastAnswers
        /// It has been reported that the servers fail.
        var isFailing = false
    }

    /// - Parameters:
    ///   - kept: answers that are kept.
    ///   - report: gets lines for the log when the servers begin to fail and when they answer again.
    /// - Throws: if there can be no threads.
    package init(
        name: String, file: PgsqlFile, settings: DatabaseSettings = DatabaseSettings(), kept: Int = 50_000,
        report: @escaping @Sendable (String) -> Void
    ) throws(SystemError) {
        self.name = name
        self.file = file
        self.report = report
        self.shared = Mutex(Shared(known: LastAnswers(limit: kept)))
        var settings = settings
        (settings.idle, settings.retry) = (file.idle, file.retry)
        self.pool = try DatabasePool(file.targets, settings: settings)
    }

    package func close() { self.pool.close() }

    /// What the table says to a key, which is folded already.
    package func lookup(_ key: String) async -> Answer {
        guard let values = self.file.values(for: key) else { return .missing }
        switch await self.pool.query(self.file.query.statement, values) {
        case .failure(let error):
            self.failed(error)
            let kept = self.shared.withLock { $0.known[key] }
            return kept.map { .found($0) } ?? .failed("\(self.name): \(error)")
        case .success(let rows):
            self.answered()
            do throws(PgsqlLimitExceeded) {
                let value = try self.file.result(rows, key: key)
                self.shared.withLock { $0.known[key] = value }
                return value.map { .found($0) } ?? .missing
            } catch {
                return .failed("\(self.name): '\(key)' has more than \(error.limit) values")
            }
        }
    }

    /// What the table says to the first of some keys that it has. A failure does not hide a later key that it is known
    /// to have.
    package func lookup(anyOf keys: [String]) async -> Answer {
        var failure: Answer?
        for key in keys {
            let answer = await self.lookup(key)
            switch answer {
            case .found: return answer
            case .failed: failure = failure ?? answer
            case .missing: break
            }
        }
        return failure ?? .missing
    }

    /// For ``RecipientSources/databases``.
    package func answer(_ mailbox: Mailbox, _ keys: AddressKeys) async -> DatabaseAnswer {
        switch await self.lookup(anyOf: keys.recipient(mailbox)) {
        case .found(let value): .found("\(self.name): \(value)")
        case .missing: .missing
        case .failed(let reason): .failed(reason)
        }
    }

    /// All keys, by `list_query`: the first column of each row. Nil if the file has none.
    package func list() async -> Result<[String], DatabaseError>? {
        guard let query = self.file.listQuery else { return nil }
        return await self.pool.query(query.statement).map { rows in rows.compactMap { $0.first ?? nil } }
    }

    private func failed(_ error: DatabaseError) {
        let isFirst = self.shared.withLock { shared in
            defer { shared.isFailing = true }
            return !shared.isFailing
        }
        if isFirst { self.report("\(self.name): \(error); what it said before still counts") }
    }

    private func answered() {
        let hadFailed = self.shared.withLock { shared in
            defer { shared.isFailing = false }
            return shared.isFailing
        }
        if hadFailed { self.report("\(self.name): answers again") }
    }
}

/// The last good answers, in two generations: when the newer is full the older is forgotten.
struct LastAnswers {
    private var recent: [String: String] = [:]
    private var older: [String: String] = [:]
    private let limit: Int

    init(limit: Int) {
        self.limit = max(limit, 2)
    }

    subscript(key: String) -> String? {
        get { self.recent[key] ?? self.older[key] }
        set {
            guard let newValue else {
                self.recent[key] = nil
                self.older[key] = nil
                return
            }
            if self.recent.count >= self.limit / 2, self.recent[key] == nil {
                (self.older, self.recent) = (self.recent, [:])
            }
            self.recent[key] = newValue
        }
    }
}

extension PgsqlFile {
    /// The servers as libpq finds them. What a URI says is not overruled, encoding aside.
    package var targets: [DatabaseTarget] {
        self.hosts.map { host in
            let common = [
                DatabaseTarget.Parameter("client_encoding", self.encoding),
                DatabaseTarget.Parameter("fallback_application_name", "postern"),
            ]
            switch host {
            case .uri(let uri): return DatabaseTarget(uri: uri, parameters: common)
            case .socket(let folder):
                return DatabaseTarget(name: folder, parameters: self.parameters(folder, nil) + common)
            case .name(let name, let port):
                return DatabaseTarget(
                    name: name + (port.map { ":\($0)" } ?? ""), parameters: self.parameters(name, port) + common)
            }
        }
    }

    private func parameters(_ host: String, _ port: String?) -> [DatabaseTarget.Parameter] {
        let pairs = [
            ("host", host), ("port", port), ("dbname", self.database), ("user", self.user), ("password", self.password),
        ]
        return pairs.compactMap { keyword, value in value.map { DatabaseTarget.Parameter(keyword, $0) } }
    }
}
