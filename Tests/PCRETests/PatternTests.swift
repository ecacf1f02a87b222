import PCRE
import Testing

struct PatternTests {
    private func match(_ pattern: Pattern, _ subject: [UInt8]) -> (outcome: Pattern.Outcome, captures: [Range<Int>?]) {
        Workspace.use { workspace in
            let outcome = subject.withUnsafeBytes { pattern.match($0, in: workspace) }
            return (outcome, (0...pattern.captureCount).map { workspace.capture($0) })
        }
    }

    private func matches(_ text: String, _ options: Pattern.Options = [], _ subject: String) throws -> Bool {
        self.match(try Pattern(text, options: options), Array(subject.utf8)).outcome == .matched
    }

    @Test func `what groups capture is found, and a group without part is not`() throws {
        let pattern = try Pattern("(a)|(b)(c*)", options: [])
        let (outcome, captures) = self.match(pattern, Array("xb".utf8))
        #expect(outcome == .matched)
        #expect(captures == [1..<2, nil, 1..<2, 2..<2])
    }

    @Test func `more groups than there was room for are captured`() throws {
        let pattern = try Pattern(String(repeating: "(a)", count: 100), options: [])
        let captures = self.match(pattern, [UInt8](repeating: 0x61, count: 100)).captures
        #expect(captures[100] == 99..<100)
    }

    @Test func `options do what they say`() throws {
        #expect(try self.matches("A", .caseless, "a"))
        #expect(try !self.matches("A", [], "a"))
        #expect(try self.matches("^b", .multiline, "a\nb"))
        #expect(try !self.matches("^b", [], "a\nb"))
        #expect(try self.matches("a.b", .dotAll, "a\nb"))
        #expect(try !self.matches("a.b", [], "a\nb"))
        #expect(try self.matches("a b", .extended, "ab"))
        #expect(try !self.matches("b", .anchored, "ab"))
        #expect(try self.matches("a$", [], "a\n"))
        #expect(try !self.matches("a$", .dollarEndOnly, "a\n"))
    }

    @Test func `an empty subject and an empty pattern are no trouble`() throws {
        #expect(try self.matches("", [], ""))
        #expect(try !self.matches("a", [], ""))
    }

    @Test func `what is no pattern is an error with its place`() throws {
        let error = try #require(throws: Pattern.SyntaxError.self) { try Pattern("ab(c", options: []) }
        #expect(error.offset == 4)
        #expect(error.message.contains("parenthesis"))
    }

