import PCRE

/// A table of patterns in Postfix's pcre_table(5) or regexp_table(5) format: of the lines whose pattern matches, the
/// first counts (SEMANTICS §5).
///
/// Keys are octets and are not folded. Postfix skips a line that it does not understand; here such a line is a problem
/// of the whole table, because whoever wrote it counts on it.
package struct PatternTable: Sendable {
    package enum Kind: String, Sendable {
        /// PCRE2.
        case pcre
        /// `regcomp` of the C library; a pattern that refers back to a group is refused, as it has no bound in time.
        case regexp
    }

    package struct Entry: Sendable {
        /// The patterns with their flags, as they are written.
        package let rule: String
        /// As it is written: without what groups capture.
        package let result: String
        package let line: Int
        let second: PatternMatcher?
        let expansion: PatternResult
    }

    /// What a look-up does, in the order of the lines. It holds no references, for most steps are over with a glance.
    struct Step: Sendable {
        enum Action: Sendable {
            case entry(Int)
            /// `if`, and the step behind its `endif`.
            case condition(end: Int)

            /// Where a look-up goes on behind a step at a place, if the step counts for nothing.
            func behind(_ place: Int) -> Int {
                switch self {
                case .entry: place + 1
                case .condition(let end): end
                }
            }
        }

        let line: Int
        let prefix: PatternPrefix
        let isNegated: Bool
        var action: Action
    }

    package let kind: Kind
    private let steps: [Step]
    /// The pattern of each step.
    private let matchers: [PatternMatcher]
    /// In the order of their lines, so that their results can be checked before they are used.
    package let entries: [Entry]
    /// What is allowed and probably not meant.
    package let warnings: [TableProblem]

    /// Reads a whole table.
    ///
    /// - Throws: every problem of the table, not only the first.
    package init(text: String, kind: Kind) throws(TableProblems) {
        var problems: [TableProblem] = []
        var builder = Builder(kind: kind)
        for logical in TextTable.logicalLines(of: text, problems: &problems) {
            do { try builder.add(logical) } catch {
                problems.append(TableProblem(line: logical.line, message: error.message))
            }
        }
        problems += builder.unendedLines.map { TableProblem(line: $0, message: "an 'if' without 'endif'") }
        guard problems.isEmpty else { throw TableProblems(list: problems.sorted { $0.line < $1.line }) }
        self.kind = kind
        self.steps = builder.steps
        self.matchers = builder.matchers
        self.entries = builder.entries
        self.warnings = builder.warnings.sorted { $0.line < $1.line }
    }

    /// What the first entry says whose pattern matches.
    ///
    /// - Parameter faults: gets a fault for each pattern that reached a limit; it counts as one that does not match,
    ///   and an `if` with it is not entered.
    ///
    /// - Parameter skipped: lines whose patterns are not tried: they count as those that reach a limit.
    package func lookup(
        _ octets: UnsafeRawBufferPointer, skipping skipped: Set<Int> = [], faults: inout [TableFault]
    ) -> TableMatch? {
        Workspace.use { workspace in
            let prefix = PatternPrefix.Key(octets)
            var attempt = PatternAttempt(octets, workspace)
            defer { faults += attempt.faults }
            var place = 0
            while place < self.steps.count {
                let step = self.steps[place]
                if !skipped.isEmpty, skipped.contains(step.line) {
                    place = step.action.behind(place)
                    continue
                }
                switch step.action {
                case .entry(let number):
                    let isOpen = step.prefix.allows(prefix)
                    if isOpen || step.isNegated,
                        let match = self.match(number, isOpen ? self.matchers[place] : nil, step, &attempt)
                    {
                        return match
                    }
                    place += 1
                case .condition(let end):
                    let isMatch =
                        step.prefix.allows(prefix)
                        ? self.matchers[place].matches(&attempt, line: step.line) : step.isNegated
                    place = isMatch ? place + 1 : end
                }
            }
            return nil
        }
    }

    /// - Parameter first: nil if it is known to match, and to capture nothing.
    private func match(
        _ number: Int, _ first: PatternMatcher?, _ step: Step, _ attempt: inout PatternAttempt
    ) -> TableMatch? {
        let entry = self.entries[number]
        let groups = entry.expansion.highestGroup
        if let first, !first.matches(&attempt, line: step.line, groups: groups) { return nil }
        let captures = groups > 0 ? (0...groups).map { first?.capture($0, attempt) } : []
        if let second = entry.second, !second.matches(&attempt, line: step.line) { return nil }
        let value = entry.expansion.expanded { captures[$0] }
        return TableMatch(value: value, line: entry.line, rule: entry.rule)
    }
}
