package import Mail

/// Telling domains what was seen of mail in their name.
package struct DMARCReportOptions: ReportOptions {
    package static let emailKey = "email"

    package var enabled = false
    package var organization: String?
    package var email: Mailbox?
    package var extraContact: String?
    package var from: Mailbox?
    package var reversePath: Mailbox?
    package var hour = 1
    package var days = 7
    package var rows = 10_000
    package var domains = 10_000

    package init() {}

    package static let summary =
        "Aggregate reports to domains that ask for them: once a day, what was seen of mail in their name (RFC 7489 §7.2)."

    package static let fields =
        Self.firstFields
        + [.init("extra_contact", \.extraContact, "Where more can be found, such as a web page.")]
        + Self.lastFields
}
