import Glibc
import Mail

/// The socket of systemd's journal. Sending blocks while the journal does not keep up.
final class Journal: Sendable {
    /// Where it listens, on every system with systemd.
    static let standardPath = "/run/systemd/journal/socket"

    private let descriptor: Int32
    private let path: [UInt8]

    /// - Returns: nil if there is no socket to be had. Whether somebody listens is found out by sending.
    init?(path: String = Journal.standardPath) {
        self.path = Array(path.utf8)
        guard self.path.count < MemoryLayout<sockaddr_un>.size - MemoryLayout<sa_family_t>.size else { return nil }
        self.descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard self.descriptor >= 0 else { return nil }
    }

    deinit { close(self.descriptor) }

    /// Whether standard error goes to the journal: systemd says which file that would be (systemd.exec(5)).
    ///
    /// - Parameter stream: the value of `JOURNAL_STREAM`, device and inode.
    static func isConnected(_ descriptor: Int32, stream: String?) -> Bool {
        guard let stream else { return false }
        let numbers = stream.split(separator: ":", omittingEmptySubsequences: false).map { UInt64($0) }
        var status = stat()
        guard numbers.count == 2, let device = numbers[0], let inode = numbers[1], fstat(descriptor, &status) == 0
        else { return false }
        return UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
    }

    /// Sends entries to where the journal listens now; it may be another one than before.
    ///
    /// - Returns: nil, or the system's words for why it does not take the entry.
    func send(_ entry: [UInt8]) -> String? {
        var code = self.attempt(entry)
        // Lines have a bound far below what a datagram takes; whoever made the system's smaller still gets the text.
        if code == EMSGSIZE || code == ENOBUFS { code = self.attempt(JournalEntry.cut(entry)) }
        return code == 0 ? nil : String(cString: strerror(code))
    }

    private func attempt(_ entry: [UInt8]) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: self.path) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + self.path.count + 1)
        while true {
            let sent = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(self.descriptor, entry, entry.count, Int32(MSG_NOSIGNAL), $0, length)
                }
            }
            if sent >= 0 { return 0 }
            if errno != EINTR { return errno }
        }
    }
}

extension LogOptions {
    /// The journal if lines go there; nil for standard error.
    func journal(path: String = Journal.standardPath) -> Journal? {
        switch self.target {
        case .stderr: nil
        case .journal: Journal(path: path)
        case .auto:
            Journal.isConnected(STDERR_FILENO, stream: getenv("JOURNAL_STREAM").map { String(cString: $0) })
                ? Journal(path: path) : nil
        }
    }
}
