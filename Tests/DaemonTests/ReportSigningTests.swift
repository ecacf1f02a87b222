import Crypto
import Harness
import Mail
import NIOCore
import NIOPosix
import Queue
import Resolver
import Synchronization
import Testing

@testable import Daemon

/// What is done with a report once it is made.
struct ReportSigningTests {
    private struct NoNames: NameService {
        func resolve(
            _ question: DNSQuestion, on loop: any EventLoop, _ completion: @escaping DNSQuery.Completion
        ) -> DNSQuery { DNSQuery(on: loop, completion) }
    }

    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
        try self.folder.make(folder: "rules")
        try self.folder.make(folder: "state")
        try self.folder.make(folder: "queue")
    }

    private func generation() throws -> Generation {
        try SigningKeyFile.create(self.folder.path("key.pem"), try PrivateKey.generateEd25519())
        try self.folder.write(
            "postern.yaml",
            """
            hostname: mx2.example.test
            rules: \(self.folder.path("rules"))
            state: \(self.folder.path("state"))
            authentication: {dkim: {sign: [{domain: example.test, selector: s, key: key.pem}]}}

            """)
        return try Generation(file: self.folder.path("postern.yaml"), number: 1)
    }

    @Test func `a report that cannot be signed is queued without, and complained of`() async throws {
        let generation = try self.generation()
        let clock = WallClock { Timestamp(seconds: 1_800_000_000) }
        let queue = try LMDBQueue(
            folder: self.folder.path("queue"), options: generation.configuration.queue, clock: clock)
        defer { queue.close() }
        let complaints = Mutex<[String]>([])
        let service = try ReportService(
            first: generation,
            ReportService.Parts(
                queue: queue, names: NoNames(), loop: MultiThreadedEventLoopGroup.singleton.any(), clock: clock,
                events: EventSink { _ in }, generation: { generation })
        ) { complaint in complaints.withLock { $0.append(complaint) } }
        defer { service.close() }
        var envelope = Envelope(reversePath: .null)
        envelope.recipients = [Recipient(try #require(Mailbox("dmarc@example.com")))]
        let header = "From: reports@example.test\r\n"
        try await service.submit(envelope, Array("\(header)\r\nbody\r\n".utf8))
        #expect(complaints.withLock { $0 } == [])
        let large = String(repeating: "X: \(String(repeating: "x", count: 900))\r\n", count: 400)
        try await service.submit(envelope, Array("\(header)\(large)\r\nbody\r\n".utf8))
        let messages = try queue.messages(after: nil, limit: 10).messages
        let starts = try messages.map {
            String(decoding: try queue.content(of: $0.id, from: 0, limit: 14), as: UTF8.self)
        }
        #expect(starts == ["DKIM-Signature", "From: reports@"])
        let complaint = try #require(complaints.withLock { $0 }.first)
        #expect(complaint.contains("goes without a signature:") && complaint.contains("header too large"))
    }
}
