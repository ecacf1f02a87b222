import Glibc
import Mail

/// A command's side of the control socket. Blocks.
package struct ControlClient: ~Copyable {
    package enum Failure: Error, Sendable {
        /// No daemon there; the system's words.
        case unreachable(String)
        /// It went away in the middle, or is of another version.
        case broken(String)
    }

    private let descriptor: Int32

    /// - Parameter timeout: how long an answer may be waited for; by default until there is one.
    package init(path: String, timeout: Duration? = nil) throws(Failure) {
        self.descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard self.descriptor >= 0 else { throw .unreachable(Self.reason) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw .unreachable("\(path): name too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0 else { throw .unreachable("\(path): \(Self.reason)") }
        guard let timeout else { return }
        var value = timeval(tv_sec: Int(timeout.components.seconds), tv_usec: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &value, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(self.descriptor) }

    private static var reason: String { String(cString: strerror(errno)) }

    /// Sends a request and gives the frames of the answer to a closure until the last, which is returned.
    package func run(
        _ request: ControlRequest, _ body: (_ kind: UInt8, _ payload: [UInt8]) throws -> Void
    ) throws -> ControlEnd {
        try self.send(try ControlJSON.encode(request) + [ASCII.lineFeed])
        var input = Input(descriptor: self.descriptor)
        while true {
            let (kind, payload) = try input.nextFrame()
            if kind == ControlFrame.end { return try ControlJSON.decode(ControlEnd.self, from: payload) }
            try body(kind, payload)
        }
    }

    private func send(_ bytes: [UInt8]) throws(Failure) {
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress.map { $0 + start }, bytes.count - start, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw .broken(Self.reason) }
            start += count
        }
    }

    /// Reads frames with a buffer, so that short ones cost no call each.
    private struct Input {
        let descriptor: Int32
        private var buffer: [UInt8] = []
        private var start = 0

        init(descriptor: Int32) {
            self.descriptor = descriptor
        }

        mutating func nextFrame() throws(Failure) -> (UInt8, [UInt8]) {
            while true {
                if let end = self.buffer[self.start...].firstIndex(of: ASCII.lineFeed) {
                    let header = self.buffer[self.start..<end]
                    guard let (kind, count) = ControlFrame.header(header) else {
                        throw .broken("an answer that is none")
                    }
                    try self.fill(count: end + 1 - self.start + count)
                    let payload = Array(self.buffer[(self.start + header.count + 1)...].prefix(count))
                    self.start += header.count + 1 + count
                    return (kind, payload)
                }
                try self.fill(count: self.buffer.count - self.start + 1)
            }
        }

        /// Makes sure that so many octets are there.
        private mutating func fill(count: Int) throws(Failure) {
            guard self.buffer.count - self.start < count else { return }
            self.buffer.removeFirst(self.start)
            self.start = 0
            var piece = [UInt8](repeating: 0, count: 65_536)
            while self.buffer.count < count {
                let size = read(self.descriptor, &piece, piece.count)
                if size < 0, errno == EINTR { continue }
                guard size > 0 else { throw .broken("the daemon went away") }
                self.buffer += piece[..<size]
            }
        }
    }
}
