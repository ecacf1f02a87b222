import Glibc
import LMDB
package import Mail

/// The verified addresses of a running or stopped daemon, for reading only. What it learned in the last seconds may not
/// be on the disk yet.
package struct VerifyArchive: Sendable {
    /// Below the state folder.
    package static let folderName = "verified"

    package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        case missing
        case unreadable(String)

        package var description: String {
            switch self {
            case .missing: "nothing has been verified yet"
            case .unreadable(let why): why
            }
        }
    }

    private let folder: String

    /// - Parameter folder: that of a ``VerifyCache``.
    package init(folder: String) {
        self.folder = folder
    }

    /// Recipients whose servers accept them, sorted; without those of domains whose servers accept every address.
    package func acceptedRecipients(
        _ policy: VerifyPolicy, at now: Timestamp
    ) throws(Failure) -> (addresses: [String], acceptAllDomains: [String]) {
        var status = stat()
        guard stat(self.folder + "/data.mdb", &status) == 0 else {
            guard errno == ENOENT else { throw .unreadable(String(cString: strerror(errno))) }
            throw .missing
        }
        var accepted: [VerifyKey] = []
        do throws(LMDBError) {
            if try Environment.isCutShort(folder: self.folder) { throw .corrupted }
            let environment = try Environment(
                folder: self.folder, mapBytes: max(Int(status.st_size), 1 << 20), tables: 1, isReadOnly: true)
            guard let table = try environment.existingTable(VerifyCache.table) else { return ([], []) }
            try environment.read { transaction throws(LMDBError) in
                try transaction.scan(table, from: []) { key, value in
                    if let key = VerifyKey(bytes: key), let record = VerifyRecord(record: value),
                        case .accepted = policy.standing(of: record, at: now)
                    {
                        accepted.append(key)
                    }
                    return .next
                }
            }
        } catch { throw .unreadable("\(error)") }
        let domains = Set(accepted.lazy.filter { $0.kind == .domain }.map(\.text))
        let addresses = accepted.filter { key in
            guard key.kind == .recipient, let at = key.text.lastIndex(of: "@") else { return false }
            return !domains.contains(String(key.text[key.text.index(after: at)...]))
        }
        return (addresses.map(\.text).sorted(), domains.sorted())
    }
}
