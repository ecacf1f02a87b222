package import Mail

/// A table of networks in Postfix's cidr_table(5) format: of the lines that match an address, the first counts
/// (SEMANTICS §5).
///
/// Postfix skips a line that it does not understand; here such a line is a problem of the whole table, because
/// whoever wrote it counts on it.
package struct CIDRTable: Sendable {
    package struct Entry: Hashable, Sendable {
        package let value: String
        package let line: Int
    }

    /// What a look-up does, in the order of the lines.
    private enum Step: Sendable {
        /// Neighbouring lines without `!`.
        case entries(NetworkIndex<Entry>)
        case negatedEntry(CIDRPattern, Entry)
        /// `if`, and the step behind its `endif`.
        case condition(CIDRPattern, end: Int)
    }

    private let steps: [Step]
    /// All entries in the order of their lines, so that their values can be checked before they are used.
    package let entries: [Entry]
    /// Lines that never count because one line before them, under no other condition, matches all that they match; and
    /// lines that look like rules, but continue the one before.
    package let warnings: [TableProblem]

    /// Reads a whole table.
    ///
    /// - Throws: every problem of the table, not only the first.
    package init(text: String) throws(TableProblems) {
        var problems: [TableProblem] = []
        var builder = Builder()
        for logical in TextTable.logicalLines(of: text, problems: &problems) {
            do { try builder.add(logical) } catch {
                problems.append(TableProblem(line: logical.line, message: error.message))
            }
        }
        builder.endEntries()
        problems += builder.unendedLines.map { TableProblem(line: $0, message: "an 'if' without 'endif'") }
        guard problems.isEmpty else { throw TableProblems(list: problems.sorted { $0.line < $1.line }) }
        self.steps = builder.steps
        self.entries = builder.all
        self.warnings = builder.warnings.sorted { $0.line < $1.line }
    }

    /// The first entry that matches; nil if there is none.
    package func lookup(_ address: IPAddress) -> Entry? {
        let alone = address.network(prefixLength: address.width)
        var place = 0
        while place < self.steps.count {
            switch self.steps[place] {
            case .entries(let index):
                if let entry = index.first(containing: alone) { return entry }
                place += 1
            case .negatedEntry(let pattern, let entry):
                if pattern.matches(address) { return entry }
                place += 1
            case .condition(let pattern, let end):
                place = pattern.matches(address) ? place + 1 : end
            }
        }
        return nil
    }
}

extension CIDRTable {
    /// Makes steps of lines.
    private struct Builder {
        /// The table, or what stands between `if` and `endif`.
        struct Block {
            let line: Int
            /// Where the condition goes; nil if it could not be read.
            var condition: (pattern: CIDRPattern, step: Int)?
            /// The lines of the entries in this block that no `if` inside it may skip.
            var certain = NetworkIndex<Int>()
        }

        private(set) var steps: [Step] = []
        private(set) var warnings: [TableProblem] = []
        private(set) var all: [Entry] = []
        private var entries = NetworkIndex<Entry>()
        private var table = Block(line: 0)
        /// From the outermost to the innermost.
        private var blocks: [Block] = []

        var unendedLines: [Int] { self.blocks.map(\.line) }

        mutating func add(_ logical: TextTable.LogicalLine) throws(CIDRSyntaxError) {
            self.warnings += logical.gluedLineWarnings(Self.looksLikeRule)
            var scanner = ByteScanner(logical.text)
            if scanner.skipKeyword("endif") {
                try self.endBlock(&scanner)
            } else if scanner.skipKeyword("if") {
                try self.beginBlock(&scanner, line: logical.line)
            } else {
                try self.addEntry(&scanner, line: logical.line)
            }
        }

        private static func looksLikeRule(_ text: String) -> Bool {
            var scanner = ByteScanner(text)
            if scanner.skipKeyword("endif") { return scanner.isAtEnd }
            let isCondition = scanner.skipKeyword("if")
            let isNegated = scanner.readNegation()
            let network = String(decoding: scanner.read { !ASCII.isBlank($0) }, as: UTF8.self)
            return scanner.isAtEnd == isCondition && (try? CIDRPattern(network, isNegated: isNegated)) != nil
        }

        /// Ends the run of entries that one index is for.
        mutating func endEntries() {
            guard !self.entries.isEmpty else { return }
            self.steps.append(.entries(self.entries))
            self.entries = NetworkIndex()
        }

        private mutating func beginBlock(_ scanner: inout ByteScanner, line: Int) throws(CIDRSyntaxError) {
            self.endEntries()
            self.blocks.append(Block(line: line))
            let isNegated = scanner.readNegation()
            let text = String(decoding: scanner.readAll(), as: UTF8.self)
            if text.utf8.contains(where: ASCII.isBlank) {
                throw CIDRSyntaxError(
                    "an 'if' takes a network and no value: '\(text)' (lines that begin with a blank continue it)")
            }
            let pattern = try CIDRPattern(text, isNegated: isNegated)
            self.blocks[self.blocks.count - 1].condition = (pattern, self.steps.count)
            // Its end is put in with `endif`.
            self.steps.append(.condition(pattern, end: 0))
        }

        private mutating func endBlock(_ scanner: inout ByteScanner) throws(CIDRSyntaxError) {
            self.endEntries()
            guard let block = self.blocks.popLast() else { throw CIDRSyntaxError("an 'endif' without 'if'") }
            if let (pattern, step) = block.condition {
                self.steps[step] = .condition(pattern, end: self.steps.count)
            }
            guard scanner.isAtEnd else { throw CIDRSyntaxError("text behind 'endif'") }
        }

        private mutating func addEntry(_ scanner: inout ByteScanner, line: Int) throws(CIDRSyntaxError) {
            let isNegated = scanner.readNegation()
            let text = String(decoding: scanner.read { !ASCII.isBlank($0) }, as: UTF8.self)
            let pattern = try CIDRPattern(text, isNegated: isNegated)
            _ = scanner.read(while: ASCII.isBlank)
            guard !scanner.isAtEnd else { throw CIDRSyntaxError("a network without value: '\(text)'") }
            let entry = Entry(value: String(decoding: scanner.readAll(), as: UTF8.self), line: line)
            self.all.append(entry)
            self.warnIfCovered(pattern, line: line)
            if isNegated {
                self.endEntries()
                self.steps.append(.negatedEntry(pattern, entry))
            } else {
                self.entries.append(entry, for: pattern.network)
                if self.blocks.isEmpty {
                    self.table.certain.append(line, for: pattern.network)
                } else {
                    self.blocks[self.blocks.count - 1].certain.append(line, for: pattern.network)
                }
            }
        }

        private mutating func warnIfCovered(_ pattern: CIDRPattern, line: Int) {
            let base = pattern.network.base
            let reach = pattern.isNegated ? base.network(prefixLength: 0) : pattern.network
            let covering = ([self.table] + self.blocks).lazy.compactMap { $0.certain.first(containing: reach) }.first
            guard let covering else { return }
            self.warnings.append(
                TableProblem(line: line, message: "'\(pattern)' never counts: line \(covering) matches all of it"))
        }
    }
}