    @Test func `octets that are no text are matched, and are an error where text was asked for`() throws {
        #expect(self.match(try Pattern("b.c", options: []), [0xFF, 0x62, 0x80, 0x63, 0]).outcome == .matched)
        let outcome = self.match(try Pattern("(*UTF)b", options: []), [0xFF, 0x62]).outcome
        guard case .undecided(let reason) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.contains("UTF-8"))
    }

    /// It would take ages otherwise.
    @Test(arguments: ["^(a+)+$", "(*NO_JIT)^(a+)+$"])
    func `a pattern without end reaches a limit`(text: String) throws {
        let pattern = try Pattern(text, options: [])
        let outcome = self.match(pattern, Array((String(repeating: "a", count: 5000) + "d").utf8)).outcome
        guard case .undecided = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test func `many threads match one pattern at once`() async throws {
        let pattern = try Pattern("^x(\\d+)y$", options: [])
        await withTaskGroup(of: Bool.self) { group in
            for number in 0..<64 {
                group.addTask {
                    let subject = Array("x\(number)y".utf8)
                    return (0..<200).allSatisfy { _ in
                        let (outcome, captures) = self.match(pattern, subject)
                        return outcome == .matched && captures[1] == 1..<subject.count - 1
                    }
                }
            }
            for await isRight in group { #expect(isRight) }
        }
    }
}

struct POSIXPatternTests {
    private func match(
        _ text: String, _ options: POSIXPattern.Options = .extended, _ subject: [UInt8]
    ) throws -> [Range<Int>?]? {
        let pattern = try POSIXPattern(text, options: options)
        var captures = [Range<Int>?](repeating: nil, count: pattern.captureCount + 1)
        let outcome = subject.withUnsafeBytes { pattern.match($0, captures: &captures) }
        return outcome == .matched ? captures : nil
    }

    private func matches(_ text: String, _ options: POSIXPattern.Options, _ subject: String) throws -> Bool {
        try self.match(text, options, Array(subject.utf8)) != nil
    }

    @Test func `what groups capture is found, and a group without part is not`() throws {
        #expect(try self.match("(a)|(b)(c*)", .extended, Array("xb".utf8)) == [1..<2, nil, 1..<2, 2..<2])
    }

    @Test func `options do what they say`() throws {
        #expect(try self.matches("A", [.extended, .caseless], "a"))
        #expect(try !self.matches("A", .extended, "a"))
        #expect(try self.matches("^b", [.extended, .newline], "a\nb"))
        #expect(try !self.matches("^b", .extended, "a\nb"))
        #expect(try self.matches("a+b", [], "a+b"))
        #expect(try !self.matches("a+b", .extended, "a+b"))
        #expect(try self.matches("(a)", [.extended, .withoutCaptures], "a"))
    }

    @Test func `subjects are octets, NUL among them, and may be empty`() throws {
        #expect(try self.match("c", .extended, [0x62, 0, 0x63]) != nil)
        #expect(try self.match("b.c", .extended, [0xFF, 0x62, 0x80, 0x63]) != nil)
        #expect(try self.match("^$", .extended, []) != nil)
    }

    /// Each of these would take minutes if the whole were matched.
    @Test func `only the beginning of a long subject is matched, and what that does not tell is undecided`() throws {
        let subject = Array("x\(String(repeating: "a", count: 100_000))b".utf8)
        for (text, matches) in [("^xa", true), ("a$", nil), ("(a+)+$", nil), ("a*b", nil), ("q", nil)]
            as [(String, Bool?)]
        {
            let pattern = try POSIXPattern(text, options: .extended)
            var captures: [Range<Int>?] = []
            let outcome = subject.withUnsafeBytes { pattern.match($0, captures: &captures) }
            switch outcome {
            case .matched: #expect(matches == true, "\(text)")
            case .unmatched: Issue.record("\(text)")
            case .undecided: #expect(matches == nil, "\(text)")
            }
        }
        let captures = try self.match("^(x)a", .extended, subject)
        #expect(captures == [0..<2, 0..<1])
        #expect(try self.match("(a+)", .extended, subject) == nil)
    }

    @Test(arguments: ["(a)\\1", "(a)[^\\]\\1", "([[:alpha:]])[]a]\\9"])
    func `references back are refused`(text: String) {
        #expect(throws: POSIXPattern.CompileError.backReference) { try POSIXPattern(text, options: .extended) }
    }

    @Test(arguments: ["[\\1]", "\\\\1", "[]\\1]", "[^]\\1]", "[[:digit:]\\1]", "a\\.1"])
    func `what only looks like one is not refused`(text: String) throws {
        _ = try POSIXPattern(text, options: .extended)
    }

    @Test(arguments: [
        "((a{100}){100}){100}", "a{30000}", "a++++++++++++++++++++++",
        "((((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+",
    ])
    func `what would take too much memory is refused`(text: String) {
        #expect(throws: POSIXPattern.CompileError.tooLarge) { try POSIXPattern(text, options: .extended) }
        let basic = text.replacing(/[(){}+]/) { "\\\($0.output)" }
        #expect(throws: POSIXPattern.CompileError.tooLarge) { try POSIXPattern(basic, options: []) }
    }

    @Test func `groups that are nested too deeply are refused`() {
        let text = String(repeating: "(", count: 3000) + String(repeating: ")", count: 3000)
        #expect(throws: POSIXPattern.CompileError.tooLarge) { try POSIXPattern(text, options: .extended) }
    }

    @Test(arguments: [
        "^([0-9]{1,3}[.-]){4}", "([a-z0-9]+[.-]){3,10}([a-z]+)$", "[[:space:]]{100}", "(\\.[a-z]{2,255})+",
    ])
    func `usual repetitions are not too large`(text: String) throws {
        _ = try POSIXPattern(text, options: .extended)
    }

    @Test func `what is no pattern is an error`() throws {
        #expect(throws: POSIXPattern.CompileError.syntax("Unmatched ( or \\(")) {
            try POSIXPattern("a(b", options: .extended)
        }
    }
}
