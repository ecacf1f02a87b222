import Clocks
import Foundation
import Harness
import Mail
import Reports
import Synchronization
import Testing

extension Timestamp {
    /// Of a day.
    static let noon = Timestamp(seconds: 20_000 * 86_400 + 43_200)
}

/// A message that was submitted.
struct Submitted: Sendable {
    let envelope: Envelope
    let content: [UInt8]

    var recipients: [String] { self.envelope.recipients.map { "\($0.mailbox)" } }
    var text: String { String(decoding: self.content, as: UTF8.self) }

    func field(_ name: String) -> String? {
        self.text.split(separator: "\r\n").first { $0.hasPrefix("\(name): ") }.map {
            String($0.dropFirst(name.count + 2))
        }
    }
}

/// A report that was posted.
struct Posted: Sendable {
    let destination: HTTPSDestination
    let body: [UInt8]
    let contentType: String
}

/// Reporting in a folder of its own, whose thread writes only when it is asked to.
final class ReportingFixture: Sendable {
    let folder: TemporaryFolder
    let clock = TestClock(at: .noon)
    let complaints = Heard<String>()
    let submitted = Heard<Submitted>()
    let asked = Heard<String>()
    /// TXT records; nil for what fails. What is not here does not exist.
    let records = Mutex<[String: [String]?]>([:])
    let submitFault = Mutex<(any Error)?>(nil)
    let posted = Heard<Posted>()
    /// Hosts that take nothing.
    let failingHosts = Mutex<Set<String>>([])

    init() throws { self.folder = try TemporaryFolder() }

    static func options() throws -> DMARCReportOptions {
        var options = DMARCReportOptions()
        options.enabled = true
        options.organization = "Example & Sons"
        options.email = Mailbox("reports@mx.example.net")
        options.extraContact = "https://example.net/?a=1&b=2"
        return options
    }

    func open(_ options: DMARCReportOptions? = nil, folder: String? = nil) throws -> DMARCReporting {
        try DMARCReporting(
            folder: folder ?? self.folder.path, options: options ?? Self.options(), hostname: "mx.example.net",
            clock: self.clock.wallClock
        ) { self.complaints.add($0) }
    }

    /// The last two labels are what was registered.
    var check: DestinationCheck {
        DestinationCheck(
            organizationalDomain: { $0.split(separator: ".").suffix(2).joined(separator: ".") },
            texts: { name in
                self.asked.add(name)
                return self.records.withLock { $0[name] ?? .some([]) }
            })
    }

    @discardableResult
    func report(_ reporting: DMARCReporting, during: @escaping @Sendable () -> Void = {}) async -> Bool {
        await reporting.report(check: self.check) { envelope, content in
            if let fault = self.submitFault.withLock({ $0 }) { throw fault }
            self.submitted.add(Submitted(envelope: envelope, content: content))
            during()
        }
    }

    func observation(
        _ domain: String = "example.com", to uris: [ReportURI] = [ReportURI("mailto:dmarc@example.com")],
        source: String = "192.0.2.1", organization: String? = nil,
        _ change: (inout DMARCObservation.Result) -> Void = { _ in }
    ) throws -> DMARCObservation {
        let policy = DMARCObservation.PublishedPolicy(
            domain: domain, policy: .reject, destinations: uris, organization: organization)
        var result = DMARCObservation.Result(
            source: try #require(IPAddress(source)), disposition: .none, isDKIMAligned: true, isSPFAligned: false,
            headerFrom: domain, envelopeFrom: domain)
        result.spf = [.init(domain: domain, scope: .mailFrom, outcome: .softfail)]
        change(&result)
        return DMARCObservation(time: self.clock.now, policy: policy, result: result)
    }
}

/// The same for reports on TLS.
extension ReportingFixture {
    static func tlsOptions() -> TLSReportOptions {
        var options = TLSReportOptions()
        options.enabled = true
        options.email = Mailbox("tls@mx.example.net")
        return options
    }

    func openTLS(_ options: TLSReportOptions = tlsOptions(), folder: String? = nil) throws -> TLSReporting {
        try TLSReporting(
            folder: folder ?? self.folder.path, options: options, hostname: "mx.example.net",
            clock: self.clock.wallClock
        ) { self.complaints.add($0) }
    }

    /// Publishes what a domain wants; nil: its name servers do not answer.
    func publish(_ rua: String?, of domain: String = "example.com") {
        let record: [String]? = rua.map { ["v=TLSRPTv1; rua=\($0)"] }
        self.records.withLock { $0["_smtp._tls.\(domain)"] = .some(record) }
    }

    private struct NotTaken: Error {}

    func outlets(during: @escaping @Sendable () -> Void = {}) -> TLSReporting.Outlets {
        TLSReporting.Outlets(
            texts: { name in
                self.asked.add(name)
                return self.records.withLock { $0[name] ?? .some([]) }
            },
            submit: { envelope, content in
                if let fault = self.submitFault.withLock({ $0 }) { throw fault }
                self.submitted.add(Submitted(envelope: envelope, content: content))
                during()
            },
            post: { destination, body, type in
                self.posted.add(Posted(destination: destination, body: body, contentType: type))
                if self.failingHosts.withLock({ $0.contains(destination.server.host) }) { throw NotTaken() }
            })
    }

    func session(
        _ domain: String = "example.com", _ result: TransportObservation.Result = .success,
        policy type: TransportObservation.PolicyType = .none, host: String = "mx.example.com"
    ) -> TransportObservation {
        TransportObservation(
            domain: domain, policy: .init(type: type, domain: domain), result: result, receivingHost: host,
            receivingAddress: .v4(0xC000_0201))
    }
}
