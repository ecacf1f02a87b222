import Authentication
import Crypto
import Foundation
import Harness
import Mail
import NIOCore
import NIOPosix
import Queue
import Reports
import Synchronization
import Testing
import ZoneFiles

@testable import Daemon

/// TLS reports, from what the forwarder found out to the queue and to servers, over midnight.
final class ReportServiceTLSTests: Sendable {
    private static let zones = """
        $ORIGIN test.
        @ SOA ns.test. admin.test. 1 1h 1h 1d 60
        @ NS ns.test.
        _smtp._tls.mail TXT "v=TLSRPTv1; rua=mailto:tls@" "mail.test"
        _smtp._tls.web TXT "v=TLSRPTv1; rua=https://reports.test/v1"
        _smtp._tls.web TXT "something else"

        """

    private struct Refused: Error {}

    private let folder: TemporaryFolder
    private let names: ZoneService
    private let now = Mutex(Timestamp(seconds: 20_000 * 86_400 + 43_200))
    private let warnings = Mutex<[String]>([])
    private let posted = Mutex<[HTTPSDestination]>([])
    private let isRefusing = Mutex(false)

    init() throws {
        self.folder = try TemporaryFolder()
        self.names = try ZoneService(Self.zones)
        for name in ["rules", "state", "queue"] { try self.folder.make(folder: name) }
    }

    private func generation(_ authentication: String = "{}") throws -> Generation {
        try self.folder.write(
            "postern.yaml",
            """
            hostname: mx2.example.test
            rules: \(self.folder.path("rules"))
            state: \(self.folder.path("state"))
            authentication: \(authentication)
            tls_reports: {enabled: true, contact: tls@example.test}

            """)
        return try Generation(file: self.folder.path("postern.yaml"), number: 1)
    }

    private func signing(_ key: PrivateKey) throws -> Generation {
        try SigningKeyFile.create(self.folder.path("key"), key)
        return try self.generation("{dkim: {sign: [{domain: example.test, selector: s, key: key}]}}")
    }

    private var clock: WallClock { WallClock { self.now.withLock { $0 } } }

    /// Works with a service, and gives what is in the queue then.
    private func queued(
        _ generation: Generation, _ work: (TLSReportService) async throws -> Void
    ) async throws -> [(message: QueuedMessage, content: [UInt8])] {
        let queue = try LMDBQueue(
            folder: self.folder.path("queue"), options: generation.configuration.queue, clock: self.clock)
        defer { queue.close() }
        let service = try TLSReportService(
            first: generation,
            ReportService.Parts(
                queue: queue, names: self.names, loop: MultiThreadedEventLoopGroup.singleton.any(), clock: self.clock,
                events: EventSink { _ in }, generation: { generation }),
            post: { destination, body, _ in
                self.posted.withLock { $0.append(destination) }
                #expect(try ReadTLSReport(document: body).problems == [])
                if self.isRefusing.withLock({ $0 }) { throw Refused() }
            }
        ) { warning in self.warnings.withLock { $0.append(warning) } }
        defer { service.close() }
        try await work(service)
        return try queue.messages(after: nil, limit: 100).messages.map {
            ($0, try queue.content(of: $0.id, from: 0, limit: 1 << 20))
        }
    }

    private func observe(_ service: TLSReportService) {
        for domain in ["mail.test", "web.test", "quiet.test", "mail.test"] {
            service.observe(
                TransportObservation(domain: domain, policy: .init(type: .none, domain: domain), result: .success))
        }
    }

    private func passMidnight() { self.now.withLock { $0 = $0 + .seconds(86_400) } }

    @Test func `after midnight domains are told by mail that is signed and goes without demands, or by HTTPS`()
        async throws
    {
        let key = try PrivateKey.generateRSA(bits: 1024)
        let queued = try await self.queued(try self.signing(key)) { service in
            self.observe(service)
            let tooEarly = await service.report()
            #expect(!tooEarly && service.statistics.sent == 0)
            self.passMidnight()
            let hasLeft = await service.report()
            #expect(!hasLeft && service.statistics.sent == 2)
        }
        #expect(self.warnings.withLock { $0 } == [] && queued.count == 1)
        #expect(self.posted.withLock { $0 } == [try #require(HTTPSDestination("https://reports.test/v1"))])
        let (message, content) = try #require(queued.first)
        #expect(message.envelope.parameters.tls == .optional)
        #expect(message.envelope.recipients.map { "\($0.mailbox)" } == ["tls@mail.test"])
        let (outside, read) = try ReadTLSReport.message(content)
        #expect(read.problems == [] && outside.defects == [])
        #expect(outside.header["TLS-Report-Domain"] == "mail.test")
        #expect(outside.header["TLS-Report-Submitter"] == "mx2.example.test")
        #expect(
            read.report.policies.map(\.summary) == [
                ["total-successful-session-count": 2, "total-failure-session-count": 0]
            ])
        let record = try SigningKey(
            domain: try #require(DomainName("example.test")), selector: try #require(DomainName("s")), key: key
        ).record().text
        let answer = try PythonAuthentication.ask(
            .dkimVerify(content, PeerNames(selector: "s", domain: "example.test", record: record)))
        #expect(answer.signatures?.map(\.valid) == [true], "\(answer)")
        let asked = self.names.questions.map(\.name.text).sorted()
        #expect(asked == ["mail", "quiet", "web"].map { "_smtp._tls.\($0).test" })
    }

    @Test func `what a server refuses is posted again, also after a restart, and the rest is not`() async throws {
        let generation = try self.generation()
        self.isRefusing.withLock { $0 = true }
        for _ in 0..<2 {
            let queued = try await self.queued(generation) { service in
                if self.posted.withLock({ $0.isEmpty }) {
                    self.observe(service)
                    self.passMidnight()
                }
                let hasLeft = await service.report()
                #expect(hasLeft)
            }
            #expect(queued.count == 1)
        }
        self.isRefusing.withLock { $0 = false }
        let queued = try await self.queued(generation) { service in
            let hasLeft = await service.report()
            #expect(!hasLeft)
        }
        #expect(queued.count == 1 && self.posted.withLock { $0.count } == 3)
        let warnings = self.warnings.withLock { $0 }
        #expect(warnings.count { $0.contains("web.test is not taken by reports.test:443") } == 2)
        #expect(
            warnings.count { $0 == "no key signs TLS reports from tls@example.test: those by mail will be ignored" }
                == 3)
        #expect(warnings.count == 5)
    }
}
