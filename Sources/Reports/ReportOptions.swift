package import Mail

/// What is set for daily reports of each kind.
package protocol ReportOptions: Options, OptionValue {
    /// The key of `email`.
    static var emailKey: String { get }

    var enabled: Bool { get set }
    /// Who reports; nil for our name.
    var organization: String? { get set }
    /// Whom to ask about reports; there is one if they are enabled.
    var email: Mailbox? { get set }
    var from: Mailbox? { get set }
    var reversePath: Mailbox? { get set }
    /// Full hours behind the end of a day.
    var hour: Int { get set }
    var days: Int { get set }
    /// What is kept at most: rows of a domain and day, and domains of a day.
    var rows: Int { get set }
    var domains: Int { get set }
}

extension ReportOptions {
    /// The first keys of the group.
    static var firstFields: [OptionField<Self>] {
        [
            .init("enabled", \.enabled, "Collect results and send reports."),
            .init("org_name", \.organization, "Who reports; by default `hostname`."),
            .init(Self.emailKey, \.email, "Whom to ask about reports; needed if reports are enabled."),
        ]
    }

    /// The last keys of the group.
    static var lastFields: [OptionField<Self>] {
        [
            .init(
                "from", \.from,
                "The author of reports; by default `\(Self.emailKey)`. Its domain should have SPF, DKIM and DMARC records."
            ),
            .init(
                "reverse_path", \.reversePath,
                "Where notices go when a report cannot be delivered; by default nowhere: reports are sent from the null "
                    + "reverse-path."),
            .init(
                "hour", \.hour, "Full hours after midnight UTC from which on reports of the day before are made."),
            .init("days", \.days, "For how many days a report is tried again; older results are thrown away."),
            .init("rows", \.rows, "Different rows of a report, above which results are not counted."),
            .init("domains", \.domains, "Domains of a day, above which results are not counted."),
        ]
    }

    package func validate() throws(OptionProblem) {
        if self.enabled, self.email == nil { throw OptionProblem("reports need '\(Self.emailKey)'") }
        guard 0...22 ~= self.hour else { throw OptionProblem("hour is not between 0 and 22") }
        guard 1...30 ~= self.days else { throw OptionProblem("days is not between 1 and 30") }
        guard self.rows > 0, self.domains > 0 else { throw OptionProblem("rows and domains must be above 0") }
        for mailbox in self.mailboxes where !mailbox.isASCII { throw OptionProblem("'\(mailbox)' is not ASCII") }
    }

    /// Our own: what is sent there and comes from there is about reports.
    package var mailboxes: [Mailbox] { [self.email, self.from, self.reversePath].compactMap { $0 } }

    /// Who writes reports; nil if nobody can be asked about them.
    package var author: Mailbox? { self.from ?? self.email }

    var envelopeSender: ReversePath { self.reversePath.map { .mailbox($0) } ?? .null }

    /// Nil if nobody can be asked about reports.
    func reporter(hostname: String, extraContact: String? = nil) -> Reporter? {
        self.email.map {
            Reporter(
                hostname: hostname, organization: self.organization ?? hostname, email: "\($0)",
                extraContact: extraContact)
        }
    }

    func schedule(hostname: String) -> ReportSchedule {
        ReportSchedule(hour: self.hour, days: self.days, hostname: hostname)
    }

    var storeSettings: DailyStoreSettings {
        var settings = DailyStoreSettings()
        settings.rowsPerGroup = self.rows
        settings.groupsPerDay = self.domains
        settings.days = self.days
        return settings
    }
}
