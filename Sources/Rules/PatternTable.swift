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
        let first: PatternMatcher
        let second: PatternMatcher?
        let expansion: PatternResult
    }

    /// What a look-up does, in the order of the lines.
    enum Step: Sendable {
        case entry(Entry)
        /// `if`, and the step behind its `endif`.
        case condition(PatternMatcher, line: Int, end: Int)
    }

    package let kind: Kind
    private let steps: [Step]
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
        self.warnings = builder.warnings.sorted { $0.line < $1.line }
    }

    /// All entries in the order of their lines, so that their results can be checked before they are used.
    package var entries: [Entry] {
        self.steps.compactMap {
            switch $0 {
            case .entry(let entry): entry
            case .condition: nil
            }
        }
    }

    /// What the first entry says whose pattern matches.
    ///
    /// - Parameter faults: gets a fault for each pattern that reached a limit; it counts as one that does not match,
    ///   and an `if` with it is not entered.
    package func lookup(_ octets: UnsafeRawBufferPointer, faults: inout [TableFault]) -> TableMatch? {
        Workspace.use { workspace in
            var attempt = PatternAttempt(workspace)
            var place = 0
            while place < self.steps.count {
                switch self.steps[place] {
                case .entry(let entry):
                    if let match = entry.match(octets, &attempt, &faults) { return match }
                    place += 1
                case .condition(let matcher, let line, let end):
                    let isMatch = matcher.matches(octets, &attempt)
                    if isMatch == nil { faults.append(TableFault(line: line, message: attempt.reason)) }
                    place = isMatch == true ? place + 1 : end
                }
            }
            return nil
        }
    }
}

extension PatternTable.Entry {
    fileprivate func match(
        _ octets: UnsafeRawBufferPointer, _ attempt: inout PatternAttempt, _ faults: inout [TableFault]
    ) -> TableMatch? {
        guard self.matches(octets, &attempt, &faults, self.first, groups: self.expansion.highestGroup) else {
            return nil
        }
        let captured = attempt
        if let second = self.second, !self.matches(octets, &attempt, &faults, second) { return nil }
        let value = self.expansion.expanded { self.first.capture($0, of: octets, captured) }
        return TableMatch(value: value, line: self.line, rule: self.rule)
    }

    private func matches(
        _ octets: UnsafeRawBufferPointer, _ attempt: inout PatternAttempt, _ faults: inout [TableFault],
        _ matcher: PatternMatcher, groups: Int = 0
    ) -> Bool {
        if let isMatch = matcher.matches(octets, &attempt, groups: groups) { return isMatch }
        faults.append(TableFault(line: self.line, message: attempt.reason))
        return false
    }
}
