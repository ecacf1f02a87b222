package import Mail
import Resolver

/// How clients are screened before anybody talks to them; SEMANTICS §1 has the reasons.
package struct ScreenerOptions: Options, OptionValue {
    package var enabled = true
    package var access = AccessList()
    package var accessAction = ScreeningAction.enforce
    package var greetWait = Duration.seconds(6)
    package var greetWaitStress = Duration.seconds(2)
    package var pregreet = TestSetting.enforce
    package var pregreetTTL = Duration.seconds(86_400)
    package var dnsbl: [DNSBLSite] = []
    package var dnsblThreshold = Score(1)
    package var dnsblAllowThreshold = Score(0)
    package var dnsblAction = ScreeningAction.enforce
    package var dnsblMinimumTTL = Duration.seconds(60)
    package var dnsblMaximumTTL = Duration.seconds(3600)
    package var dnsblNames = Named<String>()
    package var dnsblSelfTest = Duration.seconds(3600)
    package var pipelining = TestSetting.off
    package var pipeliningTTL = Duration.seconds(30 * 86_400)
    package var nonSMTP = TestSetting.off
    package var nonSMTPTTL = Duration.seconds(30 * 86_400)
    package var bareNewline = TestSetting.off
    package var bareNewlineTTL = Duration.seconds(30 * 86_400)
    package var allowlistVeto: [IPNetwork] = []
    package var connections = 10_000
    package var cacheEntries = 500_000
    package var cacheRetention = Duration.seconds(7 * 86_400)
    package var cacheCleanup = Duration.seconds(12 * 3600)

    package init() {}

    package static let summary = "Who is talked to at all."

    package static let fields: [OptionField<Self>] = [
        .init("enabled", \.enabled, "Whether clients are tested. Limits on connections hold in any case."),
        .init(
            "access", \.access,
            "Asked in this order before any test: permit and reject decide, dunno of a table goes on with the next. A "
                + "table without a list around it comes behind permit_mynetworks."),
        .init("access_action", \.accessAction, "What happens to clients that it rejects."),
        .init("greet_wait", \.greetWait, "How long a client has to wait for the rest of the greeting."),
        .init("greet_wait_stress", \.greetWaitStress, "The same while there are too many."),
        .init("pregreet", \.pregreet, "What happens to a client that does not wait for it."),
        .init("pregreet_ttl", \.pregreetTTL, "How long a client that has waited is not tested again."),
        .init(
            "dnsbl", \.dnsbl, "Block and allow lists: `zone`, `zone=127.0.0.[2..11]`, `zone=127.0.0.2*3`, `zone*-2`."),
        .init("dnsbl_threshold", \.dnsblThreshold, "Score from which a client fails."),
        .init(
            "dnsbl_allow_threshold", \.dnsblAllowThreshold,
            "Score, below 0, down from which a client passes all tests at once; 0 is never."),
        .init("dnsbl_action", \.dnsblAction, "What happens to a client that fails."),
        .init("dnsbl_min_ttl", \.dnsblMinimumTTL, "The time a score holds is that of the answers, but at least this."),
        .init("dnsbl_max_ttl", \.dnsblMaximumTTL, "And at most this."),
        .init(
            "dnsbl_names", \.dnsblNames,
            "What clients, log and status see instead of a zone, which may hold a key: `KEY.zen.dq.spamhaus.net: zen`."),
        .init(
            "dnsbl_self_test", \.dnsblSelfTest,
            "How often each list is asked whether it lists 127.0.0.2 and not 127.0.0.1 (RFC 5782)."),
        .init(
            "pipelining", \.pipelining,
            "What happens to a client that does not wait for replies; not offered to it until it has passed."),
        .init("pipelining_ttl", \.pipeliningTTL, "How long this is not tested again."),
        .init("non_smtp", \.nonSMTP, "What happens to a client that speaks HTTP or message headers."),
        .init("non_smtp_ttl", \.nonSMTPTTL, "How long this is not tested again."),
        .init("bare_newline", \.bareNewline, "What happens to a client that ends a line without CR."),
        .init("bare_newline_ttl", \.bareNewlineTTL, "How long this is not tested again."),
        .init(
            "allowlist_veto", \.allowlistVeto,
            "Our own addresses that only the last MX records name. Who comes here first is told 450 until it has "
                + "passed at another."),
        .init(
            "connections", \.connections,
            "Connections at once of clients that are not known yet. At 90 % of them clients get less time; above, "
                + "the oldest silent one has to go. Changed by a restart."),
        .init("cache_entries", \.cacheEntries, "Clients remembered. Changed by a restart."),
        .init("cache_retention", \.cacheRetention, "How long they are remembered when nothing holds any more."),
        .init("cache_cleanup", \.cacheCleanup, "How often those are forgotten. Changed by a restart."),
    ]

    /// Lists that may be asked about one client: each is a question that may be under way for it.
    package static let maximumZones = 50

    package func validate() throws(OptionProblem) {
        guard self.dnsblThreshold.value > 0 else { throw OptionProblem("dnsbl_threshold must be above 0") }
        guard self.dnsblAllowThreshold.value <= 0 else {
            throw OptionProblem("dnsbl_allow_threshold must be below 0, or 0 for never")
        }
        guard self.dnsblMinimumTTL <= self.dnsblMaximumTTL else {
            throw OptionProblem("dnsbl_min_ttl is above dnsbl_max_ttl")
        }
        guard Set(self.dnsbl.map(\.zone)).count <= Self.maximumZones else {
            throw OptionProblem("dnsbl has more than \(Self.maximumZones) zones")
        }
        guard self.greetWait > .zero, self.greetWaitStress > .zero else {
            throw OptionProblem("greet_wait must not be 0; to test nothing, set enabled to false")
        }
        guard self.connections > 0, self.cacheEntries > 0 else {
            throw OptionProblem("connections and cache_entries must not be 0")
        }
        guard self.dnsblSelfTest >= .seconds(60) else { throw OptionProblem("dnsbl_self_test is below a minute") }
    }

    /// What is allowed and probably not meant.
    package var warnings: [String] {
        DNSBLRules(self).zones.filter { $0.sites.contains { $0.filter == nil && $0.weight > 0 } }.map {
            "\($0.displayName) has no filter: whatever it answers counts; write ZONE=127.0.0.[2..11] or the like"
        }
    }

    package func setting(of test: ScreeningTest) -> TestSetting {
        switch test {
        case .pregreet: self.pregreet
        case .dnsbl: self.dnsbl.isEmpty ? .off : TestSetting(self.dnsblAction)
        case .pipelining: self.pipelining
        case .nonSMTP: self.nonSMTP
        case .bareNewline: self.bareNewline
        }
    }

    /// How long a test is passed; that of ``ScreeningTest/dnsbl`` comes from the answers.
    package func ttl(of test: ScreeningTest) -> Duration {
        switch test {
        case .pregreet: self.pregreetTTL
        case .dnsbl: self.dnsblMinimumTTL
        case .pipelining: self.pipeliningTTL
        case .nonSMTP: self.nonSMTPTTL
        case .bareNewline: self.bareNewlineTTL
        }
    }
}

