import Foundation
import Mail
import Resolver
import Screener

/// What is usual of each DNS list, kept across restarts: else a list could go mad within its first hours unnoticed.
///
/// Zones of paid lists hold a key, so that nobody else may read the file.
struct ListHistoryFile: Sendable {
    private let path: String

    init(folder: String) {
        self.path = "\(folder)/lists.json"
    }

    /// What was kept; nothing of a file that is not there or cannot be read: history then begins anew.
    func read() -> [DNSName: HitRateHistory] {
        guard let bytes = FileManager.default.contents(atPath: self.path),
            let texts = try? JSONDecoder().decode([String: HitRateHistory].self, from: bytes)
        else { return [:] }
        return Dictionary(
            texts.compactMap { entry in DNSName(entry.key).map { ($0, entry.value) } }, uniquingKeysWith: { $1 })
    }

    /// Replaces the file at once and whole.
    func write(_ history: [DNSName: HitRateHistory]) throws {
        let texts = Dictionary(uniqueKeysWithValues: history.map { ($0.key.text, $0.value) })
        let new = "\(self.path).new"
        guard
            FileManager.default.createFile(
                atPath: new, contents: try JSONEncoder().encode(texts), attributes: [.posixPermissions: 0o600]),
            rename(new, self.path) == 0
        else { throw CocoaError(.fileWriteUnknown) }
    }
}
