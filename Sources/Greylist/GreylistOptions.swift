package import Mail

/// Who has to come again, and what is remembered of it. It is asked where `greylist` stands in a list.
package struct GreylistOptions: Options, OptionValue {
    package var delay = Duration.seconds(300)
    package var retryWindow = Duration.seconds(2 * 86_400)
    package var expiry = Duration.seconds(35 * 86_400)
    /// A pool of servers sends from one network, and each of them retries what another began.
    package var ipv4Prefix = 24
    package var ipv6Prefix = 64
    package var autoAllow = 5
    package var autoAllowExpiry = Duration.seconds(35 * 86_400)
    package var entries = 500_000
    package var exempt: [String] = []
    package var exemptRecipients: [String] = []
    package var spfPassDomains = GreylistSPFDomains.none
    package var dnswl = true
    package var text: String?

    package init() {}

    package static let summary =
        "Greylisting: mail of a client, sender and recipient not seen before has to come again. It holds where "
        + "`greylist` stands in `restrictions.recipient`."

    package static let fields: [OptionField<Self>] = [
        .init("delay", \.delay, "The least time after which coming again counts."),
        .init("retry_window", \.retryWindow, "Who has not come again by then begins anew."),
        .init("expiry", \.expiry, "How long one that has come again is known, from its last mail."),
        .init("ipv4_prefix", \.ipv4Prefix, "Leading bits of an IPv4 client's address that count."),
        .init("ipv6_prefix", \.ipv6Prefix, "The same for IPv6."),
        .init(
            "auto_allow", \.autoAllow,
            "From a network of which so many different mails have come again, at most one counted in an hour, all comes "
                + "through; 0 is never."),
        .init("auto_allow_expiry", \.autoAllowExpiry, "How long that holds, from its last mail."),
        .init(
            "entries", \.entries,
            "What is remembered at most; those who did not come again go first. Changed by a restart."),
        .init(
            "exempt", \.exempt,
            "Tables of clients, by address or network: `cidr:FILE`, `texthash:FILE`. OK or permit is never delayed, dunno "
                + "asks the next."),
        .init(
            "exempt_recipients", \.exemptRecipients,
            "Tables of recipients as `check_recipient_access` looks them up, with the same values."),
        .init(
            "spf_pass_domains", \.spfPassDomains,
            "Domains whose mail is not delayed where SPF says that it is theirs."),
        .init("dnswl", \.dnswl, "Whether clients for whom the screener's DNS lists speak are not delayed."),
        .init("text", \.text, "What the reply says behind `Greylisted, try again in 300 seconds`, such as an address."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.delay >= .seconds(1) else { throw OptionProblem("delay must be a second at least") }
        guard self.delay < self.retryWindow else { throw OptionProblem("retry_window must be longer than delay") }
        guard self.expiry > .zero, self.autoAllowExpiry > .zero else {
            throw OptionProblem("expiry and auto_allow_expiry must not be 0")
        }
        guard (1...32).contains(self.ipv4Prefix), (1...128).contains(self.ipv6Prefix) else {
            throw OptionProblem("ipv4_prefix is 1 to 32, and ipv6_prefix 1 to 128")
        }
        guard self.entries > 0 else { throw OptionProblem("entries must not be 0") }
        guard (self.text ?? "").utf8.count <= Self.maximumTextBytes else {
            throw OptionProblem("text is longer than \(Self.maximumTextBytes) octets")
        }
    }

    private static let maximumTextBytes = 200

    func network(_ client: IPAddress) -> IPNetwork {
        client.network(prefixLength: client.width == 32 ? self.ipv4Prefix : self.ipv6Prefix)
    }
}

/// Domains whose mail SPF exempts: all, some, or the keys of a table.
package enum GreylistSPFDomains: Hashable, Sendable, OptionValue {
    case none, all
    /// Lower case, with a leading dot for those below it.
    case domains([String])
    /// `texthash:FILE`
    case table(String)

    package static let optionSyntax = "all, a list of domains, or a table such as texthash:domains"

    package init(option node: OptionNode) throws(OptionError) {
        guard case .list(let nodes) = node.content else {
            let text = try node.scalar(expected: Self.optionSyntax)
            guard text == "all" || text.contains(":") else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
            self = text == "all" ? .all : .table(text)
            return
        }
        var domains: [String] = []
        for node in nodes {
            let text = try node.scalar(expected: "a domain")
            guard let name = DomainName(text.hasPrefix(".") ? text.dropFirst() : text[...]) else {
                throw node.error("'\(text)' is not a domain")
            }
            domains.append((text.hasPrefix(".") ? "." : "") + name.ascii)
        }
        self = domains.isEmpty ? .none : .domains(domains)
    }

    package var optionText: String {
        switch self {
        case .none: "[]"
        case .all: "all"
        case .domains(let domains): "[\(domains.joined(separator: ", "))]"
        case .table(let name): name
        }
    }
}
