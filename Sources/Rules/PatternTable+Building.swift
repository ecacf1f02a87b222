import Mail

extension PatternTable {
    /// Makes steps of lines.
    struct Builder {
        /// The patterns of an entry.
        private struct Patterns: Hashable {
            let first: PatternText
            let second: PatternText?
        }

        /// The table, or what stands between `if` and `endif`.
        private struct Block {
            let line: Int
            /// The step of the condition; nil if it could not be read.
            var condition: Int?
            /// The entries in this block that no `if` inside it may skip, with their lines.
            var certain: [Patterns: Int] = [:]
            /// The first of them that matches everything.
            var end: Int?
            var hasToldOfEnd = false
        }

        private let kind: Kind
        private(set) var steps: [Step] = []
        private(set) var matchers: [PatternMatcher] = []
        private(set) var entries: [Entry] = []
        private(set) var warnings: [TableProblem] = []
        /// From the table to the innermost block.
        private var blocks = [Block(line: 0)]

        init(kind: Kind) {
            self.kind = kind
        }

        var unendedLines: [Int] { self.blocks.dropFirst().map(\.line) }

        mutating func add(_ logical: TextTable.LogicalLine) throws(PatternSyntaxError) {
            self.warnings += logical.gluedLineWarnings { PatternLine.looksLikeRule($0, self.kind) }
            // A block begins and ends with its keywords, even if their lines cannot be read.
            var scanner = ByteScanner(logical.text)
            if scanner.skipKeyword("endif") {
                try self.endBlock()
                // Nothing may stand behind it.
                _ = try PatternLine(logical.text, self.kind)
            } else if scanner.skipKeyword("if") {
                self.blocks.append(Block(line: logical.line))
                try self.addLine(logical)
            } else {
                try self.addLine(logical)
            }
        }

        private mutating func addLine(_ logical: TextTable.LogicalLine) throws(PatternSyntaxError) {
            switch try PatternLine(logical.text, self.kind) {
            case .entry(let first, let second, let rule, let result):
                try self.addEntry(Patterns(first: first, second: second), rule, result, line: logical.line)
            case .condition(let text):
                self.warnOfFlags(text, line: logical.line)
                let matcher = try PatternMatcher(text, self.kind, capturing: false)
                self.blocks[self.blocks.count - 1].condition = self.steps.count
                // Its end is put in with `endif`.
                self.append(.condition(end: 0), text, matcher, line: logical.line)
            case .end: break
            }
        }

        private mutating func endBlock() throws(PatternSyntaxError) {
            guard self.blocks.count > 1, let block = self.blocks.popLast() else {
                throw PatternSyntaxError("an 'endif' without 'if'")
            }
            if let step = block.condition { self.steps[step].action = .condition(end: self.steps.count) }
        }

        private mutating func addEntry(
            _ patterns: Patterns, _ rule: String, _ result: String, line: Int
        ) throws(PatternSyntaxError) {
            let expansion = try PatternResult(result)
            let highest = expansion.highestGroup
            if highest > 0, patterns.first.isNegated {
                throw PatternSyntaxError("'$\(highest)' behind a pattern with '!', which captures nothing")
            }
            let first = try PatternMatcher(patterns.first, self.kind, capturing: highest > 0)
            var second: PatternMatcher?
            if let text = patterns.second { second = try PatternMatcher(text, self.kind, capturing: false) }
            guard highest <= first.groupCount else {
                throw PatternSyntaxError("'$\(highest)' behind a pattern with \(first.groupCount) groups")
            }
            if result.isEmpty { self.warn(line, "a pattern without result: the result is empty") }
            self.warnOfFlags(patterns.first, line: line)
            if let second = patterns.second { self.warnOfFlags(second, line: line) }
            self.warnIfHidden(patterns, line: line)
            self.append(.entry(self.entries.count), patterns.first, first, line: line)
            self.entries.append(
                Entry(rule: rule, result: result, line: line, second: second, expansion: expansion))
        }

        private mutating func append(_ action: Step.Action, _ text: PatternText, _ matcher: PatternMatcher, line: Int) {
            self.steps.append(
                Step(
                    line: line, prefix: PatternPrefix(text, self.kind), isNegated: text.isNegated, action: action))
            self.matchers.append(matcher)
        }
    }
}

/// Warnings.
extension PatternTable.Builder {
    private mutating func warn(_ line: Int, _ message: String) {
        self.warnings.append(TableProblem(line: line, message: message))
    }

    private mutating func warnOfFlags(_ text: PatternText, line: Int) {
        if text.has("i") {
            self.warn(line, "the flag i turns over what is set: capital and small letters are told apart")
        }
        if text.has("X") { self.warn(line, "the flag X means nothing any more") }
    }

    private mutating func warnIfHidden(_ patterns: Patterns, line: Int) {
        let last = self.blocks.count - 1
        if let earlier = self.blocks.lazy.compactMap({ $0.certain[patterns] }).first {
            self.warn(line, "it never counts: line \(earlier) has the same pattern")
        } else if let place = self.blocks.firstIndex(where: { $0.end != nil }), let end = self.blocks[place].end,
            !self.blocks[place].hasToldOfEnd
        {
            self.blocks[place].hasToldOfEnd = true
            self.warn(line, "it never counts, nor does any line after it: line \(end) matches everything")
        }
        if self.blocks[last].certain[patterns] == nil { self.blocks[last].certain[patterns] = line }
        if patterns.second == nil, patterns.first.matchesEverything, self.blocks[last].end == nil {
            self.blocks[last].end = line
        }
    }
}

extension PatternText {
    /// Whether it matches every key, none of which is empty.
    fileprivate var matchesEverything: Bool {
        guard !self.isNegated else { return false }
        return ["", "^", "$", "^.", ".", ".$", ".*", "^.*", ".*$", "^.*$", ".+", "^.+", ".+$", "^.+$"]
            .contains(self.pattern)
    }
}
