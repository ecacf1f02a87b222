package import Cache
package import Mail
import Rules

/// Asking the primary whether a recipient exists (SEMANTICS §9).
package struct RecipientVerificationOptions: Options, OptionValue {
    package var domains = Named<DomainVerificationOptions>()
    package var sender = ProbeSender.doubleBounce
    package var reject = RejectCode.temporary
    package var wait = Duration.seconds(9)
    package var positiveExpire = Duration.seconds(31 * 86_400)
    package var positiveRefresh = Duration.seconds(7 * 86_400)
    package var negativeExpire = Duration.seconds(3 * 86_400)
    package var negativeRefresh = Duration.seconds(3 * 3600)
    package var undecidedRefresh = Duration.seconds(300)
    package var inFlight = Duration.seconds(1000)
    package var downRetry = Duration.seconds(60)
    package var connections = 20
    package var connectionsPerRoute = 5
    package var waiting = 1000
    package var limit = Duration.seconds(60)
    package var entries = 200_000

    package init() {}

    package static let summary =
        "Asking the primary at RCPT time whether a recipient exists. Good answers are kept, so that they also count "
        + "while the primary is away."

    package static let fields: [OptionField<Self>] = [
        .init(
            "domains", \.domains,
            "Whose recipients are asked about: `example.com`, `.example.com` for what is below it, `*` for all other "
                + "relay domains. `{}` below a name takes the defaults."),
        .init(
            "sender", \.sender,
            "Who asks: `double-bounce` at our hostname, `null` for the null reverse-path, which many servers refuse "
                + "here, or an address. Mail to it is accepted and thrown away."),
        .init(
            "reject", \.reject,
            "The code for recipients that the primary does not have: 450 until you trust what it says, then 550."),
        .init(
            "wait", \.wait,
            "How long a client waits for an answer on an address that is not known yet; then it gets 450 and the "
                + "answer is there when it comes back. Under stress a third of it."),
        .init("positive_expire", \.positiveExpire, "How long a good answer counts, if no better one comes."),
        .init("positive_refresh", \.positiveRefresh, "When it is asked for again."),
        .init("negative_expire", \.negativeExpire, "How long a bad answer counts."),
        .init("negative_refresh", \.negativeRefresh, "When it is asked for again."),
        .init("undecided_refresh", \.undecidedRefresh, "When it is asked again after no answer on the address."),
        .init("in_flight", \.inFlight, "When a question that was never answered is asked again."),
        .init("down_retry", \.downRetry, "When a primary that did not answer is asked again, about any address."),
        .init("connections", \.connections, "Questions at once."),
        .init("connections_per_route", \.connectionsPerRoute, "Questions at once to the same servers."),
        .init("waiting", \.waiting, "Questions that wait for a connection; above that there are no answers."),
        .init("limit", \.limit, "For a whole question."),
        .init("entries", \.entries, "Addresses of which answers are kept."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.positiveRefresh <= self.positiveExpire, self.negativeRefresh <= self.negativeExpire else {
            throw OptionProblem("what expires before it is refreshed is never at hand")
        }
        guard self.connections > 0, self.connectionsPerRoute > 0, self.entries > 0, self.inFlight > .zero,
            self.limit > .zero
        else { throw OptionProblem("connections, connections_per_route, entries, in_flight and limit must be above 0") }
        for name in self.domains.values.keys where name != "*" {
            guard let domain = DomainName(name.hasPrefix(".") ? name.dropFirst() : name[...]),
                domain.ascii == (name.hasPrefix(".") ? String(name.dropFirst()) : name)
            else { throw OptionProblem("'\(name)' is not a domain in lower case, .domain or *") }
        }
    }
}

/// What one domain gets that others do not.
package struct DomainVerificationOptions: Options, OptionValue, Equatable {
    package var unknownWhileDown = UnknownWhileDown.defer

    package init() {}

    package static let summary = "How the recipients of a domain are verified."

    package static let fields: [OptionField<Self>] = [
        .init(
            "unknown_while_down", \.unknownWhileDown,
            "What addresses get of which nothing is known while the primary does not answer: 450, or accepted and "
                + "kept until somebody has looked at it, or 550.")
    ]
}

package enum UnknownWhileDown: String, CaseIterable, Hashable, Sendable, OptionValue {
    case `defer`
    case acceptAndHold = "accept_and_hold"
    case reject
}

package enum RejectCode: String, CaseIterable, Hashable, Sendable, OptionValue {
    case temporary = "450"
    case permanent = "550"

    package var code: Int {
        switch self {
        case .temporary: 450
        case .permanent: 550
        }
    }
}

/// Who stands in MAIL of a probe.
package enum ProbeSender: Hashable, Sendable, OptionValue {
    /// `double-bounce` at our hostname: a name to which no program answers (``NoticeDecision``).
    case doubleBounce
    case null
    case mailbox(Mailbox)

    package static let optionSyntax = "double-bounce, null or an address"

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        switch text {
        case "double-bounce": self = .doubleBounce
        case "null": self = .null
        default:
            guard let mailbox = Mailbox(text) else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
            self = .mailbox(mailbox)
        }
    }

    package var optionText: String {
        switch self {
        case .doubleBounce: "double-bounce"
        case .null: "null"
        case .mailbox(let mailbox): mailbox.description
        }
    }

    /// - Parameter hostname: ours.
    package func reversePath(hostname: String) -> ReversePath {
        switch self {
        case .doubleBounce: Mailbox("double-bounce@\(hostname)").map { .mailbox($0) } ?? .null
        case .null: .null
        case .mailbox(let mailbox): .mailbox(mailbox)
        }
    }
}

extension RecipientVerificationOptions {
    /// What counts for a domain; nil if its recipients are not asked about.
    package func options(for domain: DomainName) -> DomainVerificationOptions? {
        (AddressKeys.domain(domain.ascii) + ["*"]).lazy.compactMap { self.domains.values[$0] }.first
    }

    package var policy: VerifyPolicy {
        var policy = VerifyPolicy()
        policy.positiveExpire = self.positiveExpire
        policy.positiveRefresh = self.positiveRefresh
        policy.negativeExpire = self.negativeExpire
        policy.negativeRefresh = self.negativeRefresh
        policy.undecidedRefresh = self.undecidedRefresh
        policy.inFlight = self.inFlight
        return policy
    }

    package var patience: Patience { Patience(wait: self.wait) }

    package var cacheSettings: CacheSettings {
        var settings = VerifyCache.usualSettings
        settings.entries = self.entries
        return settings
    }
}

/// How long a client waits for an answer.
package struct Patience: Hashable, Sendable {
    let wait: Duration

    /// Under stress a third, as Postfix looks once instead of three times (SEMANTICS §9).
    package func limit(under pressure: Verifier.Pressure) -> Duration {
        switch pressure {
        case .normal: self.wait
        case .stress: self.wait / 3
        }
    }
}
