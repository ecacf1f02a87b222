/// What the screener looks at (SEMANTICS §1). The names are those of log, configuration and status.
package enum ScreeningTest: String, CaseIterable, Hashable, Sendable, Codable {
    /// Whether the client waits for the greeting.
    case pregreet
    /// The score of DNS block and allow lists.
    case dnsbl
    /// Whether it waits for replies where it must (RFC 2920).
    case pipelining
    /// Whether it speaks SMTP and not HTTP or message headers.
    case nonSMTP = "non_smtp"
    /// Whether its lines end in CRLF.
    case bareNewline = "bare_newline"

    /// Those that are decided before the greeting.
    package var isEarly: Bool { self == .pregreet || self == .dnsbl }
}

/// What happens to a client that fails a test.
package enum ScreeningAction: String, CaseIterable, Hashable, Sendable, OptionValue {
    /// The failure is logged, and the test repeated at the next connection.
    case ignore
    /// Recipients are refused, so that they and the sender are in the log.
    case enforce
    /// It is told 521, and the connection ends.
    case drop
}
