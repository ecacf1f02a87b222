import Foundation
import Harness
import Mail
import Reports
import Testing

/// Days pass, and domains are told how sessions with their servers went.
struct TLSReportingTests {
    private let fixture: ReportingFixture
    private static let day = Duration.seconds(86_400)

    init() throws { self.fixture = try ReportingFixture() }

    private func read(_ number: Int) throws -> ReadTLSReport {
        try ReadTLSReport.message(try #require(self.fixture.submitted.all.dropFirst(number).first).content).read
    }

    @Test func `sessions of a day are counted, and the day after they are reported once`() async throws {
        self.fixture.publish("mailto:tls@example.com")
        let reporting = try self.fixture.openTLS()
        defer { reporting.close() }
        for number in 0..<5 { reporting.observe(self.fixture.session(host: "mx\(number).example.com")) }
        await reporting.report(self.fixture.outlets())  // Writes what came so far: nothing is due.
        for _ in 0..<2 {
            reporting.observe(self.fixture.session("example.com", .failure(.certificateExpired, reason: "old")))
        }
        reporting.observe(self.fixture.session("EXAMPLE.com", .failure(.dnssecInvalid, reason: nil), policy: .tlsa))
        #expect(self.fixture.submitted.count == 0 && self.fixture.asked.count == 0)
        self.fixture.clock.advance(Self.day)
        reporting.observe(self.fixture.session())
        let hasLeft = await reporting.report(self.fixture.outlets())
        #expect(!hasLeft && self.fixture.submitted.count == 1)
        let read = try self.read(0)
        #expect(read.problems == [])
        let counts = read.report.policies.map { entry in
            "\(entry.policy.policy_type) \(entry.summary["total-successful-session-count"] ?? 99) "
                + entry.failure_details.map { "\($0.result_type) \($0.failed_session_count)" }.joined()
        }
        #expect(counts.sorted() == ["no-policy-found 5 certificate-expired 2", "tlsa 0 dnssec-invalid 1"])
        let envelope = try #require(self.fixture.submitted.all.first).envelope
        #expect(envelope.reversePath == .null && envelope.parameters.tls == .optional)
        #expect(envelope.recipients.map { "\($0.mailbox)" } == ["tls@example.com"])
        #expect(self.fixture.asked.all == ["_smtp._tls.example.com"])
        await reporting.report(self.fixture.outlets())
        #expect(self.fixture.submitted.count == 1 && self.fixture.asked.count == 1)
        self.fixture.clock.advance(Self.day)
        await reporting.report(self.fixture.outlets())
        #expect(self.fixture.submitted.count == 2)
        #expect(try self.read(1).report.policies.first?.summary["total-successful-session-count"] == 1)
        #expect(reporting.statistics.sent == 2)
        #expect(self.fixture.complaints.all == [])
    }

    @Test func `who wants no reports gets none, and is asked once`() async throws {
        let long = Array(repeating: String(repeating: "a", count: 60), count: 4).joined(separator: ".")
        self.fixture.publish("ftp://example.org", of: "example.org")
        self.fixture.publish("mailto:tls@\(long)", of: long)
        self.fixture.publish(nil, of: "silent.example")
        let reporting = try self.fixture.openTLS()
        defer { reporting.close() }
        for domain in ["example.com", "example.org", long, "silent.example", "[192.0.2.1]", ""] {
            reporting.observe(self.fixture.session(domain))
        }
        self.fixture.clock.advance(Self.day)
        for _ in 0..<2 {
            let hasLeft = await reporting.report(self.fixture.outlets())
            #expect(hasLeft)
        }
        #expect(self.fixture.submitted.count == 0 && self.fixture.posted.count == 0)
        #expect(
            self.fixture.asked.all.map { $0.dropFirst("_smtp._tls.".count) }
                == ["example.com", "example.org", "silent.example", "silent.example"])
        self.fixture.publish("mailto:a@silent.example", of: "silent.example")
        let hasLeft = await reporting.report(self.fixture.outlets())
        #expect(!hasLeft && self.fixture.submitted.count == 1)
        #expect(self.fixture.complaints.all == [])
    }

