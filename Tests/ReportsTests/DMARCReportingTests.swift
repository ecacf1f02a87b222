import Foundation
import Harness
import Mail
import Reports
import Testing

/// Days pass, and domains are told.
struct DMARCReportingTests {
    private let fixture: ReportingFixture
    private static let day = Duration.seconds(86_400)

    init() throws { self.fixture = try ReportingFixture() }

    private func read(_ number: Int) throws -> ReadReport {
        try ReadReport(message: try #require(self.fixture.submitted.all.dropFirst(number).first).content)
    }

    @Test func `equal results of a day are one row with a count, and the day after they are reported once`()
        async throws
    {
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        for _ in 0..<5 { reporting.observe(try self.fixture.observation()) }
        await self.fixture.report(reporting)  // Writes what came so far: nothing is due.
        for _ in 0..<2 { reporting.observe(try self.fixture.observation()) }
        reporting.observe(try self.fixture.observation(source: "2001:db8::1"))
        #expect(self.fixture.submitted.count == 0)
        self.fixture.clock.advance(Self.day)
        reporting.observe(try self.fixture.observation(source: "192.0.2.99"))
        let hasLeft = await self.fixture.report(reporting)
        #expect(!hasLeft && self.fixture.submitted.count == 1)
        let read = try self.read(0)
        #expect(read.problems == [])
        #expect(read.feedback.record.map { "\($0.row.source_ip) \($0.row.count)" } == ["192.0.2.1 7", "2001:db8::1 1"])
        let envelope = try #require(self.fixture.submitted.all.first).envelope
        #expect(envelope.reversePath == .null)
        #expect(envelope.recipients.map { "\($0.mailbox)" } == ["dmarc@example.com"])
        #expect(envelope.recipients.first?.parameters.notify == .never)
        await self.fixture.report(reporting)
        #expect(self.fixture.submitted.count == 1)
        self.fixture.clock.advance(Self.day)
        await self.fixture.report(reporting)
        #expect(self.fixture.submitted.count == 2)
        #expect(try self.read(1).feedback.record.map(\.row.source_ip) == ["192.0.2.99"])
        #expect(reporting.statistics.sent == 2)
        #expect(self.fixture.complaints.all == [])
    }

    @Test func `each domain gets its own report with the policy it had last`() async throws {
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation())
        reporting.observe(
            try self.fixture.observation("example.org", to: [ReportURI("mailto:r@example.org")]))
        var later = try self.fixture.observation(to: [ReportURI("mailto:new@example.com")])
        var policy = later.policy
        policy.percent = 5
        later = DMARCObservation(time: later.time, policy: policy, result: later.result)
        reporting.observe(later)
        self.fixture.clock.advance(Self.day)
        await self.fixture.report(reporting)
        #expect(self.fixture.submitted.all.map(\.recipients) == [["new@example.com"], ["r@example.org"]])
        #expect(try self.read(0).feedback.policy_published["pct"] == "5")
        #expect(try self.read(0).feedback.record.map(\.row.count) == ["2"])
    }

    @Test func `a restart neither loses results nor reports twice`() async throws {
        for _ in 0..<3 {
            let reporting = try self.fixture.open()
            reporting.observe(try self.fixture.observation())
            reporting.close()
        }
        self.fixture.clock.advance(Self.day)
        for _ in 0..<3 {
            let reporting = try self.fixture.open()
            await self.fixture.report(reporting)
            reporting.close()
        }
        #expect(self.fixture.submitted.count == 1)
        #expect(try self.read(0).feedback.record.map(\.row.count) == ["3"])
    }

