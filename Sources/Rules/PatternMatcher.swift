import PCRE

/// A pattern of a table, ready to be tried.
struct PatternMatcher: Sendable {
    private enum Engine: Sendable {
        case pcre(Pattern)
        case posix(POSIXPattern)
    }

    private let engine: Engine
    let isNegated: Bool
    let groupCount: Int

    /// - Parameter capturing: whether the result needs what groups capture.
    init(_ text: PatternText, _ kind: PatternTable.Kind, capturing: Bool) throws(PatternSyntaxError) {
        self.isNegated = text.isNegated
        switch kind {
        case .pcre:
            let pattern = try Self.pcre(text)
            self.engine = .pcre(pattern)
            self.groupCount = pattern.captureCount
        case .regexp:
            let pattern = try Self.posix(text, capturing: capturing)
            self.engine = .posix(pattern)
            self.groupCount = pattern.captureCount
        }
    }

    /// Postfix's flags turn over what it has set: letters of any case, and `.` for all characters.
    private static func pcre(_ text: PatternText) throws(PatternSyntaxError) -> Pattern {
        var options: Pattern.Options = [.caseless, .dotAll]
        let flags: [(Unicode.Scalar, Pattern.Options)] = [
            ("i", .caseless), ("m", .multiline), ("s", .dotAll), ("x", .extended), ("A", .anchored),
            ("E", .dollarEndOnly), ("U", .ungreedy),
        ]
        for (flag, option) in flags where text.has(flag) { options.formSymmetricDifference(option) }
        do {
            return try Pattern(text.pattern, options: options)
        } catch {
            throw PatternSyntaxError("\(error.message), at offset \(error.offset) of the pattern '\(text.pattern)'")
        }
    }

    private static func posix(_ text: PatternText, capturing: Bool) throws(PatternSyntaxError) -> POSIXPattern {
        var options: POSIXPattern.Options = [.extended, .caseless]
        if !capturing { options.insert(.withoutCaptures) }
        let flags: [(Unicode.Scalar, POSIXPattern.Options)] = [("i", .caseless), ("m", .newline), ("x", .extended)]
        for (flag, option) in flags where text.has(flag) { options.formSymmetricDifference(option) }
        do {
            return try POSIXPattern(text.pattern, options: options)
        } catch {
            switch error {
            case .syntax(let message): throw PatternSyntaxError("\(message) in the pattern '\(text.pattern)'")
            case .backReference:
                throw PatternSyntaxError(
                    "'\(text.pattern)' refers back to a group, for which regexp: has no bound in time: "
                        + "put the table into a pcre: file")
            case .tooLarge:
                throw PatternSyntaxError(
                    "'\(text.pattern)' repeats too much for regexp:: put the table into a pcre: file")
            }
        }
    }

    /// What could not be decided does not match, negated or not, and is a fault.
    ///
    /// - Parameter groups: how many of what it captures are asked for.
    func matches(_ attempt: inout PatternAttempt, line: Int, groups: Int = 0) -> Bool {
        switch self.engine {
        case .pcre(let pattern):
            switch pattern.match(attempt.octets, in: attempt.workspace) {
            case .matched: return !self.isNegated
            case .unmatched: return self.isNegated
            case .undecided(let reason):
                attempt.faults.append(TableFault(line: line, message: reason))
                return false
            }
        case .posix(let pattern):
            attempt.captures = groups > 0 ? Array(repeating: nil, count: groups + 1) : []
            switch pattern.match(attempt.octets, captures: &attempt.captures) {
            case .matched: return !self.isNegated
            case .unmatched: return self.isNegated
            case .undecided(let reason):
                attempt.add(TableFault(line: line, message: reason))
                return false
            }
        }
    }

    /// What a group has captured of the octets that matched last.
    func capture(_ number: Int, _ attempt: PatternAttempt) -> UnsafeRawBufferPointer? {
        let range: Range<Int>?
        switch self.engine {
        case .pcre: range = attempt.workspace.capture(number)
        case .posix: range = number < attempt.captures.count ? attempt.captures[number] : nil
        }
        return range.map { UnsafeRawBufferPointer(rebasing: attempt.octets[$0]) }
    }
}

/// What is kept while a look-up goes through a table.
struct PatternAttempt {
    let octets: UnsafeRawBufferPointer
    let workspace: Workspace
    /// Of a pattern of the C library.
    var captures: [Range<Int>?] = []
    var faults: [TableFault] = []

    init(_ octets: UnsafeRawBufferPointer, _ workspace: Workspace) {
        self.octets = octets
        self.workspace = workspace
    }

    /// A key that is too long is so for every pattern: that is told once.
    mutating func add(_ fault: TableFault) {
        guard !self.faults.contains(where: { $0.message == fault.message }) else { return }
        self.faults.append(fault)
    }
}
