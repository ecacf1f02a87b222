import Mail
import Resolver
import SMTP

@testable import Screener

/// A screening without socket, clock or names: it is told what happens, and what it says is gathered.
struct ScreeningDriver {
    static let client = IPAddress.v4(0xC000_0207)  // 192.0.2.7
    static let now = Timestamp(seconds: 1_800_000_000)

    private var screening: Screening
    let policy: ScreenerPolicy
    private(set) var said: [String] = []
    private(set) var unsaid: [String] = []
    private(set) var outcome: ScreeningOutcome?
    private(set) var credit: PassRecord?
    private(set) var waits: [Duration] = []
    private(set) var verdict: Screening.Verdict?
    private(set) var isHandedOn = false
    private(set) var isForgotten = false
    private(set) var isClosed = false
    private(set) var looks = 0
    private(set) var hasAsked = false
    private(set) var source: ProxyHeader.Source?

    init(
        isProxied: Bool = false, isTLS: Bool = false, access: [ScreenerPolicy.AccessStep] = [],
        _ set: (inout ScreenerOptions) throws -> Void
    )
        rethrows
    {
        var options = ScreenerOptions()
        try set(&options)
        self.policy = ScreenerPolicy(
            options: options, limits: SessionLimits(), proxy: ProxyOptions(), access: access, isTrusted: { _ in false })
        self.screening = Screening(self.policy, at: Screening.Door(isProxied: isProxied, isTLS: isTLS))
    }

    var phase: Screening.Phase { self.screening.phase }
    var isAllowlisted: Bool { self.screening.isAllowlisted }

    mutating func admit(
        _ record: PassRecord? = nil, access: Screening.Admission.Access = .tested, isVetoed: Bool = false,
        isUnderStress: Bool = false
    ) {
        self.handle(
            .admitted(
                Screening.Admission(
                    address: Self.client, access: access, record: record, isVetoed: isVetoed,
                    isUnderStress: isUnderStress, now: Self.now)))
    }

    mutating func send(_ text: String) {
        self.handle(.input(.octets(text.utf8.count, preview: Array(text.utf8))))
    }

    /// What a list answers: addresses such as `127.0.0.2`.
    mutating func answer(
        _ zone: Int, _ addresses: String..., ttl: Duration = .seconds(600), standing: ListHealth.Standing = .trusted
    ) {
        let values = addresses.compactMap { IPAddress($0) }.compactMap {
            if case .v4(let value) = $0 { value } else { nil }
        }
        let outcome: DNSBLOutcome = values.isEmpty ? .notListed(ttl: ttl) : .listed(values, ttl: ttl)
        self.handle(.answered(zone: zone, outcome, standing))
    }

    mutating func handle(_ event: Screening.Event) {
        for action in self.screening.handle(event) { self.take(action) }
    }

    private mutating func take(_ action: Screening.Action) {
        switch action {
        case .teaser: self.said.append("220-")
        case .greeting: self.said.append("220")
        case .lastReply(let reply, _): self.said.append(reply.oneLine)
        case .unsaid(let reply, _): self.unsaid.append(reply.oneLine)
        case .wait(let duration): self.waits.append(duration)
        case .lookUp: self.hasAsked = true
        case .look: self.looks += 1
        case .handOn(let verdict): (self.verdict, self.isHandedOn) = (verdict, true)
        case .credit(let record): self.credit = record
        case .forget: self.isForgotten = true
        case .conclude(let outcome): self.outcome = outcome
        case .close: self.isClosed = true
        case .identify(let source): self.source = source
        case .discard, .complain: break
        }
    }

    /// How long a test is passed for; nil if it is not.
    func passed(_ test: ScreeningTest) -> Duration? {
        guard case .passed(let end)? = self.credit?[test] else { return nil }
        return end - Self.now
    }
}

extension DNSBLSite {
    static func list(_ texts: String...) throws -> [DNSBLSite] {
        try texts.map { text throws(DNSBLSyntaxError) in try DNSBLSite(text) }
    }
}

extension PassRecord {
    /// All these tests are passed until a time after now.
    init(_ tests: ScreeningTest..., in time: Duration = .seconds(60)) {
        self.init()
        for test in tests { self[test] = .passed(until: ScreeningDriver.now + time) }
    }
}
