/// Why something was decided: what the log, `postern explain` and the reply's reference lead to (DESIGN §5).
package struct Reason: Hashable, Sendable {
    /// The list: `client`, `helo`, `recipient`, `header_checks`, `attachments`, ...
    package var stage: String
    /// As it is written in the list, or the name of a class of checks.
    package var restriction: String
    /// `TYPE:NAME`, if a table decided.
    package var table: String?
    /// Where the rule stands; the configuration's own place if no table decided.
    package var file: String?
    package var line: Int?
    /// What was looked up.
    package var key: String?
    /// What the rule says, or the list that has the client.
    package var value: String?
    /// Answers that the decision rests on: `NAME TYPE -> ANSWER`.
    package var facts: [String] = []

    package init(stage: String, restriction: String) {
        self.stage = stage
        self.restriction = restriction
    }

    /// `FILE:LINE`
    package var place: String? { self.file.map { file in self.line.map { "\(file):\($0)" } ?? file } }
}
