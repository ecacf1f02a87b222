import Foundation
package import Mail
import PostgreSQL
package import Recipients
import Rules

/// Brings the table of recipients up to date with another list, for `postern recipients sync`. It needs no daemon.
package struct RecipientSync {
    package enum Source: Hashable, Sendable {
        /// A file of pgsql_table(5) with a `list_query`.
        case database(String)
        /// Addresses that the primary was seen to accept.
        case callout
        /// One address a line.
        case file(String)

        /// Reads `pgsql:FILE`, `callout` or `FILE`.
        package init(_ text: String) {
            if text == "callout" {
                self = .callout
            } else if text.hasPrefix("pgsql:") {
                self = .database(String(text.dropFirst("pgsql:".count)))
            } else {
                self = .file(text)
            }
        }
    }

    /// What a source gave.
    package struct Gathered: Sendable {
        package let list: RecipientList
        /// What is worth knowing before it is taken over.
        package let warnings: [FileError]
    }

    /// A source that is in order and gives nothing now.
    package struct Unavailable: Error, Sendable {
        package let message: String
    }

    /// The table that is compared, and what it holds; empty if there is no such file.
    package let file: String
    private let text: String
    private let present: TextTable

    /// - Throws: if the table is not in order, or none is configured.
    package init(_ configuration: Configuration) throws(FileErrors) {
        guard let reference = configuration.relayRecipients.tables.first else {
            throw FileErrors([FileError(file: "relay_recipients", message: "no table is configured")])
        }
        let path = reference.path
        self.file = path.hasPrefix("/") ? path : "\(configuration.rules)/\(path)"
        guard FileManager.default.fileExists(atPath: self.file) else {
            (self.text, self.present) = ("", TextTable(entries: [:], keys: []))
            return
        }
        self.present = try TextTable(file: self.file)
        do { self.text = try FileText.read(self.file) } catch { throw FileErrors([error]) }
    }

    // MARK: The other list

    package static func gather(
        _ source: Source, _ configuration: Configuration, policy: VerifyPolicy, at now: Timestamp
    ) async throws -> Gathered {
        switch source {
        case .file(let path): try Self.gather(file: path)
        case .callout: try Self.gather(verified: configuration, policy, now)
        case .database(let path): try await Self.gather(database: path)
        }
    }

    private static func gather(file: String) throws -> Gathered {
        let text: String
        do { text = try FileText.read(file) } catch { throw FileErrors([error]) }
        let list = RecipientList(text: text)
        guard list.problems.isEmpty else {
            throw FileErrors(list.problems.map { FileError(file: file, line: $0.place, message: $0.message) })
        }
        return Gathered(list: list, warnings: [])
    }

    private static func gather(
        verified configuration: Configuration, _ policy: VerifyPolicy, _ now: Timestamp
    ) throws -> Gathered {
        let folder = "\(configuration.state)/\(VerifyArchive.folderName)"
        do throws(VerifyArchive.Failure) {
            let (addresses, domains) = try VerifyArchive(folder: folder).acceptedRecipients(policy, at: now)
            return Gathered(
                list: Self.list(addresses),
                warnings: domains.map {
                    FileError(file: folder, message: "left out: the primary of \($0) accepts every address")
                })
        } catch {
            throw Unavailable(message: "\(folder): \(error)")
        }
    }

    private static func gather(database path: String) async throws -> Gathered {
        let file = try PgsqlFile(file: path)
        guard file.listQuery != nil else {
            throw FileErrors([
                FileError(file: path, message: "there is no list_query, which asks for all addresses")
            ])
        }
        let table = try PgsqlTable(name: "pgsql:\(path)", file: file, settings: Self.settings) { _ in }
        let answer = await table.list()
        table.close()
        switch answer {
        case .success(let entries):
            let list = Self.list(entries)
            return Gathered(
                list: list,
                warnings: list.problems.map { FileError(file: path, message: "row \($0.place): \($0.message)") })
        case .failure(let error): throw Unavailable(message: "\(path): \(error)")
        case nil: throw Unavailable(message: "\(path): no list_query")
        }
    }

    /// A whole list takes longer than one key.
    private static var settings: DatabaseSettings {
        var settings = DatabaseSettings()
        (settings.connections, settings.timeout) = (1, .seconds(300))
        return settings
    }

    private static func list(_ entries: [String]) -> RecipientList {
        RecipientList(entries.enumerated().lazy.map { (place: $0.offset + 1, text: $0.element) })
    }

    // MARK: The difference

    package func difference(to list: RecipientList) -> RecipientList.Difference { list.difference(to: self.present) }

    /// Writes the table with these recipients, whole or not at all.
    ///
    /// - Parameter path: nil for the present table.
    package func write(_ list: RecipientList, to path: String?) throws {
        let path = path ?? self.file
        let new = "\(path).new"
        // Whoever may read the present one may read the next.
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let mode = attributes?[.posixPermissions] ?? 0o640
        let text = list.table(inPlaceOf: self.present, text: self.text)
        guard
            FileManager.default.createFile(
                atPath: new, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
        else { throw Unavailable(message: "\(new): \(String(cString: strerror(errno)))") }
        try Self.synchronize(new)
        guard rename(new, path) == 0 else { throw Unavailable(message: "\(path): \(String(cString: strerror(errno)))") }
    }

    /// A crash leaves the old file or the new one, not an empty one.
    private static func synchronize(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unavailable(message: "\(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Unavailable(message: "\(path): \(String(cString: strerror(errno)))") }
    }
}
