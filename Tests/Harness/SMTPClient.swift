import Foundation

/// A connection to a server under test: it sends the bytes it is given and reads replies, each with a deadline.
///
/// It knows as little of SMTP as can be, so that a test can break every rule. Blocks its thread; see ``onOwnThread``
/// for a server in the same process.
package final class SMTPClient {
    /// A reply as it came.
    package struct Reply: Hashable, Sendable, CustomStringConvertible {
        package let code: Int
        /// The texts behind the code, one for each line.
        package let lines: [String]
        /// With every CR and LF.
        package let bytes: [UInt8]

        package var text: String { self.lines.joined(separator: "\n") }
        package var description: String { "\(self.code) \(self.lines.joined(separator: " / "))" }
    }

    /// How the connection ended, seen from here.
    package enum End: Hashable, Sendable { case closed, reset }

    package let server: Endpoint
    /// How long a call waits for the server.
    package var patience: Duration
    /// Read and not yet given out.
    package private(set) var unread: [UInt8] = []
    private var socket: Int32
    private var end: End?

    /// - Parameters:
    ///   - source: the address to connect from, such as `127.0.0.5`.
    ///   - receiveBuffer: about how many octets the kernel takes before they are read; nil for its own choice.
    package init(
        _ server: Endpoint, from source: String? = nil, receiveBuffer: Int32? = nil, patience: Duration = .seconds(30)
    ) throws {
        self.server = server
        self.patience = patience
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        self.socket = Glibc.socket(server.isV6 ? AF_INET6 : AF_INET, kind, 0)
        guard self.socket >= 0 else { throw HarnessError("cannot make a socket", code: errno) }
        // Every send becomes a segment of its own.
        try self.set(TCP_NODELAY, of: Int32(IPPROTO_TCP), to: Int32(1))
        if let receiveBuffer { try self.set(SO_RCVBUF, of: SOL_SOCKET, to: receiveBuffer) }
        if let source {
            let result = try Endpoint(source, 0).withSocketAddress { bind(self.socket, $0, $1) }
            guard result == 0 else { throw HarnessError("cannot connect from \(source)", code: errno) }
        }
        let result = try server.withSocketAddress { connect(self.socket, $0, $1) }
        guard result == 0 || errno == EINPROGRESS else {
            throw HarnessError("cannot connect to \(server)", code: errno)
        }
        try self.wait(for: POLLOUT, until: self.deadline, "a connection to \(server)")
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(self.socket, SOL_SOCKET, SO_ERROR, &code, &length)
        // Connected, and reset before it was looked at.
        if code == ECONNRESET {
            self.end = .reset
        } else if code != 0 {
            throw HarnessError("cannot connect to \(server)", code: code)
        }
    }

    deinit { self.close() }

    private var deadline: ContinuousClock.Instant { ContinuousClock.now + self.patience }

    // MARK: Sending

    /// Sends a line and reads the reply.
    @discardableResult
    package func command(_ line: String) throws -> Reply {
        try self.send(line + "\r\n")
        return try self.reply()
    }

    /// Sends a message in a transaction of its own, after EHLO or HELO.
    ///
    /// - Parameter content: its lines end with CRLF; it is dot-stuffed here.
    /// - Returns: the first reply that is not the one hoped for, or that to the end of data.
    @discardableResult
    package func sendMessage(from reversePath: String, to forwardPaths: [String], _ content: [UInt8]) throws -> Reply {
        for line in ["MAIL FROM:<\(reversePath)>"] + forwardPaths.map({ "RCPT TO:<\($0)>" }) {
            let reply = try self.command(line)
            guard reply.code / 100 == 2 else { return reply }
        }
        let reply = try self.command("DATA")
        guard reply.code == 354 else { return reply }
        try self.send(dotStuffed(content) + Array(".\r\n".utf8))
        return try self.reply()
    }

    package func send(_ text: String) throws {
        try self.send(Array(text.utf8))
    }

    /// - Parameter pieceBytes: how many octets each segment carries; 1 sends byte by byte.
    package func send(_ bytes: [UInt8], pieceBytes: Int = .max) throws {
        let deadline = self.deadline
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.prefix(pieceBytes).withUnsafeBytes {
                Glibc.send(self.socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent >= 0 {
                rest = rest.dropFirst(sent)
            } else if errno == EAGAIN {
                try self.wait(for: POLLOUT, until: deadline, "\(self.server) to read")
            } else if errno != EINTR {
                throw HarnessError("cannot send to \(self.server)", code: errno)
            }
        }
    }

    /// Sends until the server has taken nothing for a while, or all.
    ///
    /// - Returns: how many octets went out.
    package func sendWhileTaken(_ bytes: [UInt8], stallsAfter limit: Duration = .milliseconds(500)) throws -> Int {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                Glibc.send(self.socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent >= 0 {
                rest = rest.dropFirst(sent)
            } else if errno == EAGAIN {
                guard try self.poll(POLLOUT, until: ContinuousClock.now + limit) else { break }
            } else if errno != EINTR {
                throw HarnessError("cannot send to \(self.server)", code: errno)
            }
        }
        return bytes.count - rest.count
    }

    /// Sends no more, and can still read.
    package func finishSending() {
        shutdown(self.socket, Int32(SHUT_WR))
    }

    /// Ends the connection with a reset (RST).
    package func abort() throws {
        try self.set(SO_LINGER, of: SOL_SOCKET, to: linger(l_onoff: 1, l_linger: 0))
        self.close()
    }

    package func close() {
        guard self.socket >= 0 else { return }
        Glibc.close(self.socket)
        self.socket = -1
    }

    // MARK: Reading

    /// One reply, of one line or more.
    ///
    /// - Throws: when there is no whole reply in time, when the connection ends within it, or when it is not one.
    package func reply() throws -> Reply {
        let deadline = self.deadline
        var bytes: [UInt8] = []
        var lines: [String] = []
        while true {
            let line = try self.line(until: deadline, after: lines)
            bytes += line
            let text = String(decoding: line, as: UTF8.self)
            let separator = text.dropFirst(3).first
            guard let code = Int(text.prefix(3)), separator == " " || separator == "-" || separator?.isNewline == true,
                text.hasSuffix("\r\n")
            else { throw HarnessError("not a line of a reply: '\(text)'") }
            lines.append(text.dropFirst(4).trimmingCharacters(in: .newlines))
            if separator != "-" { return Reply(code: code, lines: lines, bytes: bytes) }
        }
    }

    /// One line with its line end, whatever it says.
    package func line() throws -> String {
        String(decoding: try self.line(until: self.deadline, after: []), as: UTF8.self)
    }

    /// The bytes up to a LF, and that.
    private func line(until deadline: ContinuousClock.Instant, after lines: [String]) throws -> ArraySlice<UInt8> {
        while true {
            if let end = self.unread.firstIndex(of: UInt8(ascii: "\n")) {
                defer { self.unread.removeSubrange(...end) }
                return self.unread[...end]
            }
            if let end = try self.receive(until: deadline, "a reply, after \(lines)") {
                let rest = String(decoding: self.unread, as: UTF8.self)
                throw HarnessError("the connection was \(end) instead of a reply; read \(lines) '\(rest)'")
            }
        }
    }

    /// All that still comes, up to the end of the connection.
    package func readToEnd() throws -> (bytes: [UInt8], end: End) {
        let deadline = self.deadline
        while true {
            if let end = try self.receive(until: deadline, "the end of the connection") {
                defer { self.unread = [] }
                return (self.unread, end)
            }
        }
    }

    /// Reads at least so many octets and forgets them.
    package func discard(_ count: Int) throws {
        let deadline = self.deadline
        var left = count - self.unread.count
        self.unread = []
        while left > 0 {
            if let end = try self.receive(until: deadline, "\(left) octets") {
                throw HarnessError("the connection was \(end) instead of \(left) octets")
            }
            left -= self.unread.count
            self.unread = []
        }
    }

    /// Whether nothing comes for so long.
    package func staysSilent(for duration: Duration) throws -> Bool {
        guard self.unread.isEmpty else { return false }
        let deadline = ContinuousClock.now + duration
        return try !self.poll(POLLIN, until: deadline)
    }

    /// Reads once.
    ///
    /// - Returns: how the connection ended, if it did.
    private func receive(until deadline: ContinuousClock.Instant, _ what: String) throws -> End? {
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            if let end = self.end { return end }
            let count = recv(self.socket, &buffer, buffer.count, 0)
            if count > 0 {
                self.unread += buffer[..<count]
                return nil
            }
            if count == 0 {
                self.end = .closed
            } else if errno == ECONNRESET {
                self.end = .reset
            } else if errno == EAGAIN {
                try self.wait(for: POLLIN, until: deadline, what)
            } else if errno != EINTR {
                throw HarnessError("cannot read from \(self.server)", code: errno)
            }
        }
    }

    // MARK: Socket

    private func wait(for events: Int32, until deadline: ContinuousClock.Instant, _ what: String) throws {
        guard try self.poll(events, until: deadline) else {
            throw HarnessError("waited for \(what) in vain for \(self.patience)")
        }
    }

    private func poll(_ events: Int32, until deadline: ContinuousClock.Instant) throws -> Bool {
        var descriptor = pollfd(fd: self.socket, events: Int16(events), revents: 0)
        while true {
            let rest = max(.zero, deadline - ContinuousClock.now)
            // Rounded up, or the last millisecond would be spent asking.
            let milliseconds = rest.components.seconds * 1000 + rest.components.attoseconds / 1_000_000_000_000_000 + 1
            let count = Glibc.poll(&descriptor, 1, Int32(clamping: milliseconds))
            if count > 0 { return true }
            if count == 0 { return false }
            guard errno == EINTR else { throw HarnessError("cannot wait for \(self.server)", code: errno) }
        }
    }

    private func set<Value>(_ option: Int32, of level: Int32, to value: Value) throws {
        let result = withUnsafePointer(to: value) {
            setsockopt(self.socket, level, option, $0, socklen_t(MemoryLayout<Value>.size))
        }
        guard result == 0 else { throw HarnessError("cannot set an option of a socket", code: errno) }
    }
}

/// Content as it goes over the wire (RFC 5321 §4.5.2), without the end of data.
package func dotStuffed(_ content: [UInt8]) -> [UInt8] {
    // Of many megabytes what follows takes seconds, and many contents have no dot at all.
    let hasDots = content.withUnsafeBytes { $0.baseAddress.map { memchr($0, 0x2E, content.count) != nil } ?? false }
    guard hasDots else { return content }
    var result: [UInt8] = []
    var atStart = true
    for byte in content {
        if atStart, byte == UInt8(ascii: ".") { result.append(byte) }
        result.append(byte)
        atStart = byte == UInt8(ascii: "\n")
    }
    return result
}