    @Test func `a name server that does not answer is asked once for all its days`() async throws {
        var options = ReportingFixture.tlsOptions()
        options.days = 5
        self.fixture.publish(nil)
        let reporting = try self.fixture.openTLS(options)
        defer { reporting.close() }
        for _ in 0..<3 {
            reporting.observe(self.fixture.session())
            self.fixture.clock.advance(Self.day)
        }
        let hasLeft = await reporting.report(self.fixture.outlets())
        #expect(hasLeft && self.fixture.asked.count == 1)
    }

    @Test func `each destination is done with on its own, and a server is tried again`() async throws {
        self.fixture.publish("https://bad.example/1,mailto:a@b.example,https://good.example:8443/v1?x=y")
        self.fixture.failingHosts.withLock { $0 = ["bad.example"] }
        let reporting = try self.fixture.openTLS()
        defer { reporting.close() }
        reporting.observe(self.fixture.session())
        self.fixture.clock.advance(Self.day)
        for _ in 0..<3 {
            let hasLeft = await reporting.report(self.fixture.outlets())
            #expect(hasLeft)
        }
        let hosts = self.fixture.posted.all.map(\.destination.server.host)
        #expect(hosts == ["bad.example", "good.example", "bad.example", "bad.example"])
        #expect(self.fixture.submitted.all.map(\.recipients) == [["a@b.example"]])
        #expect(self.fixture.complaints.count == 1)
        #expect(self.fixture.complaints.all.first?.contains("example.com is not taken by bad.example:443") == true)
        self.fixture.failingHosts.withLock { $0 = [] }
        let hasLeft = await reporting.report(self.fixture.outlets())
        #expect(!hasLeft && self.fixture.posted.count == 5 && reporting.statistics.sent == 3)
        let good = self.fixture.posted.all[1]
        #expect(good.destination == HTTPSDestination("https://good.example:8443/v1?x=y"))
        #expect(good.contentType == "application/tlsrpt+gzip")
        let read = try ReadTLSReport(document: good.body)
        #expect(read.problems == [] && read.report.policies.count == 1)
        #expect(self.fixture.posted.all.allSatisfy { $0.body == good.body })
    }

    @Test func `a server that takes nothing is tried once for all domains, and given up after the last day`()
        async throws
    {
        let reporting = try self.fixture.openTLS()
        defer { reporting.close() }
        for number in 0..<40 {
            self.fixture.publish("https://bad.example/\(number)", of: "d\(number).example")
            reporting.observe(self.fixture.session("d\(number).example"))
        }
        self.fixture.publish("https://other.example/", of: "z.example")
        reporting.observe(self.fixture.session("z.example"))
        self.fixture.failingHosts.withLock { $0 = ["bad.example"] }
        self.fixture.clock.advance(Self.day)
        await reporting.report(self.fixture.outlets())
        #expect(self.fixture.posted.all.map(\.destination.server.host) == ["bad.example", "other.example"])
        self.fixture.clock.advance(Self.day)
        let hasLeft = await reporting.report(self.fixture.outlets())
        #expect(hasLeft && self.fixture.posted.count == 3)
        self.fixture.clock.advance(Self.day)
        let stillHasLeft = await reporting.report(self.fixture.outlets())
        #expect(!stillHasLeft && self.fixture.posted.count == 3)
    }

    @Test func `there are not as many complaints as reports that do not get away`() async throws {
        struct Full: Error {}
        self.fixture.submitFault.withLock { $0 = Full() }
        let reporting = try self.fixture.openTLS()
        defer { reporting.close() }
        for number in 0..<200 {
            self.fixture.publish("mailto:a@b.example", of: "d\(number).example")
            reporting.observe(self.fixture.session("d\(number).example"))
        }
        self.fixture.clock.advance(Self.day)
        for _ in 0..<2 {
            let hasLeft = await reporting.report(self.fixture.outlets())
            #expect(hasLeft && self.fixture.complaints.count == 21)
        }
        self.fixture.submitFault.withLock { $0 = nil }
        let hasLeft = await reporting.report(self.fixture.outlets())
        #expect(!hasLeft && self.fixture.submitted.count == 200)
    }

