import Daemon
import Foundation
import Harness
import Mail
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// The server of figures on real sockets, with clients that break off, say nothing or too much.
@Suite(.serialized) struct MetricsServerTests {
    private let folder: TemporaryFolder
    private let source = Source()

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private var path: String { self.folder.path("run/metrics") }

    /// Runs a server on a free port and a socket while a test talks to it on a thread of its own.
    private func serving(
        _ limits: MetricsServer.Limits = .init(), _ body: @escaping @Sendable (Door, Door) throws -> Void
    ) async throws {
        var options = MetricsOptions()
        options.listen = [Mail.Endpoint(.v4(0x7F00_0001), port: 0)]
        options.socket = self.path
        let server = try await MetricsServer(
            options, source: self.source, group: MultiThreadedEventLoopGroup.singleton, limits: limits)
        let port = try #require(server.endpoints.first?.port)
        let path = self.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { server.close() }
            try await onOwnThread { try body(.port(port), .socket(path)) }
        }
    }

    @Test func `both doors answer, and the connection ends`() async throws {
        try await self.serving { port, socket throws in
            for door in [port, socket] {
                let metrics = try door.answer("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                #expect(metrics.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
                #expect(metrics.hasSuffix("\r\n\r\nfigures\n"))
                #expect(try door.answer("GET /health HTTP/1.0\r\n\r\n").hasSuffix("\r\n\r\nok\n"))
                #expect(try door.answer("GET /status.json HTTP/1.1\r\n\r\n").hasSuffix("\r\n\r\n{\"a\":1}\n"))
                #expect(try door.answer("GET /x HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 404 "))
                let post = try door.answer("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
                #expect(post.hasPrefix("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD\r\n"))
                #expect(try door.answer("nonsense\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
            }
            let evil = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"
            #expect(try port.answer(evil).hasPrefix("HTTP/1.1 403 "))
            #expect(try socket.answer(evil).hasPrefix("HTTP/1.1 200 "))
        }
    }

    @Test func `only the daemon's user and group may open the socket, and an old one is replaced`() async throws {
        for _ in 0..<2 {
            try await self.serving { _, _ in }
            // As after a crash.
            try self.folder.make(folder: "run")
            let old = try #require(Door.listening(at: self.path))
            close(old)
            try await self.serving { _, socket throws in
                guard case .socket(let path) = socket else { return }
                var status = stat()
                #expect(stat(path, &status) == 0)
                #expect(status.st_mode & 0o777 == 0o660)
                #expect(try socket.answer("GET /health HTTP/1.1\r\n\r\n").hasSuffix("ok\n"))
            }
        }
        #expect(!FileManager.default.fileExists(atPath: self.path))
    }

    @Test func `a socket that somebody listens on is not taken`() async throws {
        try self.folder.make(folder: "run")
        let other = try #require(Door.listening(at: self.path))
        defer { close(other) }
        await #expect(throws: PosternDaemon.StartError.self) { try await self.serving { _, _ in } }
    }

    @Test func `HEAD has the head of GET and nothing else`() async throws {
        try await self.serving { port, _ throws in
            for (path, length) in [("/metrics", 8), ("/health", 3), ("/status.json", 8)] {
                let head = try port.answer("HEAD \(path) HTTP/1.1\r\n\r\n")
                #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n") && head.hasSuffix("\r\n\r\n"))
                #expect(head.contains("content-length: \(length)\r\n"))
            }
            let queue = try port.answer("HEAD /queue.json HTTP/1.1\r\n\r\n")
            #expect(queue.hasPrefix("HTTP/1.1 200 OK\r\n") && queue.hasSuffix("\r\n\r\n"))
        }
        #expect(self.source.sent.load(ordering: .relaxed) == 0)
    }

    @Test func `the queue comes as an array, by the filter that was asked for`() async throws {
        try await self.serving { port, _ throws in
            // To HTTP/1.0 there are no chunks; the end of the connection is the end.
            #expect(try port.body("GET /queue.json?limit=0 HTTP/1.0\r\n\r\n") == "[]\n")
            #expect(try port.body("GET /queue.json?limit=2 HTTP/1.0\r\n\r\n") == "[\n{\"n\":0},\n{\"n\":1}\n]\n")
            let many = try port.body("GET /queue.json?limit=20000 HTTP/1.0\r\n\r\n")
            let array = try JSONSerialization.jsonObject(with: Data(many.utf8)) as? [[String: Int]]
            #expect(array?.count == 20_000)
            #expect(array?.last == ["n": 19_999])
            let chunks = try port.answer("GET /queue.json?limit=1 HTTP/1.1\r\n\r\n")
            #expect(chunks.contains("transfer-encoding: chunked\r\n") && chunks.hasSuffix("\r\n0\r\n\r\n"))
            #expect(try port.answer("GET /queue.json?state=x HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 400 "))
        }
    }

    @Test func `who does not read is not given more than fits between`() async throws {
        let source = self.source
        try await self.serving { port, _ throws in
            let client = try port.connect()
            defer { close(client) }
            try Door.write("GET /queue.json?limit=100000 HTTP/1.0\r\n\r\n", to: client)
            // It stands still before the end: buffers of the system hold a few megabytes at most.
            var last = -1
            try eventually("a standstill", within: .seconds(60)) {
                usleep(200_000)
                let now = source.sent.load(ordering: .relaxed)
                defer { last = now }
                return now > 0 && now == last
            }
            #expect(source.sent.load(ordering: .relaxed) < 100_000)
            // Others are answered meanwhile.
            #expect(try port.answer("GET /health HTTP/1.1\r\n\r\n").hasSuffix("ok\n"))
            #expect(try Door.read(client).hasSuffix("]\n"))
        }
    }

    @Test func `a failure is told where nothing was said yet, and seen where something was`() async throws {
        self.source.failsAfter.store(0, ordering: .relaxed)
        try await self.serving { port, _ throws in
            #expect(try port.answer("GET /metrics HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 503 "))
        }
        self.source.failsAfter.store(5000, ordering: .relaxed)
        try await self.serving { port, _ throws in
            let answer = try port.answer("GET /queue.json?limit=9000 HTTP/1.1\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
            #expect(!answer.hasSuffix("\r\n0\r\n\r\n"))
        }
    }

    @Test func `health says what is wrong, and everything ends with the service`() async throws {
        self.source.trouble.withLock { $0 = "the queue is full" }
        try await self.serving { port, _ throws in
            let health = try port.answer("GET /health HTTP/1.1\r\n\r\n")
            #expect(health.hasPrefix("HTTP/1.1 503 ") && health.hasSuffix("\r\n\r\nthe queue is full\n"))
            #expect(try port.answer("GET /metrics HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 200 "))
        }
        self.source.last.withLock { $0 = "the service ends" }
        try await self.serving { port, _ throws in
            for path in ["/health", "/metrics", "/status.json", "/queue.json"] {
                let answer = try port.answer("GET \(path) HTTP/1.1\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.hasSuffix("the service ends\n"), "\(path)")
            }
        }
    }

    @Test func `a client that goes away anywhere harms nobody`() async throws {
        try await self.serving { port, socket throws in
            let request = Array("GET /queue.json?limit=3 HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
            for door in [port, socket] {
                for count in 0...request.count {
                    let client = try door.connect()
                    try Door.write(String(decoding: request[..<count], as: UTF8.self), to: client)
                    close(client)
                }
                // Those that have gone may still be counted.
                try eventually("an answer") { try door.answer("GET /health HTTP/1.1\r\n\r\n").hasSuffix("ok\n") }
            }
        }
    }

    @Test func `whoever comes while the server ends harms nobody`() async throws {
        for _ in 0..<100 {
            try await self.serving { port, socket throws in
                for door in [port, socket, port, socket] { close(try door.connect()) }
            }
        }
    }

    @Test func `a request may come an octet at a time`() async throws {
        try await self.serving { port, _ throws in
            let client = try port.connect()
            defer { close(client) }
            for byte in "GET /health HTTP/1.1\r\n\r\n" { try Door.write(String(byte), to: client) }
            #expect(try Door.read(client).hasSuffix("ok\n"))
        }
    }

    @Test func `too much is refused`() async throws {
        try await self.serving { port, _ throws in
            let long = "GET /health HTTP/1.1\r\nX: \(String(repeating: "x", count: 20_000))\r\n\r\n"
            #expect(try port.answer(long).hasPrefix("HTTP/1.1 431 "))
            let endless = try port.connect()
            defer { close(endless) }
            try Door.write(String(repeating: "A: b\r\n", count: 5000), to: endless)
            // Nothing of it was a request.
            _ = try Door.read(endless)
        }
    }

    @Test func `who says nothing makes room, and too many are told so`() async throws {
        var limits = MetricsServer.Limits()
        limits.connections = 3
        limits.requestTime = .milliseconds(1500)
        try await self.serving(limits) { port, _ throws in
            let silent = try (0..<3).map { _ in try port.connect() }
            defer { for client in silent { close(client) } }
            // The three are counted in the order in which they came.
            let refused = try port.answer("GET /health HTTP/1.1\r\n\r\n")
            #expect(refused.hasPrefix("HTTP/1.1 503 ") && refused.hasSuffix("too many connections\n"))
            for client in silent { #expect(try Door.read(client) == "") }
            try eventually("room") { try port.answer("GET /health HTTP/1.1\r\n\r\n").hasSuffix("ok\n") }
        }
    }
}

// MARK: - Both sides

/// Figures as a test wants them.
private final class Source: MetricsSource {
    struct Failure: Error {}

    let sent = Atomic<Int>(0)
    /// Messages after which the queue cannot be read any more; -1 if it can.
    let failsAfter = Atomic<Int>(-1)
    let trouble = Mutex<String?>(nil)
    let last = Mutex<String?>(nil)

    var ending: String? { self.last.withLock { $0 } }

    func metrics() async throws -> String {
        guard self.failsAfter.load(ordering: .relaxed) != 0 else { throw Failure() }
        return "figures\n"
    }

    func problem() async throws -> String? { self.trouble.withLock { $0 } }

    func status() async throws -> [UInt8] { Array(#"{"a":1}"#.utf8) }

    func queue(_ filter: QueueFilter, _ body: @escaping @Sendable ([UInt8]) async throws -> Void) async throws {
        // As long as real ones, where there are many.
        let padding = (filter.limit ?? 0) < 50_000 ? "" : String(repeating: " ", count: 400)
        for number in 0..<(filter.limit ?? 0) {
            guard number != self.failsAfter.load(ordering: .relaxed) else { throw Failure() }
            try await body(Array("{\"n\":\(number)\(padding)}".utf8))
            self.sent.add(1, ordering: .relaxed)
        }
    }
}

/// Where a client connects. Blocks.
private enum Door: Sendable {
    case port(Int)
    case socket(String)

    /// Everything that comes back until the end.
    func answer(_ request: String) throws -> String {
        let client = try self.connect()
        defer { close(client) }
        try Self.write(request, to: client)
        return try Self.read(client)
    }

    func body(_ request: String) throws -> String {
        let answer = try self.answer(request)
        let end = try #require(answer.range(of: "\r\n\r\n"))
        return String(answer[end.upperBound...])
    }

    func connect() throws -> Int32 {
        let descriptor: Int32
        let result: Int32
        switch self {
        case .port(let port):
            descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            result = Self.call(address) { Glibc.connect(descriptor, $0, $1) }
        case .socket(let path):
            descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            result = Self.call(Self.address(path)) { Glibc.connect(descriptor, $0, $1) }
        }
        guard result == 0 else { throw HarnessError("cannot connect: \(errno)") }
        var patience = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        return descriptor
    }

    static func listening(at path: String) -> Int32? {
        unlink(path)
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard Self.call(Self.address(path), { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 1) == 0 else {
            return nil
        }
        return descriptor
    }

    private static func address(_ path: String) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return address
    }

    private static func call<Address>(
        _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        withUnsafePointer(to: address) { pointer in
            UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<Address>.size))
            }
        }
    }

    static func write(_ text: String, to descriptor: Int32) throws {
        let bytes = Array(text.utf8)
        // Who was refused may not take all of it.
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// - Throws: if nothing comes for long. A reset is an end.
    static func read(_ descriptor: Int32) throws -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN { throw HarnessError("no answer after \(bytes.count) octets") }
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
