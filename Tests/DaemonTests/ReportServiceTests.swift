import Authentication
import Clocks
import Crypto
import Foundation
import Harness
import Mail
import NIOCore
import NIOPosix
import Queue
import Receiver
import Testing
import ZoneFiles

@testable import Daemon

/// Reports of what was found out, from the sessions to the queue, over midnight.
struct ReportServiceTests {
    private static let zones = """
        $ORIGIN test.
        @ SOA ns.test. admin.test. 1 1h 1h 1d 60
        @ NS ns.test.
        good TXT "v=spf1 ip4:192.0.2.0/24 -all"
        _dmarc.good TXT "v=DMARC1; p=reject; rua=mailto:dmarc@good.test,mailto:r@agency.test,mailto:x@stranger.test"
        good.test._report._dmarc.agency TXT "v=DMARC1"
        quiet TXT "v=spf1 ip4:192.0.2.0/24 -all"
        _dmarc.quiet TXT "v=DMARC1; p=reject"

        """

    private let folder: TemporaryFolder
    private let names: ZoneService
    /// Noon of a day at first.
    private let time = TestClock(at: Timestamp(seconds: 20_000 * 86_400 + 43_200))
    private let events = Heard<MailEvent>()
    private let warnings = Heard<String>()
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    init() throws {
        self.folder = try TemporaryFolder()
        self.names = try ZoneService(Self.zones)
        try self.folder.make(folder: "rules")
        try self.folder.make(folder: "state")
    }

    private func generation(_ authentication: String = "", _ reports: String = "") throws -> Generation {
        try self.folder.write(
            "postern.yaml",
            """
            hostname: mx2.example.test
            rules: \(self.folder.path("rules"))
            state: \(self.folder.path("state"))
            authentication: {enabled: true\(authentication)}
            dmarc_reports: {enabled: true, email: reports@example.test\(reports)}

            """)
        return try Generation(file: self.folder.path("postern.yaml"), number: 1)
    }

