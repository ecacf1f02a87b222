import Mail

/// What the tables say to a field or line.
struct FoundRule {
    let table: RuleTable
    let match: TableMatch
    let text: String
    let isDecoded: Bool
}

extension ContentChecks {
    /// Asks of the open field as it is, and if nothing is said to that, of its decoded form.
    mutating func findField(_ contentClass: ContentClass) -> FoundRule? {
        guard !self.rules[contentClass].isEmpty else { return nil }
        let field = self.framing.field
        if let found = field.withUnsafeBytes({ self.find($0, in: contentClass) }) { return found }
        guard let decoded = self.rules.decode?(field), decoded != field, !decoded.isEmpty else { return nil }
        return decoded.withUnsafeBytes { self.find($0, in: contentClass, isDecoded: true) }
    }

    /// The first rule of the first table that says anything.
    mutating func find(
        _ text: UnsafeRawBufferPointer, in contentClass: ContentClass, isDecoded: Bool = false
    ) -> FoundRule? {
        for table in self.rules[contentClass] {
            var faults: [TableFault] = []
            let match = table.lookup(octets: text, skipping: self.givenUp[table.name] ?? [], faults: &faults)
            for fault in faults { self.count(fault, of: table) }
            guard let match else { continue }
            return FoundRule(
                table: table, match: match, text: ContentMatch.shown(text), isDecoded: isDecoded)
        }
        return nil
    }

    /// Notes that a rule matched, and what it says about the message.
    ///
    /// - Returns: what to do; nil if the rule does not make sense.
    mutating func note(_ found: FoundRule, in contentClass: ContentClass) -> ContentAction? {
        do {
            let text = try ContentAction.Text(found.match.value)
            let action = try ContentAction(text, for: contentClass)
            self.remember(text, found, in: contentClass, isLast: action.endsInspection)
            self.apply(action)
            return action
        } catch {
            self.report(error.message, line: found.match.line, of: found.table)
            return nil
        }
    }

    private mutating func apply(_ action: ContentAction) {
        switch action {
        case .next, .remove, .prepend, .replace, .pass: break
        case .hold: self.outcome.isHeld = true
        case .filter(let destination): self.outcome.filter = destination
        case .redirect(let mailbox): self.outcome.redirect = mailbox
        case .discard: self.outcome.verdict = .discard
        case .reject(let reply): self.outcome.verdict = .reject(reply)
        case .bcc(let mailbox):
            guard self.outcome.blindCopies.count < ContentOutcome.limit,
                !self.outcome.blindCopies.contains(mailbox)
            else { return }
            self.outcome.blindCopies.append(mailbox)
        }
    }

    private mutating func remember(
        _ text: ContentAction.Text, _ found: FoundRule, in contentClass: ContentClass, isLast: Bool
    ) {
        self.outcome.matchCount += 1
        guard isLast || self.outcome.matches.count < ContentOutcome.limit else { return }
        self.outcome.matches.append(
            ContentMatch(
                contentClass: contentClass, isDecoded: found.isDecoded, table: found.table.name,
                file: found.table.file, line: found.match.line, rule: found.match.rule, action: text.name,
                argument: text.argument.printable(maximumBytes: ContentMatch.maximumTextBytes), text: found.text))
    }

    // MARK: - Faults

    private mutating func count(_ fault: TableFault, of table: RuleTable) {
        let place = PatternPlace(table: table.name, line: fault.line)
        let count = (self.patternFaults[place] ?? 0) + 1
        guard count > 1 || self.patternFaults.count < ContentOutcome.limit else { return }
        self.patternFaults[place] = count
        if count == ContentOutcome.reportedPatternFaults {
            self.report(fault.message, line: fault.line, of: table)
        }
        if count == ContentOutcome.mostPatternFaults { self.givenUp[table.name, default: []].insert(fault.line) }
    }

    /// Each once.
    private mutating func report(_ message: String, line: Int, of table: RuleTable) {
        let fault = ContentRuleFault(table: table.name, file: table.file, line: line, message: message)
        guard self.outcome.faults.count < ContentOutcome.limit, !self.outcome.faults.contains(fault) else { return }
        self.outcome.faults.append(fault)
    }
}

extension ContentMatch {
    /// Printable, and cut: no more is decoded than can be shown.
    static func shown(_ text: UnsafeRawBufferPointer) -> String {
        String(decoding: text.prefix(Self.maximumTextBytes + 3), as: UTF8.self)
            .printable(maximumBytes: Self.maximumTextBytes)
    }
}
