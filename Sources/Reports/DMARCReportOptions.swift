package import Mail

/// Telling domains what was seen of mail in their name.
package struct DMARCReportOptions: Options, OptionValue {
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

    package static let fields: [OptionField<Self>] = [
        .init("enabled", \.enabled, "Collect results and send reports."),
        .init("org_name", \.organization, "Who reports; by default `hostname`."),
        .init("email", \.email, "Whom to ask about reports; needed if reports are enabled."),
        .init("extra_contact", \.extraContact, "Where more can be found, such as a web page."),
        .init(
            "from", \.from,
            "The author of reports; by default `email`. Its domain should have SPF, DKIM and DMARC records."),
        .init(
            "reverse_path", \.reversePath,
            "Where notices go when a report cannot be delivered; by default nowhere: reports are sent from the null "
                + "reverse-path."),
        .init("hour", \.hour, "Full hours after midnight UTC from which on reports of the day before are made."),
        .init("days", \.days, "For how many days a report is tried again; older results are thrown away."),
        .init("rows", \.rows, "Different rows of a report, above which results are not counted."),
        .init("domains", \.domains, "Domains of a day, above which results are not counted."),
    ]

    package func validate() throws(OptionProblem) {
        if self.enabled, self.email == nil { throw OptionProblem("reports need an 'email'") }
        guard 0...22 ~= self.hour else { throw OptionProblem("hour is not between 0 and 22") }
        guard 1...30 ~= self.days else { throw OptionProblem("days is not between 1 and 30") }
        guard self.rows > 0, self.domains > 0 else { throw OptionProblem("rows and domains must be above 0") }
        for mailbox in [self.email, self.from, self.reversePath] where mailbox?.isASCII == false {
            throw OptionProblem("'\(mailbox.map { "\($0)" } ?? "")' is not ASCII")
        }
    }
}

extension DMARCReportOptions {
    /// Nil if nobody can be asked about reports.
    func reporter(hostname: String) -> AggregateReport.Reporter? {
        self.email.map {
            AggregateReport.Reporter(
                hostname: hostname, organization: self.organization ?? hostname, email: "\($0)",
                extraContact: self.extraContact)
        }
    }

    var storeSettings: DailyStoreSettings {
        var settings = DailyStoreSettings()
        settings.rowsPerGroup = self.rows
        settings.groupsPerDay = self.domains
        settings.days = self.days
        return settings
    }
}
