package import Mail

package struct LogOptions: Options, OptionValue {
    package enum Target: String, CaseIterable, OptionValue {
        /// The journal, if standard error is connected to it.
        case auto
        case stderr, journal
    }

    package enum Format: String, CaseIterable, OptionValue { case text, json }

    package enum Level: String, CaseIterable, OptionValue { case debug, info, notice, warning, error }

    package var target = Target.auto
    package var format = Format.text
    package var level = Level.info

    package init() {}

    package static let summary = "The log. `LOG.md` has every event and key of it."

    package static let fields: [OptionField<Self>] = [
        .init(
            "target", \.target,
            "Standard error, or the journal with a field for each key (`POSTERN_FROM` and so on). `auto` is the journal if "
                + "standard error goes there. Changed by a restart."),
        .init(
            "format", \.format,
            "On standard error: a line of key=value pairs for each event, or a JSON object. Changed by a restart."),
        .init("level", \.level, "What is told besides mail events, which always are."),
    ]
}

/// The daily report of `postern report --mail`.
package struct DailyReportOptions: Options, OptionValue {
    package var to: [Mailbox] = []
    package var from: Mailbox?
    /// Rows of a table at most: what fits on a page or two.
    package var top = 20

    package init() {}

    package static let summary = "What `postern report --mail` sends, and to whom."

    package static let fields: [OptionField<Self>] = [
        .init("to", \.to, "Who gets the daily report; by default nobody."),
        .init("from", \.from, "Its author; by default `postmaster` at `hostname`."),
        .init("top", \.top, "Rows of each table at most."),
    ]

    package func validate() throws(OptionProblem) {
        guard 1...1000 ~= self.top else { throw OptionProblem("top is not between 1 and 1000") }
    }
}