    @Test func `what ends between submitting and the mark is reported again under the same names`() async throws {
        let fixture = self.fixture
        let (before, after) = (try fixture.folder.make(folder: "before"), try fixture.folder.make(folder: "after"))
        // A process that is killed leaves the disk as it is then.
        let save: @Sendable (String) throws -> Void = { folder in
            let file = fixture.folder.path("data.mdb")
            try FileManager.default.copyItem(atPath: file, toPath: "\(folder)/data.mdb")
        }
        let reporting = try fixture.open()
        defer { reporting.close() }
        reporting.observe(try fixture.observation())
        fixture.clock.advance(Self.day)
        await fixture.report(reporting) {
            do { try save(before) } catch { Issue.record(error) }
        }
        try save(after)
        for (folder, count) in [(after, 1), (before, 2), (before, 2), (after, 2)] {
            let again = try fixture.open(folder: folder)
            await fixture.report(again)
            again.close()
            #expect(fixture.submitted.count == count)
        }
        let messages = fixture.submitted.all
        #expect(Set(messages.map { $0.field("Message-ID") }).count == 1)
        #expect(try self.read(0).feedback.report_metadata.report_id == self.read(1).feedback.report_metadata.report_id)
    }

    @Test func `what cannot be queued is tried again, until it is too old`() async throws {
        struct Full: Error {}
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation())
        self.fixture.submitFault.withLock { $0 = Full() }
        self.fixture.clock.advance(Self.day)
        let hasLeft = await self.fixture.report(reporting)
        #expect(hasLeft && self.fixture.complaints.count == 1)
        self.fixture.submitFault.withLock { $0 = nil }
        let stillHasLeft = await self.fixture.report(reporting)
        #expect(!stillHasLeft && self.fixture.submitted.count == 1)