    @Test func `a domain gets few copies of a report, whatever its record says and becomes`() async throws {
        let many = (0..<50).map { "mailto:a\($0)@b.example" }.joined(separator: ",")
        self.fixture.publish("https://bad.example/,mailto:A%2ba@b.example,MAILTO:A+a@b.example,\(many)")
        self.fixture.failingHosts.withLock { $0 = ["bad.example"] }
        let reporting = try self.fixture.openTLS()
        defer { reporting.close() }
        reporting.observe(self.fixture.session())
        self.fixture.clock.advance(Self.day)
        var hasLeft = await reporting.report(self.fixture.outlets())
        #expect(hasLeft && self.fixture.submitted.all.map(\.recipients) == [["A+a@b.example"]])
        let others = (0..<50).map { "mailto:b\($0)@b.example" }.joined(separator: ",")
        self.fixture.publish(others)
        hasLeft = await reporting.report(self.fixture.outlets())
        #expect(!hasLeft && self.fixture.submitted.count == 2)
    }

    @Test func `a restart neither loses sessions nor reports twice`() async throws {
        self.fixture.publish("mailto:a@example.com,https://example.com/r")
        for _ in 0..<3 {
            let reporting = try self.fixture.openTLS()
            reporting.observe(self.fixture.session())
            reporting.close()
        }
        self.fixture.clock.advance(Self.day)
        for _ in 0..<3 {
            let reporting = try self.fixture.openTLS()
            await reporting.report(self.fixture.outlets())
            reporting.close()
        }
        #expect(self.fixture.submitted.count == 1 && self.fixture.posted.count == 1)
        #expect(try self.read(0).report.policies.first?.summary["total-successful-session-count"] == 3)
    }

    @Test func `what ends between submitting and the mark is reported again under the same names`() async throws {
        let fixture = self.fixture
        fixture.publish("mailto:a@example.com")
        let before = try fixture.folder.make(folder: "before")
        let reporting = try fixture.openTLS()
        defer { reporting.close() }
        reporting.observe(fixture.session())
        fixture.clock.advance(Self.day)
        // A process that is killed leaves the disk as it is then.
        let outlets = fixture.outlets {
            do {
                try FileManager.default.copyItem(atPath: fixture.folder.path("data.mdb"), toPath: "\(before)/data.mdb")
            } catch { Issue.record(error) }
        }
        await reporting.report(outlets)
        let again = try fixture.openTLS(folder: before)
        await again.report(fixture.outlets())
        again.close()
        let messages = fixture.submitted.all
        #expect(messages.count == 2 && Set(messages.map { $0.field("Message-ID") }).count == 1)
        #expect(try self.read(0).report.report_id == self.read(1).report.report_id)
    }

    @Test func `whoever makes domains and failures up fills neither the day nor a report`() async throws {
        var options = ReportingFixture.tlsOptions()
        (options.domains, options.rows) = (30, 10)
        let reporting = try self.fixture.openTLS(options)
        defer { reporting.close() }
        for number in 0..<500 {
            let name = "n\(number).evil.example"
            self.fixture.publish("mailto:a@victim.example", of: name)
            reporting.observe(self.fixture.session(name), organization: "evil.example")
        }
        for number in 0..<500 {
            reporting.observe(
                self.fixture.session("example.com", .failure(.validationFailure, reason: "x\(number)")),
                organization: "example.com")
        }
        self.fixture.publish("mailto:a@example.com")
        self.fixture.clock.advance(Self.day)
        await reporting.report(self.fixture.outlets())
        let recipients = self.fixture.submitted.all.flatMap(\.recipients)
        #expect(recipients.count { $0 == "a@victim.example" } == 20)
        #expect(recipients.count { $0 == "a@example.com" } == 1)
        #expect(reporting.statistics.lost == 480 + 490)
        let place = try #require(self.fixture.submitted.all.firstIndex { $0.recipients == ["a@example.com"] })
        #expect(try self.read(place).report.policies.first?.failure_details.count == 10)
    }