    /// A message as a session sees it.
    private func finding(
        _ generation: Generation, from author: String, client address: String
    ) async throws -> AuthenticationFinding {
        let policy = try #require(generation.receiver.authentication)
        let client = AuthenticatedClient(
            address: try #require(IPAddress(address)), helo: "mail.\(author)",
            reversePath: .mailbox(try #require(Mailbox("s@\(author)"))))
        let message = MessageAuthentication(policy, client: client, changesBody: false)
        _ = message.receive(Array("From: a@\(author)\r\nSubject: x\r\n\r\nx\r\n".utf8))
        _ = message.receiveEnd()
        let (names, now) = (NameSource(self.names, on: self.loop), self.time.now)
        let finding = await message.finish(
            spf: { await policy.spf.finding(on: client, names: names, at: now) }, names: names, at: now, sample: 0)
        return try #require(finding)
    }

    /// Runs until so many reports are queued, and gives all there are.
    private func reports(
        _ generation: Generation, _ observe: (ReportService) async throws -> Void
    ) async throws -> [(recipients: [String], content: [UInt8], message: QueuedMessage)] {
        let clock = self.time.wallClock
        var options = QueueOptions()
        (options.maximumSize, options.reserve) = (ByteCount(256 << 20), ByteCount(1 << 20))
        let queue = try LMDBQueue(
            folder: self.folder.make(folder: "queue"), options: options, clock: clock,
            events: EventSink { [events] in events.add($0) })
        defer { queue.close() }
        let service = try ReportService(
            first: generation,
            ReportService.Parts(
                queue: queue, names: self.names, loop: self.loop, clock: clock,
                events: EventSink { [events] in events.add($0) }, generation: { generation })
        ) { [warnings] in warnings.add($0) }
        defer { service.close() }
        try await observe(service)
        let hasLeft = await service.report()
        #expect(!hasLeft)
        return try queue.messages(after: nil, limit: 100).messages.map { message in
            (
                message.envelope.recipients.map { "\($0.mailbox)" },
                try queue.content(of: message.id, from: 0, limit: 1 << 20), message
            )
        }
    }

    private func observe(_ service: ReportService, _ generation: Generation) async throws {
        let recipients = [Recipient(try #require(Mailbox("user@example.test")))]
        for client in ["192.0.2.1", "192.0.2.1", "198.51.100.1"] {
            service.observe(try await self.finding(generation, from: "good.test", client: client), recipients)
        }
        service.observe(try await self.finding(generation, from: "quiet.test", client: "192.0.2.1"), recipients)
        // A report of theirs to us is not told.
        let ours = [Recipient(try #require(Mailbox("reports@example.test")))]
        service.observe(try await self.finding(generation, from: "good.test", client: "192.0.2.77"), ours)
    }

    @Test func `after midnight the domain is told, and others only if they want to be`() async throws {
        let generation = try self.generation()
        let reports = try await self.reports(generation) { service in
            try await self.observe(service, generation)
            self.time.advance(.seconds(86_400))
        }
        #expect(reports.map(\.recipients) == [["dmarc@good.test"], ["r@agency.test"]])
        for report in reports {
            #expect(report.message.envelope.reversePath == .null && report.message.headBytes == 0)
            let read = try ReadReport(message: report.content)
            #expect(read.problems == [] && read.defects == [] && read.attachments == 1)
            #expect(read.type == "application/gzip")
            #expect(read.fileName.hasPrefix("mx2.example.test!good.test!"), "\(read.fileName)")
            #expect(read.feedback.report_metadata.email == "reports@example.test")
            let rows = read.feedback.record.map { record in
                let found = record.row.policy_evaluated
                return "\(record.row.source_ip) \(record.row.count) \(found.disposition) \(found.spf)"
            }
            #expect(rows.sorted() == ["192.0.2.1 2 none pass", "198.51.100.1 1 reject fail"])
        }
        let asked = self.names.questions.map(\.name.text)
        #expect(asked.contains("good.test._report._dmarc.stranger.test"), "\(asked)")
        #expect(!asked.contains { $0.hasPrefix("good.test._report._dmarc.good") })
        #expect(
            self.warnings.all.count == 1 && self.warnings.all[0].contains("x@stranger.test"), "\(self.warnings.all)")
        let queued = self.events.all.filter { if case .queued = $0 { true } else { false } }
        #expect(queued.count == 2)
    }

    @Test func `mail to the addresses of TLS reports is not told of either`() async throws {
        let generation = try self.generation("", "}\ntls_reports: {contact: tls@example.test")
        let reports = try await self.reports(generation) { service in
            let finding = try await self.finding(generation, from: "good.test", client: "192.0.2.1")
            service.observe(finding, [Recipient(try #require(Mailbox("tls@example.test")))])
            self.time.advance(.seconds(86_400))
        }
        #expect(reports.isEmpty)
    }

    @Test func `a report is signed with a key that fits its author`() async throws {
        let path = self.folder.path("key")
        let key = try PrivateKey.generateRSA(bits: 1024)
        try SigningKeyFile.create(path, key)
        let generation = try self.generation(
            ", dkim: {sign: [{domain: example.test, selector: s, key: \(path)}]}", ", from: dmarc@sub.example.test")
        let reports = try await self.reports(generation) { service in
            try await self.observe(service, generation)
            self.time.advance(.seconds(86_400))
        }
        let record = try SigningKey(
            domain: try #require(DomainName("example.test")), selector: try #require(DomainName("s")), key: key
        ).record().text
        let names = PeerNames(selector: "s", domain: "example.test", record: record)
        for report in reports {
            #expect(String(decoding: report.content.prefix(15), as: UTF8.self) == "DKIM-Signature:")
            let answer = try PythonAuthentication.ask(.dkimVerify(report.content, names))
            #expect(answer.signatures?.map(\.valid) == [true], "\(answer)")
            #expect(try ReadReport(message: report.content).header["From"] == "dmarc@sub.example.test")
        }
    }

    @Test func `what was seen today is told tomorrow, also after a restart`() async throws {
        let generation = try self.generation()
        let today = try await self.reports(generation) { try await self.observe($0, generation) }
        #expect(today.isEmpty)
        self.time.advance(.seconds(86_400))
        let tomorrow = try await self.reports(generation) { try await self.observe($0, generation) }
        #expect(tomorrow.count == 2)
        self.time.advance(.seconds(86_400))
        let all = try await self.reports(generation) { _ in }
        // What was queued once is not made again: each is of another day or for another reader.
        let names = try all.map { "\(try ReadReport(message: $0.content).fileName) \($0.recipients)" }
        #expect(Set(names).count == 4 && all.count == 4, "\(names)")
    }

    @Test(arguments: [
        ("example", "example"), ("a.example", "a.example"), ("x.y.evil.example", "evil.example"),
        ("a.b.co.uk", "b.co.uk"), ("co.uk", "co.uk"), ("a.b.example.de", "example.de"),
    ])
    func `without a list whom a name belongs to is told by its look`(_ name: String, _ owner: String) throws {
        #expect(try #require(DomainName(name)).registeredByItsLook.ascii == owner)
    }
}
