package import Mail

/// Telling domains how sessions with their servers went.
package struct TLSReportOptions: ReportOptions {
    package static let emailKey = "contact"

    package var enabled = false
    package var organization: String?
    package var email: Mailbox?
    package var from: Mailbox?
    package var reversePath: Mailbox?
    /// RFC 8460 §4.1 wants some hours behind midnight.
    package var hour = 2
    /// RFC 8460 §5.5 has senders try for a day.
    package var days = 2
    /// Only failures have many.
    package var rows = 1000
    package var domains = 10_000

    package init() {}

    package static let summary =
        "TLS reports to domains that ask for them: once a day, how sessions with their servers went (RFC 8460). Those that "
        + "go by mail need a DKIM signature, or their readers pass over them."

    package static let fields = Self.firstFields + Self.lastFields
}