/// Whether a test is made, and what happens to who fails.
package enum TestSetting: String, CaseIterable, Hashable, Sendable, OptionValue {
    case off, ignore, enforce, drop

    init(_ action: ScreeningAction) {
        switch action {
        case .ignore: self = .ignore
        case .enforce: self = .enforce
        case .drop: self = .drop
        }
    }

    /// nil if the test is not made.
    package var action: ScreeningAction? {
        switch self {
        case .off: nil
        case .ignore: .ignore
        case .enforce: .enforce
        case .drop: .drop
        }
    }
}

/// A number that may be below zero.
package struct Score: Hashable, Sendable, OptionValue {
    package let value: Int

    package init(_ value: Int) {
        self.value = value
    }

    package static let optionSyntax = "a whole number, possibly below 0"

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let value = Int(text), abs(value) <= 100_000 else {
            throw node.error("'\(text)' is not \(Self.optionSyntax)")
        }
        self.value = value
    }

    package var optionText: String { String(self.value) }
}

/// What is asked about a client before any test, in order.
package struct AccessList: Hashable, Sendable, OptionValue {
    package let elements: [AccessElement]

    package init() { self.elements = [.relayNetworks] }

    package static let optionSyntax = "a list, each \(AccessElement.optionSyntax)"

    package init(option node: OptionNode) throws(OptionError) {
        if case .scalar = node.content {
            let element = try AccessElement(option: node)
            self.elements = element == .relayNetworks ? [element] : [.relayNetworks, element]
        } else {
            self.elements = try [AccessElement](option: node)
        }
    }

    package var optionText: String { self.elements.optionText }
}

/// One place where it is asked whether a client is tested at all (SEMANTICS §1, 4).
package enum AccessElement: Hashable, Sendable, OptionValue {
    /// Postfix's `permit_mynetworks`: clients of `relay_networks`.
    case relayNetworks
    /// A table of Postfix's cidr_table(5) format.
    case cidr(path: String)
    case permit, reject, dunno

    package static let optionSyntax = "permit_mynetworks, cidr:FILE, permit, reject or dunno"

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        switch text {
        case "permit_mynetworks": self = .relayNetworks
        case "permit": self = .permit
        case "reject": self = .reject
        case "dunno": self = .dunno
        case let text where text.hasPrefix("cidr:") && text.utf8.count > 5:
            self = .cidr(path: String(text.dropFirst(5)))
        case let text where text.contains(":"):
            throw node.error("'\(text)': clients are looked up by address here, in cidr tables only")
        case let text: throw node.error("'\(text)' is not \(Self.optionSyntax)")
        }
    }

    package var optionText: String {
        switch self {
        case .relayNetworks: "permit_mynetworks"
        case .cidr(let path): "cidr:\(path)"
        case .permit: "permit"
        case .reject: "reject"
        case .dunno: "dunno"
        }
    }
}

/// Who connects for others, and says for whom (haproxy's PROXY protocol, SEMANTICS §14).
package struct ProxyOptions: Options, OptionValue {
    package var listen: [Endpoint] = []
    package var networks: [IPNetwork] = []
    package var timeout = Duration.seconds(5)

    package init() {}

    package static let summary = "Load balancers in front of us that speak the PROXY protocol, version 1 or 2."

    package static let fields: [OptionField<Self>] = [
        .init(
            "listen", \.listen,
            "Where they connect. There every connection must begin with their header, and no other may. Changed by "
                + "a restart."),
        .init("networks", \.networks, "Their addresses. Others are refused there."),
        .init("timeout", \.timeout, "How long the header may take."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.listen.isEmpty == self.networks.isEmpty else {
            throw OptionProblem("listen and networks go together: who may speak for others must be said")
        }
    }
}
