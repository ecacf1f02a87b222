import Glibc

/// Makes folders with those above them.
package enum FolderMaker {
    package static func make(_ path: String) throws(PosternDaemon.StartError) {
        if mkdir(path, 0o750) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex else {
            throw .failed("\(path): \(String(cString: strerror(errno)))")
        }
        try Self.make(String(path[..<slash]))
        guard mkdir(path, 0o750) == 0 || errno == EEXIST else {
            throw .failed("\(path): \(String(cString: strerror(errno)))")
        }
    }
}

/// Keeps a second daemon off the same queue: both would send everything.
struct StateLock {
    private let descriptor: Int32

    init(folder: String) throws(PosternDaemon.StartError) {
        try FolderMaker.make(folder)
        let path = "\(folder)/lock"
        self.descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard self.descriptor >= 0 else { throw .failed("\(path): \(String(cString: strerror(errno)))") }
        guard flock(self.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(self.descriptor)
            throw .failed("another daemon uses \(folder)")
        }
    }

    /// The system does it as well when the process ends.
    func release() { close(self.descriptor) }
}
