import Foundation
import Harness
import Mail
import Reports
import Synchronization
import Testing

/// What sessions leave behind for reports, read by somebody else.
@Suite(.serialized) struct AuthenticationReportTests {
    private static let records = """
        _dmarc.told.test. TXT "v=DMARC1; p=reject; sp=none; adkim=s; rua=mailto:dmarc@told.test!1m"
        told.test. TXT "v=spf1 ip4:127.0.0.5 -all"
        """

    @Test func `sessions are counted, and a day later the domain can be told`() async throws {
        let (folder, codes) = try await onOwnThread { try Self.collect() }
        let submitted = Mutex<[[UInt8]]>([])
        var options = DMARCReportOptions()
        options.enabled = true
        options.email = Mailbox("reports@example.test")
        let tomorrow = Timestamp(seconds: Int64(Date.now.timeIntervalSince1970) + 2 * 86_400)
        let reporting = try DMARCReporting(
            folder: folder.path("reports"), options: options, hostname: "mx2.example.test",
            clock: WallClock { tomorrow }
        ) { Issue.record("\($0)") }
        defer { reporting.close() }
        let check = DestinationCheck(organizationalDomain: { $0 }, texts: { _ in [] })
        await reporting.report(check: check) { _, content in submitted.withLock { $0.append(content) } }
        // Two, if it was midnight meanwhile.
        let reads = try submitted.withLock { $0 }.map { try ReadReport(message: $0) }
        #expect((1...2).contains(reads.count), "\(codes)")
        var counts: [String: Int] = [:]
        for read in reads {
            #expect(read.problems == [] && read.defects == [])
            let policy = read.feedback.policy_published
            #expect(policy["domain"] == "told.test" && policy["sp"] == "none" && policy["adkim"] == "s")
            for record in read.feedback.record {
                let found = record.row.policy_evaluated
                counts["\(record.row.source_ip) \(found.disposition) \(found.dkim) \(found.spf)", default: 0] +=
                    Int(record.row.count) ?? 0
            }
        }
        #expect(counts == ["127.0.0.5 none fail pass": 3, "127.0.0.9 reject fail fail": 2], "\(codes)")
        let records = reads.flatMap(\.feedback.record)
        let failed = try #require(records.first { $0.row.source_ip == "127.0.0.9" })
        #expect(failed.identifiers["header_from"] == "told.test")
        #expect(failed.identifiers["envelope_from"] == "told.test")
        #expect(failed.identifiers["envelope_to"] == "example.test")
        #expect(failed.auth_results["spf"]?.first?["result"] == "fail")
    }

    /// - Returns: the state of a daemon that has ended, and the codes that clients got.
    private static func collect() throws -> (TemporaryFolder, [Int]) {
        let world = try AuthenticationWorld(
            records: Self.records, more: "dmarc_reports: {enabled: true, email: reports@example.test}\n")
        let message = AuthenticationWorld.message(from: "a@told.test")
        var codes: [Int] = []
        for client in [AuthenticationWorld.sender, AuthenticationWorld.stranger, AuthenticationWorld.sender] {
            codes.append(try world.send(message, from: "a@told.test", client: client).code)
        }
        // What was counted is kept over a restart, and the counting goes on.
        try world.postern.stop()
        try world.postern.start()
        for client in [AuthenticationWorld.stranger, AuthenticationWorld.sender] {
            codes.append(try world.send(message, from: "a@told.test", client: client).code)
        }
        // Those who want no reports, and a report of others to us.
        codes.append(try world.send(AuthenticationWorld.message(from: "a@good.test"), from: "a@good.test").code)
        codes.append(try world.send(message, from: "a@told.test", to: ["reports@example.test"]).code)
        try world.postern.stop()
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(
            atPath: world.postern.folder.path("state/reports"), toPath: folder.path("reports"))
        return (folder, codes)
    }
}
