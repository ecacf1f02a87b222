package import Authentication
package import Forwarder
package import Greylist
package import MTASTS
package import Mail
package import Queue
package import Recipients
package import Reports
package import Rules
package import SMTP
package import Screener

/// The file `postern.yaml`.
package struct Configuration: Options, OptionValue {
    package var hostname: DomainName?
    package var listen = [Endpoint(.v4(0), port: 25), Endpoint(.v6(high: 0, low: 0), port: 25)]
    package var state = "/var/lib/postern"
    package var control = "/run/postern/control"
    package var rules = "/etc/postern/rules"
    package var resolver = ResolverSettings()
    package var relayNetworks: [IPNetwork] = []
    package var relayDomains = DomainSource.list([])
    package var relayRecipients = RecipientTables()
    package var callout = RecipientVerificationOptions()
    package var acceptUnverified = UnverifiedSetting.none
    package var transport: TableReference?
    package var tls = ServerTLSOptions()
    package var recipientDelimiter: String?
    package var postmaster: Mailbox?
    package var restrictions = RestrictionSettings()
    package var restrictionClasses = Named<[RestrictionElement]>()
    package var rejectDelayed = true
    package var replyCodes = RestrictionOptions()
    package var replyReference = true
    package var content = ContentOptions()
    package var attachments = AttachmentOptions()
    package var authentication = AuthenticationOptions()
    package var dmarcReports = DMARCReportOptions()
    package var mtaSTS = STSOptions()
    package var tlsReports = TLSReportOptions()
    package var screener = ScreenerOptions()
    package var greylist = GreylistOptions()
    package var proxy = ProxyOptions()
    package var limits = SessionLimits()
    package var queue = QueueOptions()
    package var forwarder = ForwarderOptions()
    package var log = LogOptions()
    package var report = DailyReportOptions()
    package var metrics = MetricsOptions()
    package var shutdownGrace = Duration.seconds(30)

    package init() {}

    package static let summary =
        "The file `/etc/postern/postern.yaml`. A key that is not here, or that is repeated, is an error."

    package static let fields: [OptionField<Self>] = [
        .init(
            "hostname", \.hostname,
            "The name we have in greetings, `Received` fields and notices; by default the machine's full name, as "
                + "`hostname --fqdn` prints it. Changed by a restart."),
        .init(
            "listen", \.listen,
            "Where clients connect; sockets that systemd passes are used instead. Port 0 takes a free "
                + "one. Changed by a restart."),
        .init("state", \.state, "Folder of the queue. Changed by a restart."),
        .init("control", \.control, "Socket of the commands. Changed by a restart."),
        .init("rules", \.rules, "Folder of the tables, for names without a path."),
        .init("resolver", \.resolver, "Who is asked about names. Changed by a restart."),
        .init("relay_networks", \.relayNetworks, "Clients that may send to anybody."),
        .init(
            "relay_domains", \.relayDomains,
            "Domains whose mail is taken from anybody. `example.com` is that name only, `.example.com` "
                + "what is below it. Of a table the keys count, addresses and `*` aside."),
        .init(
            "relay_recipients", \.relayRecipients,
            "Addresses that exist in them: `user@domain`, or `@domain` for all of it. Values mean "
                + "nothing. Of several tables, an address has to be in one; one may be `pgsql:FILE`."),
        .init(
            "callout", \.callout,
            "Whom the tables do not have is asked for at the primary, in the domains that are named here."),
        .init(
            "accept_unverified", \.acceptUnverified,
            "Relay domains without any entry there: whether their mail is taken all the same. What the "
                + "primary then refuses comes back to forged senders."),
        .init("transport", \.transport, "Where mail goes, in Postfix's transport(5) format; else by MX records."),
        .init("tls", \.tls, "TLS for those who bring mail."),
        .init(
            "recipient_delimiter", \.recipientDelimiter,
            "What separates an address from its extension when it is looked up, such as `+`."),
        .init(
            "postmaster", \.postmaster,
            "Who gets mail to `postmaster` without a domain; by default the postmaster of the first relay "
                + "domain."),
        .init("restrictions", \.restrictions, "What is asked of a client, and when."),
        .init(
            "restriction_classes", \.restrictionClasses,
            "Lists of restrictions under names of your own, for other lists and for right-hand sides of tables."),
        .init(
            "reject_delayed", \.rejectDelayed,
            "Whether refusals of the lists `client`, `helo` and `sender` come at RCPT, so that the log has sender and "
                + "recipient; else at HELO and MAIL."),
        .init("reply_codes", \.replyCodes, "The codes that restrictions answer with."),
        .init(
            "reply_reference", \.replyReference,
            "Whether a refusal by rules ends with a reference such as `[ref 4K7Q2M]`, which its line in the log has too."
        ),
        .init("content", \.content, "Rules for what is in a message."),
        .init("attachments", \.attachments, "Which attachments are refused."),
        .init("authentication", \.authentication, "Whom a message is from: SPF, DKIM, DMARC and ARC."),
        .init("dmarc_reports", \.dmarcReports, "Telling domains what was seen of mail in their name."),
        .init("mta_sts", \.mtaSTS, "Policies of domains for mail to them."),
        .init("tls_reports", \.tlsReports, "Telling domains how sessions with their servers went."),
        .init("screener", \.screener, "Who is talked to at all."),
        .init("greylist", \.greylist, "Who has to come again, where `greylist` stands in a list."),
        .init("proxy", \.proxy, "Load balancers in front of us that speak the PROXY protocol, version 1 or 2."),
        .init("limits", \.limits, "What one client may do."),
        .init("queue", \.queue, "What is kept, and for how long."),
        .init("forwarder", \.forwarder, "How mail is handed on."),
        .init("log", \.log, "The log."),
        .init("report", \.report, "What `postern report --mail` sends, and to whom."),
        .init("metrics", \.metrics, "Figures for those who watch the service."),
        .init("shutdown_grace", \.shutdownGrace, "How long transactions may take to end when the service does."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.proxy.listen.allSatisfy({ !self.listen.contains($0) || $0.port == 0 }) else {
            throw OptionProblem(
                "listen and proxy.listen name the same address: a proxy's header is either required or not")
        }
        let endpoints = self.listen + self.proxy.listen
        guard self.tls.listen.allSatisfy({ !endpoints.contains($0) || $0.port == 0 }) else {
            throw OptionProblem(
                "tls.listen names an address of listen or proxy.listen: TLS begins at once or it does not")
        }
        guard self.recipientDelimiter.map({ $0.count == 1 }) ?? true else {
            throw OptionProblem("recipient_delimiter is not one character")
        }
    }
}

/// A table by its type and file, as Postfix writes it.
package struct TableReference: Hashable, Sendable, OptionValue {
    package let path: String

    package static let optionSyntax = "a table such as texthash:transport"

    /// `hash:`, `btree:` and `lmdb:` read the text as well: there is no postmap here.
    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, ["texthash", "hash", "btree", "lmdb"].contains(parts[0]) else {
            throw node.error("'\(text)' is not \(Self.optionSyntax)")
        }
        self.path = String(parts[1])
    }

    package var optionText: String { "texthash:\(self.path)" }
}

