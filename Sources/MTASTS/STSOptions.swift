package import Mail

/// MTA-STS for mail that is sent (RFC 8461).
package struct STSOptions: Options, OptionValue {
    package var entries = 10_000
    package var timeout = Duration.seconds(60)
    package var refresh = Duration.seconds(86_400)
    package var retry = Duration.seconds(300)
    package var concurrency = 16
    package var authorities: String?
    package var port = 443
    package var allowLoopback = false

    package init() {}

    package static let summary =
        "Policies of domains for mail to them (MTA-STS, RFC 8461): fetched by HTTPS and kept. Whether they are asked for "
        + "says `mta_sts` in `forwarder.tls`."

    package static let fields: [OptionField<Self>] = [
        .init(
            "entries", \.entries,
            "Policies that are kept at most; those that expire first go first. Changed by a restart."),
        .init("timeout", \.timeout, "How long fetching one may take; mail for its domain waits for the first."),
        .init(
            "refresh", \.refresh,
            "A policy that is older is fetched anew beside the mail that it is used for, though its record is the same."
        ),
        .init("retry", \.retry, "How long it is not tried again when it failed; `5m` at least."),
        .init("concurrency", \.concurrency, "Policies that are fetched at the same time."),
        .init(
            "authorities", \.authorities,
            "A PEM file with the authorities of servers that have policies, of the mail servers that policies name, and "
                + "of servers that reports are posted to, instead of the system's."),
        .init("port", \.port, "The port of the servers of policies: for tests."),
        .init(
            "allow_loopback", \.allowLoopback,
            "Whether servers of policies may have addresses of this host and link: for tests."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.entries > 0, self.concurrency > 0 else {
            throw OptionProblem("entries and concurrency must not be 0")
        }
        guard self.timeout > .zero, self.refresh > .zero else {
            throw OptionProblem("timeout and refresh must not be 0")
        }
        // RFC 8461 §3.3.
        guard self.retry >= .seconds(300) else { throw OptionProblem("retry must be five minutes at least") }
        guard (1...65_535).contains(self.port) else { throw OptionProblem("port is 1 to 65535") }
    }
}
