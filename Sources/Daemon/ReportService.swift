import Authentication
import Mail
import NIOCore
import Queue
import Receiver
import Reports
import Resolver

/// DMARC aggregate reports: what sessions find out goes in, and once a day reports go to the queue.
final class ReportService: Sendable {
    /// What reports of each kind are made with.
    struct Parts: Sendable {
        let queue: any MailQueue
        let names: any NameService
        let loop: any EventLoop
        let clock: WallClock
        let events: EventSink
        /// The one in force.
        let generation: @Sendable () -> Generation
    }

    private let parts: Parts
    private let reporting: DMARCReporting
    private let warn: @Sendable (String) -> Void

    init(first: Generation, _ parts: Parts, warn: @escaping @Sendable (String) -> Void) throws {
        let folder = first.configuration.state + "/reports"
        try FolderMaker.make(folder)
        self.parts = parts
        self.warn = warn
        self.reporting = try DMARCReporting(
            folder: folder, options: first.configuration.dmarcReports, hostname: first.hostname, clock: parts.clock,
            complain: warn)
    }

    func use(_ generation: Generation) { self.reporting.use(generation.configuration.dmarcReports) }

    /// After the last session.
    func close() { self.reporting.close() }

    /// What somebody else reports to us, and what comes back of our reports, is not told in turn: two hosts would go on
    /// telling each other of nothing but their reports.
    func observe(_ finding: AuthenticationFinding, _ recipients: [Recipient]) {
        let ours = self.reporting.options.mailboxes + self.parts.generation().configuration.tlsReports.mailboxes
        guard !recipients.allSatisfy({ ours.contains($0.mailbox) }),
            let observation = DMARCObservation(
                finding, recipients, at: self.parts.clock.now(), organization: { self.parts.organization(of: $0) })
        else { return }
        self.reporting.observe(observation)
    }

    /// Makes reports when they are due until the task is cancelled.
    func run() async { await self.reporting.run(check: self.check) { try await self.submit($0, $1) } }

    /// Makes those that are due now.
    ///
    /// - Returns: whether any are left.
    func report() async -> Bool {
        await self.reporting.report(check: self.check) { try await self.submit($0, $1) }
    }

    private var check: DestinationCheck {
        DestinationCheck(
            // By the tree walk it would have to be asked for; a host of another name is then another's.
            organizationalDomain: { name in
                DomainName(name).flatMap { self.parts.suffixes?.organizationalDomain(of: $0).ascii } ?? name
            },
            texts: self.parts.texts)
    }

    /// Returns when the message is on the disk. A report that cannot be signed goes without: its reader decides.
    func submit(_ envelope: Envelope, _ content: [UInt8]) async throws {
        try await self.parts.submit(envelope, content) { self.warn("the DMARC report \($0)") }
    }
}

extension ReportService.Parts {
    fileprivate var suffixes: PublicSuffixList? {
        guard case .publicSuffixes(let list) = self.generation().receiver.authentication?.discovery else {
            return nil
        }
        return list
    }

    /// Whom a domain was registered for.
    func organization(of domain: DomainName) -> String {
        self.suffixes?.organizationalDomain(of: domain).ascii ?? domain.registeredByItsLook.ascii
    }

    /// The TXT records of a name, each with its strings joined; empty if there are none, nil if nobody knows.
    func texts(_ name: String) async -> [String]? {
        switch await NameSource(self.names, on: self.loop).ask(NameQuery(name, .txt)) {
        case .texts(let texts): texts.map { String(decoding: $0, as: UTF8.self) }
        case .noSuchName, .noRecords, .addresses, .hosts: []
        case .failed: nil
        }
    }

    /// Puts a report into the queue; returns its name when it is on the disk. One that cannot be signed goes without.
    ///
    /// - Parameter complain: gets what is said of it behind the kind of report.
    @discardableResult
    func submit(_ envelope: Envelope, _ content: [UInt8], complain: (String) -> Void) async throws -> QueueID {
        let generation = self.generation()
        var incoming = IncomingContent(id: self.queue.beginMessage())
        incoming.buffer = content
        do { incoming.head = try generation.forwarder.sign(content) } catch {
            complain("\(incoming.id) goes without a signature: \(error)")
        }
        let new = incoming.finish(
            arrival: self.clock.now(), envelope: envelope, client: nil, about: nil, needsSMTPUTF8: false,
            lanes: generation.forwarder.lanes)
        let message = new.message
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            self.queue.store(new) { continuation.resume(with: $0.mapError { $0 as any Error }) }
        }
        self.events.record(
            .queued(message.id, MailEvent.Queued(envelope: message.envelope, bytes: message.contentBytes)))
        return message.id
    }
}

