import Foundation

/// A TCP socket that listens, as systemd holds one for a service.
package final class ListeningSocket: Sendable {
    package let address: Endpoint
    package let descriptor: Int32

    /// - Parameter sendBuffer: of its connections, about how many octets the kernel takes; nil for its own choice.
    package init(_ address: Endpoint, sendBuffer: Int32? = nil) throws {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.isV6 ? AF_INET6 : AF_INET, kind, 0)
        guard descriptor >= 0 else { throw HarnessError("cannot make a socket", code: errno) }
        self.descriptor = descriptor
        self.address = address
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        if var sendBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &sendBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        let result = try address.withSocketAddress { bind(descriptor, $0, $1) }
        guard result == 0, listen(descriptor, 4096) == 0 else {
            throw HarnessError("cannot listen on \(address)", code: errno)
        }
    }

    deinit { close(self.descriptor) }
}

/// What of the connections to a port is on its way, in the kernel's buffers of either side.
///
/// - Returns: octets that the senders have handed to the system and the readers have not fetched from it.
package func bytesInKernel(toPort port: Int) throws -> Int {
    // A file of a size that nobody knows: read as a whole it would end after the first page.
    guard let file = FileHandle(forReadingAtPath: "/proc/net/tcp") else { throw HarnessError("no /proc/net/tcp") }
    let sockets = String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    let suffix = ":" + String(format: "%04X", port)
    var total = 0
    for line in sockets.split(separator: "\n").dropFirst() {
        // sl, local_address, rem_address, st, tx_queue:rx_queue; 0A is LISTEN, whose queues count connections.
        let fields = line.split(separator: " ", maxSplits: 5)
        guard fields.count > 4, fields[3] != "0A" else { continue }
        let queues = fields[4].split(separator: ":").map { Int($0, radix: 16) ?? 0 }
        if fields[2].hasSuffix(suffix) { total += queues[0] }
        if fields[1].hasSuffix(suffix) { total += queues[1] }
    }
    return total
}
