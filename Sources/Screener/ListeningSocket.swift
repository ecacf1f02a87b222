import CSystem
import Glibc
package import Mail
package import Polling

/// Where clients connect.
package struct ListeningSocket: Sendable {
    package let descriptor: CInt
    /// With the port that was chosen if it was to be 0; nil for a socket that is not of the internet.
    package let endpoint: Endpoint?

    /// Connections that may wait to be accepted.
    private static let backlog: CInt = 4096

    /// Begins to listen.
    package init(_ endpoint: Endpoint) throws(SystemError) {
        var address = SocketAddress(endpoint)
        let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let descriptor = try check("socket", socket(address.family, kind, 0))
        do {
            try Self.set(SOL_SOCKET, SO_REUSEADDR, descriptor)
            // Else [::] would take the port of 0.0.0.0 as well, and the two could not be listened on together.
            if address.family == AF_INET6 { try Self.set(CInt(IPPROTO_IPV6), IPV6_V6ONLY, descriptor) }
            try check("bind", address.withPointer { bind(descriptor, $0, $1) })
            try check("listen", listen(descriptor, Self.backlog))
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        try self.init(adopting: descriptor)
    }

    /// Takes a socket that listens already, as systemd hands over.
    package init(adopting descriptor: CInt) throws(SystemError) {
        try check("fcntl", fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK))
        // Linux hands this on to the connections, which saves a call for each.
        try Self.set(CInt(IPPROTO_TCP), TCP_NODELAY, descriptor)
        self.descriptor = descriptor
        self.endpoint = SocketAddress.reading { getsockname(descriptor, $0, $1) }?.endpoint
    }

    private static func set(_ level: CInt, _ option: CInt, _ descriptor: CInt) throws(SystemError) {
        var one: CInt = 1
        try check("setsockopt", setsockopt(descriptor, level, option, &one, socklen_t(MemoryLayout<CInt>.size)))
    }

    enum Accepted {
        case connection(CInt, Endpoint)
        /// Nobody is there, or whoever was has gone.
        case nobody
        /// There is no descriptor left; errno.
        case exhausted(CInt)
        /// errno
        case failed(CInt)
    }

    func accept() -> Accepted {
        var descriptor: CInt = -1
        let address = SocketAddress.reading { address, length in
            descriptor = accept4(
                self.descriptor, address, length, CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue))
            return descriptor
        }
        guard descriptor >= 0 else { return Self.failure(errno) }
        guard let client = address?.endpoint else {
            Glibc.close(descriptor)
            return .nobody
        }
        return .connection(descriptor, client)
    }

    /// Errors of the network that are the client's are given to accept (accept(2)).
    private static func failure(_ code: CInt) -> Accepted {
        switch code {
        case EAGAIN, EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP,
            ENETUNREACH, EPERM:
            .nobody
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: .exhausted(code)
        default: .failed(code)
        }
    }

    package func close() { _ = Glibc.close(self.descriptor) }
}

/// An address of the socket interface.
struct SocketAddress {
    private var storage = sockaddr_storage()
    private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    private init() {}

    init(_ endpoint: Endpoint) {
        switch endpoint.address {
        case .v4(let value):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = UInt16(truncatingIfNeeded: endpoint.port).bigEndian
            address.sin_addr.s_addr = value.bigEndian
            self.set(address)
        case .v6(let high, let low):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = UInt16(truncatingIfNeeded: endpoint.port).bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) {
                $0.storeBytes(of: high.bigEndian, as: UInt64.self)
                $0.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            self.set(address)
        }
    }

    private mutating func set<Address>(_ address: Address) {
        withUnsafeMutableBytes(of: &self.storage) { $0.storeBytes(of: address, as: Address.self) }
        self.length = socklen_t(MemoryLayout<Address>.size)
    }

    /// - Parameter call: fills the address; below 0 if it fails.
    static func reading(_ call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt) -> Self? {
        var address = SocketAddress()
        var length = address.length
        let code = withUnsafeMutablePointer(to: &address.storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, &length) }
        }
        address.length = length
        return code < 0 ? nil : address
    }

    var family: CInt { CInt(self.storage.ss_family) }

    mutating func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        let length = self.length
        return withUnsafePointer(to: &self.storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// nil for a socket that is not of the internet.
    var endpoint: Endpoint? {
        withUnsafeBytes(of: self.storage) { bytes in
            switch self.family {
            case AF_INET:
                let address = bytes.load(as: sockaddr_in.self)
                return Endpoint(
                    .v4(UInt32(bigEndian: address.sin_addr.s_addr)), port: Int(UInt16(bigEndian: address.sin_port)))
            case AF_INET6:
                var address = bytes.load(as: sockaddr_in6.self)
                return Endpoint(
                    withUnsafeBytes(of: &address.sin6_addr) { IPAddress(v6Bytes: $0) },
                    port: Int(UInt16(bigEndian: address.sin6_port)))
            default: return nil
            }
        }
    }
}