extension DomainName {
    /// The last two labels, or three below what looks like `co.uk`. For where there is no list: what a tree walk finds is
    /// up to the domain.
    var registeredByItsLook: DomainName {
        let labels = self.ascii.split(separator: ".").suffix(3)
        let isBelowSuffix = labels.count == 3 && labels.last?.count == 2 && labels.dropFirst().first?.count ?? 9 <= 3
        return DomainName(labels.suffix(isBelowSuffix ? 3 : 2).joined(separator: ".")) ?? self
    }
}

extension DMARCObservation {
    /// Nil if no domain wants to know.
    fileprivate init?(
        _ finding: AuthenticationFinding, _ recipients: [Recipient], at now: Timestamp,
        organization: (DomainName) -> String
    ) {
        let dmarc = finding.dmarc
        guard let record = dmarc.record, !record.aggregateReports.isEmpty, let domain = dmarc.policyDomain,
            let author = dmarc.fromDomain, dmarc.outcome == .pass || dmarc.outcome == .fail
        else { return nil }
        var result = Result(
            source: finding.client.address, disposition: Action(finding.decision.disposition),
            isDKIMAligned: dmarc.dkim.isAligned, isSPFAligned: dmarc.spf.isAligned, headerFrom: author.ascii,
            envelopeFrom: finding.client.reversePath.mailbox?.domain.key ?? "")
        let domains = Set(recipients.map(\.mailbox.domain.key))
        result.envelopeTo = domains.count == 1 ? domains.first : nil
        result.overrides = finding.decision.overrides.map { Override(Override.Kind($0.kind), comment: $0.comment) }
        result.dkim = finding.dkim.compactMap { DKIM($0) }
        result.spf = [SPF(finding.spf.mailFrom)]
        var policy = PublishedPolicy(record, at: domain)
        policy.organization = organization(domain)
        self.init(time: now, policy: policy, result: result)
    }

    fileprivate typealias Action = PublishedPolicy.Action
}

extension DMARCObservation.PublishedPolicy {
    fileprivate init(_ record: DMARCRecord, at domain: DomainName) {
        self.init(
            domain: domain.ascii, policy: Action(record.policy.policy ?? .none),
            subdomainPolicy: record.subdomainPolicy.policy.map { Action($0) },
            destinations: record.aggregateReports.map { ReportURI($0.uri, limitBytes: $0.limitBytes) })
        self.nonexistentPolicy = record.nonexistentPolicy.policy.map { Action($0) }
        self.dkimAlignment = record.dkimMode == .strict ? .strict : .relaxed
        self.spfAlignment = record.spfMode == .strict ? .strict : .relaxed
        self.percent = record.percentage
        self.failureOptions = record.failureOptions.sorted().map(String.init).joined(separator: ":")
    }
}

extension DMARCObservation.PublishedPolicy.Action {
    fileprivate init(_ policy: DMARCPolicy) {
        switch policy {
        case .none: self = .none
        case .quarantine: self = .quarantine
        case .reject: self = .reject
        }
    }
}

extension DMARCObservation.Override.Kind {
    fileprivate init(_ kind: DMARCDecision.Override.Kind) {
        switch kind {
        case .forwarded: self = .forwarded
        case .sampledOut: self = .sampledOut
        case .trustedForwarder: self = .trustedForwarder
        case .mailingList: self = .mailingList
        case .localPolicy: self = .localPolicy
        case .other: self = .other
        }
    }
}

extension DMARCObservation.DKIM {
    /// Nil for a signature that does not say whose it is.
    fileprivate init?(_ result: DKIMResult) {
        guard let domain = result.domain else { return nil }
        let outcome: Outcome =
            switch result.outcome {
            case .pass: .pass
            case .fail: .fail
            case .policy: .policy
            case .neutral: .neutral
            case .temperror: .temperror
            case .permerror: .permerror
            }
        self.init(
            domain: domain, selector: result.selector, outcome: outcome,
            human: result.reason.isEmpty ? nil : result.reason)
    }
}

extension DMARCObservation.SPF {
    fileprivate init(_ result: SPFResult) {
        let outcome: Outcome =
            switch result.result {
            case .none: .none
            case .neutral: .neutral
            case .pass: .pass
            case .fail: .fail
            case .softfail: .softfail
            case .temperror: .temperror
            case .permerror: .permerror
            }
        self.init(domain: result.domain, scope: result.identity == .helo ? .helo : .mailFrom, outcome: outcome)
    }
}
