package import Mail
package import SMTP

/// What decides about clients, of one generation of the configuration.
///
/// A class, because each of thousands of connections keeps the one it began with.
package final class ScreenerPolicy: Sendable {
    package enum Access: Hashable, Sendable { case permit, reject, dunno }

    /// What is asked about a client, in order. A lookup says `dunno` if the table does not know it or says so.
    package enum AccessStep: Sendable {
        case relayNetworks
        case table(@Sendable (IPAddress) -> Access)
        case permit, reject, dunno
    }

    let options: ScreenerOptions
    let limits: SessionLimits
    let proxy: ProxyOptions
    let dnsbl: DNSBLRules
    /// The tests that are made.
    let tests: [ScreeningTest]
    private let access: [AccessStep]
    /// Clients of `relay_networks`, which no limit of clients holds for.
    let isTrusted: @Sendable (IPAddress) -> Bool

    package init(
        options: ScreenerOptions, limits: SessionLimits, proxy: ProxyOptions, access: [AccessStep],
        isTrusted: @escaping @Sendable (IPAddress) -> Bool
    ) {
        self.options = options
        self.limits = limits
        self.proxy = proxy
        self.dnsbl = DNSBLRules(options)
        self.tests = options.enabled ? ScreeningTest.allCases.filter { options.setting(of: $0) != .off } : []
        self.access = access
        self.isTrusted = isTrusted
    }

    /// The lists that are asked.
    package var zones: [DNSBLRules.Zone] { self.options.enabled ? self.dnsbl.zones : [] }

    /// The first step that decides has the last word (SEMANTICS §1, 4).
    func access(_ address: IPAddress) -> Screening.Admission.Access {
        guard self.options.enabled else { return .exempt(isLogged: false) }
        for step in self.access {
            switch step {
            case .relayNetworks: if self.isTrusted(address) { return .exempt(isLogged: false) }
            case .table(let lookup):
                switch lookup(address) {
                case .permit: return .exempt(isLogged: true)
                case .reject: return .rejected
                case .dunno: continue
                }
            case .permit: return .exempt(isLogged: true)
            case .reject: return .rejected
            case .dunno: return .tested
            }
        }
        return .tested
    }

    /// What the access list makes of a client, for explaining: a client that is permitted is not tested.
    package func verdict(on address: IPAddress) -> Access {
        switch self.access(address) {
        case .exempt: .permit
        case .rejected, .refused: .reject
        case .tested: .dunno
        }
    }

    /// The tests that a client with this record has to pass.
    ///
    /// - Parameter isTLS: TLS comes first, where it is the client's turn to speak from the beginning.
    func due(_ record: PassRecord?, at now: Timestamp, isTLS: Bool) -> [ScreeningTest] {
        self.tests.filter { test in
            !(isTLS && test == .pregreet) && !(record?.isUnexpired(test, at: now) ?? false)
        }
    }

    /// Whether the client has proved itself lately. Nobody has by tests that are not made where it comes in.
    func isKnown(_ record: PassRecord?, at now: Timestamp, isTLS: Bool) -> Bool {
        guard self.due(record, at: now, isTLS: isTLS).isEmpty else { return false }
        return !isTLS || self.tests.contains { $0 != .pregreet } || self.due(record, at: now, isTLS: false).isEmpty
    }

    func isVetoed(_ local: IPAddress?) -> Bool {
        guard let local else { return false }
        return self.options.allowlistVeto.contains { $0.contains(local) }
    }
}
