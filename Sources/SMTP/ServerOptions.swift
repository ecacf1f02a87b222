package import Mail

/// What a server session announces and tolerates; SEMANTICS §13 has the reasons.
package struct SessionLimits: Options, OptionValue {
    package enum LineEndings: String, CaseIterable, OptionValue { case normalize, reject }

    package var messageSize = ByteCount(25_000_000)
    package var recipients = 1000
    package var softErrors = 10
    package var errorsPerSession = 20
    package var junkCommands = 100
    package var errorDelay = Duration.seconds(1)
    package var commandLine = ByteCount(2048)
    package var hops = 50
    package var commandTimeout = Duration.seconds(300)
    package var dataTimeout = Duration.seconds(300)
    package var stressTimeout = Duration.seconds(10)
    package var minimumDataRate = ByteCount(500)
    package var lineEndings = LineEndings.normalize
    package var rejectPipelining = true
    package var vrfy = true
    package var requireTLS = true
    package var connections = 5000
    package var connectionsPerClient = 50
    package var connectionRatePerClient = 0
    package var messageRatePerClient = 0
    package var recipientRatePerClient = 0
    package var clientPrefixIPv4 = 32
    package var clientPrefixIPv6 = 64

    package init() {}

    package static let summary = "What one client may do."

    package static let fields: [OptionField<Self>] = [
        .init("message_size", \.messageSize, "Largest content. Announced as SIZE; above it the answer is 552."),
        .init("recipients", \.recipients, "Recipients of a message; those above get 452 and may come again."),
        .init("soft_errors", \.softErrors, "Errors after which each further one is answered late."),
        .init("error_delay", \.errorDelay, "How late."),
        .init("errors_per_session", \.errorsPerSession, "Errors after which the session ends with 421."),
        .init(
            "junk_commands", \.junkCommands,
            "NOOP, RSET, VRFY, HELP without a message between them; each further one is an error."),
        .init("command_line", \.commandLine, "Longest command line with its CRLF."),
        .init("hops", \.hops, "Received fields of a message, above which it is in a loop."),
        .init("command_timeout", \.commandTimeout, "For one complete command, however slowly it comes."),
        .init("data_timeout", \.dataTimeout, "Longest silence inside content."),
        .init(
            "stress_timeout", \.stressTimeout,
            "Both of these for clients that are not known, while there are too many; see `screener.connections`."),
        .init("minimum_data_rate", \.minimumDataRate, "Octets of content a second, over which the time is reckoned."),
        .init(
            "line_endings", \.lineEndings,
            "normalize: a bare CR or LF in content is made harmless; reject: the message is refused."),
        .init(
            "reject_pipelining", \.rejectPipelining,
            "Refuse DATA to a client that does not wait where it must (RFC 2920)."),
        .init("vrfy", \.vrfy, "Whether VRFY is answered, always with 252; otherwise it is not there."),
        .init(
            "requiretls", \.requireTLS,
            "Whether REQUIRETLS is offered inside TLS. Where the primary cannot promise it, senders who insist on it are "
                + "told so at once without it, and else get their mail back."),
        .init(
            "connections", \.connections,
            "Connections at once of clients that are known to be good; above, 421. Others: "
                + "`screener.connections`. Changed by a restart."),
        .init("connections_per_client", \.connectionsPerClient, "Connections at once of one client; 0 is no limit."),
        .init(
            "connection_rate_per_client", \.connectionRatePerClient,
            "Connections a minute of one client; 0 is no limit."),
        .init(
            "message_rate_per_client", \.messageRatePerClient,
            "MAIL commands a minute of one client; 0 is no limit."),
        .init(
            "recipient_rate_per_client", \.recipientRatePerClient,
            "RCPT commands a minute of one client; 0 is no limit."),
        .init("client_prefix_ipv4", \.clientPrefixIPv4, "Leading bits of an IPv4 address that make one client."),
        .init("client_prefix_ipv6", \.clientPrefixIPv6, "Leading bits of an IPv6 address that make one client."),
    ]

    /// What is left to clients that come under stress.
    package var underStress: SessionLimits {
        var limits = self
        limits.commandTimeout = min(self.commandTimeout, self.stressTimeout)
        limits.dataTimeout = min(self.dataTimeout, self.stressTimeout)
        return limits
    }

    package func validate() throws(OptionProblem) {
        guard self.commandLine.bytes >= 512 else { throw OptionProblem("command_line is below the 512B of RFC 5321") }
        guard self.recipients >= 100 else { throw OptionProblem("recipients is below the 100 of RFC 5321") }
        guard self.minimumDataRate.bytes > 0 else { throw OptionProblem("minimum_data_rate must not be 0") }
        guard (0...32).contains(self.clientPrefixIPv4), (0...128).contains(self.clientPrefixIPv6) else {
            throw OptionProblem("client_prefix_ipv4 is 0 to 32, client_prefix_ipv6 0 to 128")
        }
    }
}
