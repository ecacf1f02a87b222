package import Glibc
import Mail

/// A file that holds a secret: a key, or passwords.
package enum PrivateFile {
    private static let maximumBytes = 1 << 20

    /// Reads a file that nobody else could have read.
    ///
    /// As with opendkim's `RequireSafeKeys`: the file belongs to root or to us; others may do nothing with it; a group
    /// may read it, if that is root's or one of ours, but not write it. Root may use files that are meant for the group
    /// of a daemon.
    ///
    /// - Parameter unsafe: told who else could read the file; by default it is thrown.
    /// - Throws: the system's own words, or what `unsafe` throws.
    static func read(
        _ path: String, unsafe: (FileError) throws(FileError) -> Void = { (error) throws(FileError) in throw error }
    ) throws(FileError) -> [UInt8] {
        // Whoever opens a FIFO waits for a writer otherwise, and a reload with him.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw Self.error(path) }
        defer { close(descriptor) }
        if let problem = try Self.problem(descriptor, path) { try unsafe(problem) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= Self.maximumBytes {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Self.error(path) }
            guard count > 0 else { return bytes }
            bytes += piece[..<count]
        }
        throw FileError(file: path, message: "longer than \(Self.maximumBytes) octets")
    }

    /// Asks the opened file, so that no other can be put in its place.
    private static func problem(_ descriptor: Int32, _ path: String) throws(FileError) -> FileError? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.error(path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileError(file: path, message: "not a file") }
        return Self.problem(
            mode: status.st_mode, owner: status.st_uid, group: status.st_gid, user: geteuid(), groups: Self.groups
        ).map { FileError(file: path, message: "the secret in it is not safe: \($0)") }
    }

    /// Who else could read or change a file with these rights; nil if nobody.
    ///
    /// - Parameters:
    ///   - user: who we are.
    ///   - groups: whose members we are.
    package static func problem(
        mode: mode_t, owner: uid_t, group: gid_t, user: uid_t, groups: [gid_t]
    ) -> String? {
        guard owner == 0 || owner == user || user == 0 else { return "it belongs to somebody else" }
        guard mode & 0o007 == 0 else { return "others can read or change it; chmod 0600 it" }
        guard mode & 0o030 == 0 else { return "its group can change it; chmod 0640 it" }
        guard mode & 0o040 == 0 || group == 0 || user == 0 || groups.contains(group) else {
            return "a group that is not ours can read it; chmod 0600 it"
        }
        return nil
    }

    private static var groups: [gid_t] {
        let count = max(0, getgroups(0, nil))
        var groups = [gid_t](repeating: 0, count: Int(count))
        let filled = getgroups(count, &groups)
        return [getegid()] + groups.prefix(Int(max(0, filled)))
    }

    /// Writes a file that nobody else may read. One that is there already stays as it is; one that could not be written
    /// whole is removed.
    static func create(_ path: String, _ bytes: [UInt8]) throws(FileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.error(path) }
        defer { close(descriptor) }
        guard write(descriptor, bytes, bytes.count) == bytes.count, fsync(descriptor) == 0 else {
            let error = Self.error(path)
            // What is wrong with the disk is the error to tell.
            _ = unlink(path)
            throw error
        }
    }

    private static func error(_ path: String) -> FileError {
        FileError(file: path, message: String(cString: strerror(errno)))
    }
}
