import Glibc

/// The few calls to the file system that the queue needs besides its database.
enum FileSystem {
    /// What an unprivileged program may still write on the file system of a folder; 0 if it cannot be found out.
    static func freeBytes(at folder: String) -> Int {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return 0 }
        return Int(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }

    /// Makes a file that must not be there yet.
    static func create(_ path: String) throws(QueueError) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .failed("\(path): \(String(cString: strerror(errno)))") }
        return descriptor
    }

    static func remove(_ path: String) { unlink(path) }

    static func close(_ descriptor: Int32) {
        fsync(descriptor)
        Glibc.close(descriptor)
    }
}