/// Tables of recipients: text tables and data bases, each of which may have an address.
package struct RecipientTables: Hashable, Sendable, OptionValue {
    package private(set) var tables: [TableReference] = []
    /// Files of pgsql_table(5).
    package private(set) var databases: [String] = []

    package init() {}

    package static let optionSyntax = "a table such as texthash:relay_recipients or pgsql:recipients.pgsql, or a list"

    package init(option node: OptionNode) throws(OptionError) {
        if case .list(let nodes) = node.content {
            for node in nodes { try self.add(node) }
        } else {
            try self.add(node)
        }
    }

    private mutating func add(_ node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard text.hasPrefix("pgsql:") else { return self.tables.append(try TableReference(option: node)) }
        guard text.utf8.count > "pgsql:".utf8.count else { throw node.error("'\(text)' names no file") }
        self.databases.append(String(text.dropFirst("pgsql:".count)))
    }

    package var optionText: String {
        let names = self.tables.map(\.optionText) + self.databases.map { "pgsql:\($0)" }
        return names.count == 1 ? names[0] : names.isEmpty ? "" : "[\(names.joined(separator: ", "))]"
    }
}

/// Domains, named here or as keys of a table.
package enum DomainSource: Hashable, Sendable, OptionValue {
    case list([String])
    case table(TableReference)

    package static let optionSyntax = "a list of domains, or a table such as texthash:relay_domains"

    package init(option node: OptionNode) throws(OptionError) {
        guard case .list(let nodes) = node.content else {
            self = .table(try TableReference(option: node))
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
        self = .list(domains)
    }

    package var optionText: String {
        switch self {
        case .list(let domains): "[\(domains.joined(separator: ", "))]"
        case .table(let table): table.optionText
        }
    }
}

/// `true`, `false`, or the domains for which it is true.
package enum UnverifiedSetting: Hashable, Sendable, OptionValue {
    case none, all
    case domains([DomainName])

    package static let optionSyntax = "true, false or a list of domains"

    package init(option node: OptionNode) throws(OptionError) {
        if case .list = node.content {
            self = .domains(try [DomainName](option: node))
        } else {
            self = try Bool(option: node) ? .all : .none
        }
    }

    package var optionText: String {
        switch self {
        case .none: "false"
        case .all: "true"
        case .domains(let names): names.optionText
        }
    }
}

package struct ResolverSettings: Options, OptionValue {
    package var forwarders: [NameServerSetting] = []
    package var recursion = false
    package var trustAnchor: String?
    package var timeout = Duration.seconds(10)

    package init() {}

    package static let summary = "Who is asked about names."

    package static let fields: [OptionField<Self>] = [
        .init("forwarders", \.forwarders, "Name servers; empty for those of the system."),
        .init("recursion", \.recursion, "Ask nobody but the zones' own servers, from the root down."),
        .init(
            "trust_anchor", \.trustAnchor,
            "File with the key of the root, such as /usr/share/dns/root.key; without it nothing is "
                + "validated."),
        .init("timeout", \.timeout, "How long a question may take."),
    ]

    package func validate() throws(OptionProblem) {
        guard !self.recursion || self.forwarders.isEmpty else {
            throw OptionProblem("recursion goes without forwarders")
        }
    }
}

/// `HOST` or `HOST:PORT`, a host being an address.
package struct NameServerSetting: Hashable, Sendable, OptionValue {
    package let endpoint: Endpoint

    package init(_ endpoint: Endpoint) {
        self.endpoint = endpoint
    }

    package static let optionSyntax = "ADDRESS or ADDRESS:PORT"

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let endpoint = Endpoint(text, defaultPort: 53) else {
            throw node.error("'\(text)' is not \(Self.optionSyntax)")
        }
        self.endpoint = endpoint
    }

    package var optionText: String { self.endpoint.description }
}
