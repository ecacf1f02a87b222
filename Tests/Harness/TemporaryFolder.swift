import Foundation

/// A folder that is removed with everything in it when the last reference goes.
///
/// Every account may enter it, because a peer gives up its privileges. It is in `/tmp` whatever TMPDIR says, which may
/// be a folder that only its owner enters.
package final class TemporaryFolder: Sendable {
    static let parent = "/tmp"

    package let path: String

    package init() throws {
        var template = Array("\(Self.parent)/postern-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw HarnessError("cannot make a folder in \(Self.parent)", code: errno)
        }
        self.path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        chmod(self.path, 0o755)
        try Watchdog.shared.get().made(folder: self.path)
    }

    deinit {
        // What cannot be removed stays on the watchdog's list.
        guard (try? FileManager.default.removeItem(atPath: self.path)) != nil else { return }
        try? Watchdog.shared.get().removed(folder: self.path)
    }

    package func path(_ name: String) -> String { "\(self.path)/\(name)" }

    /// Makes a folder and those above it.
    @discardableResult
    package func make(folder name: String, mode: UInt32 = 0o755, user: UInt32? = nil, group: UInt32? = nil) throws
        -> String
    {
        let path = self.path(name)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard chown(path, user ?? UInt32.max, group ?? UInt32.max) == 0, chmod(path, mode) == 0 else {
            throw HarnessError("cannot hand over \(path)", code: errno)
        }
        return path
    }

    /// Writes a file, and makes the folders above it.
    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String {
        try self.write(name, bytes: Array(text.utf8))
    }

    @discardableResult
    package func write(_ name: String, bytes: [UInt8]) throws -> String {
        let path = self.path(name)
        try FileManager.default.createDirectory(
            atPath: (path as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// The text of a file; empty while there is none.
    package func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: self.path(name)) ?? Data(), as: UTF8.self)
    }
}
