import Foundation
import Synchronization

/// A numeric address and a port.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
    }

    /// A free port of an address.
    package static func free(_ host: String = "127.0.0.1") throws -> Endpoint { Endpoint(host, try freePort()) }

    var isV6: Bool { self.host.contains(":") }
    package var description: String { self.isV6 ? "[\(self.host)]:\(self.port)" : "\(self.host):\(self.port)" }

    /// The address as `bind` and `connect` want it.
    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result) throws -> Result {
        if self.isV6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = in_port_t(self.port).bigEndian
            guard inet_pton(AF_INET6, self.host, &address.sin6_addr) == 1 else { throw self.notNumeric }
            return try Self.borrow(&address, body)
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(self.port).bigEndian
        guard inet_pton(AF_INET, self.host, &address.sin_addr) == 1 else { throw self.notNumeric }
        return try Self.borrow(&address, body)
    }

    private var notNumeric: HarnessError { HarnessError("\(self.host) is not a numeric address") }

    private static func borrow<Address, Result>(
        _ address: inout Address, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
    ) throws -> Result {
        try withUnsafePointer(to: &address) { pointer in
            try UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }
}

// MARK: - Ports

private let handedOut = Mutex<Set<Int>>([])

/// A port that nobody has, for TCP and UDP, on any address.
///
/// It lies below the range from which the kernel takes the ports of outgoing connections (32768 and up), so that no
/// client of another test takes it before its server is up. A process gets each port once.
package func freePort() throws -> Int {
    for _ in 0..<1000 {
        let port = Int.random(in: 16384..<32768)
        if isFree(port), handedOut.withLock({ $0.insert(port).inserted }) { return port }
    }
    throw HarnessError("found no free port")
}

private func isFree(_ port: Int) -> Bool {
    // The unspecified addresses clash with every other of their family.
    [Endpoint("0.0.0.0", port), Endpoint("::", port)].allSatisfy { endpoint in
        [SOCK_STREAM, SOCK_DGRAM].allSatisfy { kind in
            let family = endpoint.isV6 ? AF_INET6 : AF_INET
            let socket = socket(family, Int32(kind.rawValue | SOCK_CLOEXEC.rawValue), 0)
            guard socket >= 0 else { return true }  // A machine without IPv6.
            defer { close(socket) }
            let result = try? endpoint.withSocketAddress { bind(socket, $0, $1) }
            return result == 0
        }
    }
}

/// Waits until somebody listens, without connecting: a server would take the probe for a client.
///
/// - Parameter server: the one that shall listen. When it ends, the wait does too.
package func waitForPort(
    _ endpoint: Endpoint, of server: Subprocess? = nil, within limit: Duration = .seconds(30)
) throws {
    try eventually("a listener on \(endpoint)", within: limit) {
        if try isListening(endpoint) { return true }
        if let server, let ending = server.ending {
            throw HarnessError("\(server.name) \(ending) before it listened on \(endpoint): \(server.output)")
        }
        return false
    }
}

/// Whether a TCP socket listens on the address, or on all addresses of its family.
package func isListening(_ endpoint: Endpoint) throws -> Bool {
    // A file of a size that nobody knows: read as a whole it would end after the first page.
    let file = FileHandle(forReadingAtPath: endpoint.isV6 ? "/proc/net/tcp6" : "/proc/net/tcp")
    let sockets = String(decoding: try file?.readToEnd() ?? Data(), as: UTF8.self)
    let port = String(endpoint.port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - port.count) + port
    let address = try endpoint.withSocketAddress { pointer, length in
        // Behind family and port (and the flow of IPv6): 32-bit words as the machine reads them.
        let words = UnsafeRawBufferPointer(start: pointer, count: Int(length))
        let range = endpoint.isV6 ? 8..<24 : 4..<8
        return stride(from: range.lowerBound, to: range.upperBound, by: 4).map { offset in
            String(format: "%08X", words.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }.joined()
    }
    let wanted = [address + suffix, String(repeating: "0", count: address.count) + suffix]
    return sockets.split(separator: "\n").contains { line in
        // sl, local_address, rem_address, st; 0A is LISTEN.
        let fields = line.split(separator: " ", maxSplits: 4)
        return fields.count > 3 && fields[3] == "0A" && wanted.contains(String(fields[1]))
    }
}
