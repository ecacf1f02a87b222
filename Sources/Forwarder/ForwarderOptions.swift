package import Mail
package import SMTP

/// How mail is handed on.
package struct ForwarderOptions: Options, OptionValue {
    package var retryMinimum = Duration.seconds(300)
    package var retryMaximum = Duration.seconds(4000)
    package var probeMinimum = Duration.seconds(15)
    package var probeMaximum = Duration.seconds(300)
    package var connections = 500
    package var concurrency = 20
    package var initialConcurrency = 5
    package var recipientsPerTransaction = 100
    package var idleTimeout = Duration.seconds(5)
    package var deliveriesPerConnection = 1000
    package var noticeContent = ByteCount(50_000)
    package var ownAddresses: [IPAddress] = []
    package var loopbackMX = false
    package var destinations = Named<DestinationOptions>()
    package var timeouts = ClientTimeouts()
    package var tls = ForwarderTLSOptions()
    package var sasl = ForwarderSASLOptions()

    package init() {}

    package static let summary = "How mail is handed on."

    package static let fields: [OptionField<Self>] = [
        .init(
            "retry_minimum", \.retryMinimum,
            "A message that was deferred waits as long as it is old, but not less than this."),
        .init("retry_maximum", \.retryMaximum, "And not more than this."),
        .init(
            "probe_minimum", \.probeMinimum,
            "A destination that cannot be reached is tried again after as long as it is away, but not "
                + "before this; one connection for all its mail."),
        .init("probe_maximum", \.probeMaximum, "And not later than this."),
        .init("connections", \.connections, "Connections at once, to all destinations."),
        .init("concurrency", \.concurrency, "Connections at once to one destination."),
        .init(
            "initial_concurrency", \.initialConcurrency,
            "The same in the beginning; grows with success, shrinks with failure, and is 1 after an "
                + "outage."),
        .init(
            "recipients_per_transaction", \.recipientsPerTransaction,
            "A message with more recipients is sent several times."),
        .init("idle_timeout", \.idleTimeout, "How long a connection is kept for the next message."),
        .init("deliveries_per_connection", \.deliveriesPerConnection, "Messages after which a connection is given up."),
        .init(
            "notice_content", \.noticeContent,
            "A message up to this size is returned whole in a failure notice; of a larger one the header."),
        .init(
            "own_addresses", \.ownAddresses,
            "Addresses under which others see us, besides those of the interfaces, for the place in MX "
                + "records: the public side of a NAT."),
        .init("loopback_mx", \.loopbackMX, "Whether MX records may lead to the loopback. For tests."),
        .init(
            "destinations", \.destinations,
            "Settings of single destinations, each under the next hop as the transport table has it."),
        .init("timeouts", \.timeouts, "How long a next hop is waited for."),
        .init("tls", \.tls, "How connections are secured."),
        .init("sasl", \.sasl, "How we say to next hops who we are."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.retryMinimum > .zero, self.retryMinimum <= self.retryMaximum else {
            throw OptionProblem("retry_minimum must be above 0 and not above retry_maximum")
        }
        guard self.probeMinimum > .zero, self.probeMinimum <= self.probeMaximum else {
            throw OptionProblem("probe_minimum must be above 0 and not above probe_maximum")
        }
        guard self.concurrency > 0, self.initialConcurrency > 0, self.connections > 0,
            self.recipientsPerTransaction > 0,
            self.deliveriesPerConnection > 0
        else { throw OptionProblem("concurrency, connections and deliveries must be above 0") }
    }
}

/// What one destination gets that others do not.
package struct DestinationOptions: Options, OptionValue {
    package var concurrency: Int?
    package var xforward = false
    package var xclient = false
    package var chunking = true
    package var implicitTLS = false

    package init() {}

    package static let summary = "What one destination gets that others do not."

    package static let fields: [OptionField<Self>] = [
        .init("concurrency", \.concurrency, "Connections at once to it."),
        .init("xforward", \.xforward, "Tell it with XFORWARD who brought the message, if it offers that."),
        .init(
            "xclient", \.xclient,
            "Tell it with XCLIENT, if it offers that; then it treats the session as that client's."),
        .init("chunking", \.chunking, "Send content with BDAT if it offers CHUNKING."),
        .init(
            "implicit_tls", \.implicitTLS,
            "TLS begins with the connection, without STARTTLS, as on port 465; then there is none without."),
    ]
}

extension ForwarderOptions {
    /// When a message is tried again that was deferred: as late as it is old, within bounds (SEMANTICS §10), but
    /// once more just when its time is over.
    func due(after now: Timestamp, arrival: Timestamp, lifetime: Duration) -> Timestamp {
        let wait = max(self.retryMinimum, min(self.retryMaximum, now - arrival))
        let end = arrival + lifetime
        return end > now ? min(now + wait, end) : now + wait
    }

    func probeDue(after now: Timestamp, downSince since: Timestamp) -> Timestamp {
        now + max(self.probeMinimum, min(self.probeMaximum, now - since))
    }

    /// Whether a destination has been left alone for long enough. What is further ahead than it can be was reckoned by
    /// a clock that has been set back since.
    func isOver(_ due: Timestamp, _ now: Timestamp) -> Bool {
        due <= now || due - now > max(self.probeMaximum, self.retryMinimum)
    }

    func concurrency(of destination: String) -> Int {
        self.destinations.values[destination]?.concurrency ?? self.concurrency
    }

    func permissions(for destination: String) -> ClientSession.Permissions {
        let options = self.destinations.values[destination] ?? DestinationOptions()
        var permissions = ClientSession.Permissions()
        permissions.chunking = options.chunking
        permissions.xforward = options.xforward
        permissions.xclient = options.xclient
        return permissions
    }
}