    @Test func `nothing is kept while reports are off, and author and reverse-path are what is configured`()
        async throws
    {
        self.fixture.publish("mailto:a@example.com")
        let reporting = try self.fixture.openTLS(TLSReportOptions())
        defer { reporting.close() }
        reporting.observe(self.fixture.session())
        var options = ReportingFixture.tlsOptions()
        options.organization = "We"
        options.from = Mailbox("tlsrpt@example.net")
        options.reversePath = Mailbox("bounces@example.net")
        reporting.use(options)
        reporting.observe(self.fixture.session())
        self.fixture.clock.advance(Self.day)
        await reporting.report(self.fixture.outlets())
        let message = try #require(self.fixture.submitted.all.first)
        #expect(message.field("From") == "<tlsrpt@example.net>")
        #expect(message.envelope.reversePath.description == "bounces@example.net")
        let read = try self.read(0).report
        #expect(read.contact_info == "tls@mx.example.net" && read.organization_name == "We")
        #expect(read.policies.first?.summary["total-successful-session-count"] == 1)
    }

    @Test func `both kinds of reports go over midnight in folders of their own`() async throws {
        self.fixture.publish("mailto:r@example.com")
        let dmarc = try self.fixture.open(folder: self.fixture.folder.make(folder: "dmarc"))
        let tls = try self.fixture.openTLS(folder: self.fixture.folder.make(folder: "tls"))
        defer {
            dmarc.close()
            tls.close()
        }
        dmarc.observe(try self.fixture.observation(to: [ReportURI("mailto:r@example.com")]))
        tls.observe(self.fixture.session())
        self.fixture.clock.advance(Self.day)
        await self.fixture.report(dmarc)
        await tls.report(self.fixture.outlets())
        let messages = self.fixture.submitted.all
        #expect(messages.map(\.recipients) == [["r@example.com"], ["r@example.com"]])
        #expect(Set(messages.map { $0.field("Message-ID") }).count == 2)
        #expect(messages.map { $0.field("TLS-Required") } == [nil, "No"])
    }

    @Test func `it ends when its task is cancelled`() async throws {
        self.fixture.publish("mailto:a@example.com")
        let reporting = try self.fixture.openTLS()
        defer { reporting.close() }
        reporting.observe(self.fixture.session())
        self.fixture.clock.advance(Self.day)
        let (reports, told) = AsyncStream.makeStream(of: Void.self)
        let outlets = self.fixture.outlets { told.yield() }
        let task = Task { await reporting.run(outlets) }
        var iterator = reports.makeAsyncIterator()
        await iterator.next()
        task.cancel()
        await task.value
        #expect(self.fixture.submitted.count == 1)
    }

    @Test func `options that do not fit are refused`() throws {
        var options = TLSReportOptions()
        #expect(throws: Never.self) { try options.validate() }
        options.enabled = true
        #expect(throws: OptionProblem.self) { try options.validate() }
        options.email = Mailbox("a@example.net")
        #expect(throws: Never.self) { try options.validate() }
        options.days = 0
        #expect(throws: OptionProblem.self) { try options.validate() }
    }

    @Test func `its keys are those of DMARC reports, but for whom to ask`() {
        let (tls, dmarc) = (TLSReportOptions.fields.map(\.key), DMARCReportOptions.fields.map(\.key))
        #expect(tls == dmarc.filter { $0 != "extra_contact" }.map { $0 == "email" ? "contact" : $0 })
    }
}