        reporting.observe(try self.fixture.observation())
        self.fixture.clock.advance(Self.day * 9)
        await self.fixture.report(reporting)
        #expect(self.fixture.submitted.count == 1)
    }

    @Test func `each destination is done with on its own`() async throws {
        let uris =
            ["mailto:a@example.com", "mailto:b@reports.test", "https://example.com", "mailto:c@other.test"]
            .map { ReportURI($0) }
        self.fixture.records.withLock {
            $0["example.com._report._dmarc.reports.test"] = .some(nil)
        }
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation(to: uris))
        self.fixture.clock.advance(Self.day)
        var hasLeft = await self.fixture.report(reporting)
        #expect(hasLeft)
        #expect(self.fixture.submitted.all.map(\.recipients) == [["a@example.com"]])
        #expect(self.fixture.complaints.count == 1, "\(self.fixture.complaints.all)")
        self.fixture.records.withLock {
            $0["example.com._report._dmarc.reports.test"] = [
                "v=DMARC1; rua=mailto:x@reports.test,mailto:y@reports.test"
            ]
        }
        hasLeft = await self.fixture.report(reporting)
        #expect(!hasLeft)
        #expect(
            self.fixture.submitted.all.map(\.recipients) == [["a@example.com"], ["x@reports.test", "y@reports.test"]])
        #expect(self.fixture.asked.all.count { $0.hasSuffix("other.test") } == 1)
        let messages = self.fixture.submitted.all
        #expect(Set(messages.map { $0.field("Message-ID") }).count == 2)
    }

    @Test func `who is named twice gets one report, and none that is too large`() async throws {
        let uris = [
            ReportURI("mailto:a@example.com"), ReportURI("mailto:small@example.com", limitBytes: 100),
            ReportURI("MAILTO:a@example.com"),
        ]
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation(to: uris))
        self.fixture.clock.advance(Self.day)
        let hasLeft = await self.fixture.report(reporting)
        #expect(!hasLeft && self.fixture.complaints.count == 1, "\(self.fixture.complaints.all)")
        #expect(self.fixture.submitted.all.map(\.recipients) == [["a@example.com"]])
    }

    @Test func `whoever makes domains up gets few reports, and takes nobody's place`() async throws {
        var options = try ReportingFixture.options()
        options.domains = 300
        let reporting = try self.fixture.open(options)
        defer { reporting.close() }
        let uris = (0..<10).map { ReportURI("mailto:r\($0)@evil.example") }
        for number in 0..<1000 {
            let name = "n\(number).evil.example"
            reporting.observe(try self.fixture.observation(name, to: uris, organization: "evil.example"))
        }
        // The organization's own name counts whatever is below it, and so do 250 others, on several pages.
        let names = ["evil.example"] + (0..<250).map { "domain\($0).example" }
        for name in names {
            reporting.observe(
                try self.fixture.observation(
                    name, to: [ReportURI("mailto:r@\(name)")], organization: name))
        }
        self.fixture.clock.advance(Self.day)
        let hasLeft = await self.fixture.report(reporting)
        let recipients = self.fixture.submitted.all.flatMap(\.recipients)
        #expect(!hasLeft && recipients.count == 20 * 3 + 251)
        for name in names { #expect(recipients.contains("r@\(name)")) }
        #expect(reporting.statistics.lost == 980)
    }

    @Test func `a host that takes reports cannot have them sent to many`() async throws {
        let many = (0..<50).map { "mailto:r\($0)@reports.test" }.joined(separator: ",")
        self.fixture.records.withLock { $0["example.com._report._dmarc.reports.test"] = ["v=DMARC1; rua=\(many)"] }
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation(to: [ReportURI("mailto:a@reports.test")]))
        self.fixture.clock.advance(Self.day)
        await self.fixture.report(reporting)
        #expect(self.fixture.submitted.all.flatMap(\.recipients).count == 3)
    }

    @Test func `a host whose names fail is asked once for all domains`() async throws {
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        for number in 0..<5 {
            let name = "domain\(number).test"
            self.fixture.records.withLock { $0["\(name)._report._dmarc.slow.example"] = .some(nil) }
            reporting.observe(try self.fixture.observation(name, to: [ReportURI("mailto:r@slow.example")]))
        }
        self.fixture.clock.advance(Self.day)
        let hasLeft = await self.fixture.report(reporting)
        #expect(hasLeft && self.fixture.asked.count == 1)
    }

    @Test func `what nobody wants to hear of is not kept, nor anything while reports are off`() async throws {
        let off = try self.fixture.open(DMARCReportOptions())
        off.observe(try self.fixture.observation())
        off.close()
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation(to: []))
        reporting.observe(try self.fixture.observation(to: [ReportURI("https://example.com")]))
        reporting.observe(try self.fixture.observation("no domain"))
        reporting.observe(try self.fixture.observation("Example.COM"))
        self.fixture.clock.advance(Self.day)
        await self.fixture.report(reporting)
        #expect(self.fixture.submitted.count == 0)
    }

    @Test func `author and reverse-path are what is configured`() async throws {
        var options = try ReportingFixture.options()
        options.from = Mailbox("dmarc@example.net")
        options.reversePath = Mailbox("bounces@example.net")
        let reporting = try self.fixture.open(options)
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation())
        self.fixture.clock.advance(Self.day)
        await self.fixture.report(reporting)
        let message = try #require(self.fixture.submitted.all.first)
        #expect(message.field("From") == "<dmarc@example.net>")
        #expect(message.envelope.reversePath.description == "bounces@example.net")
        #expect(message.envelope.recipients.first?.parameters.notify == nil)
        #expect(try self.read(0).feedback.report_metadata.email == "reports@mx.example.net")
    }

    @Test func `it ends when its task is cancelled`() async throws {
        let reporting = try self.fixture.open()
        defer { reporting.close() }
        reporting.observe(try self.fixture.observation())
        self.fixture.clock.advance(Self.day)
        let fixture = self.fixture
        let task = Task {
            await reporting.run(check: fixture.check) { fixture.submitted.add(Submitted(envelope: $0, content: $1)) }
        }
        try eventually("the report") { fixture.submitted.count == 1 }
        task.cancel()
        await task.value
    }

    @Test func `options that do not fit are refused`() throws {
        var options = DMARCReportOptions()
        #expect(throws: Never.self) { try options.validate() }
        options.enabled = true
        #expect(throws: OptionProblem.self) { try options.validate() }
        options.email = Mailbox("a@example.net")
        #expect(throws: Never.self) { try options.validate() }
        options.hour = 23
        #expect(throws: OptionProblem.self) { try options.validate() }
    }
}
