import Glibc

/// What systemd and a service tell each other: sockets that are passed, and how the service is.
struct SystemdInterface: Sendable {
    /// Sockets that listen already (sd_listen_fds(3)). Cleared from the environment, so that no child takes them for
    /// its own.
    static func takeListeners() -> [Int32] {
        defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
        guard let pid = Self.number("LISTEN_PID"), pid == Int(getpid()), let count = Self.number("LISTEN_FDS"),
            count > 0
        else { return [] }
        return (3..<Int32(3 + count)).map { descriptor in
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            return descriptor
        }
    }

    /// How often systemd wants to hear of us, halved; nil if it does not care (sd_watchdog_enabled(3)).
    static var watchdogInterval: Duration? {
        Self.watchdogInterval(
            microseconds: getenv("WATCHDOG_USEC").map { String(cString: $0) },
            process: getenv("WATCHDOG_PID").map { String(cString: $0) }, own: getpid())
    }

    /// - Parameters:
    ///   - microseconds: WATCHDOG_USEC.
    ///   - process: WATCHDOG_PID: whom it means, if there is more than one that could be meant.
    static func watchdogInterval(microseconds: String?, process: String?, own: Int32) -> Duration? {
        guard let period = microseconds.flatMap({ Int64($0) }), period > 0 else { return nil }
        guard process == nil || process == String(own) else { return nil }
        return .microseconds(period) / 2
    }

    private static func number(_ name: String) -> Int? {
        getenv(name).flatMap { Int(String(cString: $0)) }
    }

    /// Sends a state such as `READY=1` (sd_notify(3)); nothing without systemd.
    static func notify(_ state: String) {
        guard let variable = getenv("NOTIFY_SOCKET") else { return }
        var path = Array(String(cString: variable).utf8)
        var address = sockaddr_un()
        guard !path.isEmpty, path.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        let length = MemoryLayout<sa_family_t>.size + path.count
        if path[0] == UInt8(ascii: "@") { path[0] = 0 }  // The abstract namespace.
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(state.utf8)
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, socklen_t(length))
            }
        }
    }
}
