import Foundation
import Harness
import Mail
import Rules
import Testing

/// The same messages through the checks of a real Postfix and through ours, with the same rules: the client hears the
/// same, the same rules act on the same text, and the same content is stored.
@Suite(.serialized) struct ContentChecksPostfixTests {
    /// Random numbers that are the same in every run (SplitMix64).
    private struct Chance: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var word = self.state
            word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
            return word ^ word >> 31
        }
    }

    private static let sender = "s@client.example"
    private static let classes: [(setting: String, contentClass: ContentClass)] = [
        ("header_checks", .header), ("mime_header_checks", .mimeHeader), ("nested_header_checks", .nestedHeader),
        ("body_checks", .body),
    ]

    /// Much lower than usual, so that messages can be short.
    private static let limits: ContentRules.Limits = {
        var limits = ContentRules.Limits()
        limits.headerBytes = 4000
        limits.bodyBytes = 400
        limits.nesting = 3
        limits.boundaryBytes = 20
        return limits
    }()

    private static let settings = [
        "header_size_limit": "4000", "body_checks_size_limit": "400", "mime_nesting_limit": "3",
        "mime_boundary_length_limit": "20", "line_length_limit": "2048",
        "smtpd_error_sleep_time": "0", "smtpd_soft_error_limit": "1000", "smtpd_hard_error_limit": "1000",
    ]

    // MARK: - Messages

    struct Message {
        let content: String
        /// What Postfix stores where that is meant to be something else.
        var storedByPostfix: String?
        var reason = ""

        init(_ content: String, storedByPostfix: String? = nil, because reason: String = "") {
            self.content = content
            self.storedByPostfix = storedByPostfix
            self.reason = reason
        }
    }

    private static func lines(_ lines: String...) -> String { lines.map { $0 + "\r\n" }.joined() }

    /// `X-Act: NAME` or, in a body too, the same line, by the name of an action.
    private static let actions = [
        "bcc": "BCC copy@example.test", "badbcc": "BCC nobody", "discard": "DISCARD %", "dunno": "DUNNO", "ok": "OK",
        "filter": "FILTER virtual:%", "badfilter": "FILTER virtual", "hold": "HOLD %", "ignore": "IGNORE",
        "info": "INFO %", "pass": "pass %", "prepend": "PREPEND X-New: %", "badprepend": "PREPEND",
        "redirect": "REDIRECT other@example.test", "badredirect": "REDIRECT nobody", "reject": "REJECT",
        "text": "REJECT no % today", "code": "REJECT 5.6.1 no %", "later": "reject 4.3.2  later %",
        "success": "REJECT 2.0.0 %", "bare": "REJECT 5.6.2", "other": "REJECT 554 5.6.2 %",
        "replace": "REPLACE X-New: %", "badreplace": "REPLACE", "strip": "STRIP %", "warn": "WARN %",
        "warn2": "Warn", "nonsense": "NONSENSE %",
    ]

    /// Where a line of any class stands, with one behind it that is rejected if the inspection goes on.
    private static func places(_ line: String) -> [Message] {
        let end = "X-Act: text"
        return [
            Message(Self.lines(line, "To: x", "", "text")),
            Message(Self.lines("To: x", line, end, "", "text")),
            Message(Self.lines("A: b", "Content-Type: multipart/mixed; boundary=b", "", "--b", line, "", "t", "--b--")),
            Message(Self.lines("A: b", "Content-Type: message/rfc822", "", line, "C: d", "", "t")),
            Message(Self.lines("A: b", "", "one", line, "two")),
            Message(Self.lines("A: b", "", line, end)),
        ]
    }

    private static let special: [Message] = [
        Message(
            Self.lines("X-Act : replace", "X-Act\t: warn", "", "t"),
            storedByPostfix: Self.lines("X-New: header", "X-Act: warn", "", "t"),
            because: "blanks before a colon stay as they were"),
        Message(
            Self.lines("A: b", "no field", "X-Act: warn", "", "t"),
            storedByPostfix: Self.lines("A: b", "", "no field", "X-Act: warn", "", "t"),
            because: "an empty line is not put in"),
        Message(
            Self.lines(" A: b", "X-Act: warn"), storedByPostfix: Self.lines("", " A: b", "X-Act: warn"),
            because: "an empty line is not put in"),
        Message(
            Self.lines("From a@b x", "X-Act: replace", "", "t"),
            storedByPostfix: Self.lines("X-Mailbox-Line: From a@b x", "X-New: header", "", "t"),
            because: "the line of a mailbox file stays as it was"),
        Message(Self.lines("X-Fold: one", " two", "\tthree", "X-Act: replace", "", "t")),
        Message(Self.lines("X-Act:", " replace", "X-Act: ", "", "t")),
        Message(Self.lines("A: b", "MIME-Version: 1.0", "", "t")),
        Message(Self.lines("", "X-Act: replace")),
        Message(
            Self.lines("A: b", "X-Capture: ab cd", " ef", "X-Prepend: a", "\tb", "", "X-Capture: x y", "X-Prepend: z")),
        Message(Self.lines("X-Reject: 5.6.7 because", " of that", "", "t")),
        Message(Self.lines("A: b", "", "x-CASE: A", "x-case: A", "X-CASE: A", "  ", "\t", "X-Reject: 4.5.6 \tno")),
        Message(Self.lines("", "", "")),
        Message(Self.lines("A: b")),
        Message(
            Self.lines("Content-Type: multipart/digest; boundary=\"b\"", "", "--b", "", "X-Act: replace", "", "--b--")),
        Message(Self.lines("A: " + String(repeating: "b", count: 3000), "", String(repeating: "c", count: 3000), "d")),
        Message(Self.lines("A: b", "", String(repeating: "c", count: 390), "X-Act: warn", "X-Act: text")),
        Message(
            Self.lines(
                "Content-Type: multipart/mixed; boundary=b", "", String(repeating: "c", count: 500), "X-Act: text",
                "--b", "", "X-Act: replace", "--b--", "X-Act: warn")),
        Message(
            Self.lines(
                "Content-Type: multipart/mixed; boundary=12345678901234567890abc", "",
                "--12345678901234567890xyz", "X-Act: replace", "", "t")),
        Message(Self.nested(levels: 5)), Message(Self.nested(levels: 6)), Message(Self.nested(levels: 9)),
    ]

    private static func nested(levels: Int) -> String {
        (1...levels).map { Self.lines("Content-Type: multipart/mixed; boundary=b\($0)", "", "--b\($0)") }.joined()
            + Self.lines("X-Act: replace", "", "t")
    }

    // MARK: - Rules

    /// A table for one class, for Postfix and for us.
    private static func table(_ contentClass: ContentClass) -> String {
        let actions = Self.actions.sorted { $0.key < $1.key }.map { (name, value) in
            "/^X-Act: \(name)$/ " + value.replacingOccurrences(of: "%", with: contentClass.rawValue) + "\n"
        }
        return actions.joined() + """
            /^X-Fold: one\\n two\\n\\tthree$/ REPLACE X-Fold: 1
            /^X-Act:\\n replace$/ STRIP folded
            /^X-Capture: (\\w+) (.+)/ REPLACE X-Capture: ${2} $(1)$1 $$1
            /^X-Prepend:(.*)/ PREPEND X-Prepended:$1
            /^X-Reject: (.*)/ REJECT $1
            /^x-case: A/i WARN case
            /^MIME-Version: 1\\.0$/ REPLACE MIME-Version: 2.0
            !/[^ ]/ WARN blank

            """
    }

    private static func rules(_ tables: [String: String]) throws -> ContentRules {
        func read(_ name: String) throws -> [RuleTable] {
            guard let text = tables[name] else { return [] }
            return [try RuleTable(name: "pcre:\(name)", file: name, type: .pcre, text: text)]
        }
        return ContentRules(
            header: try read("header_checks"), mimeHeader: try read("mime_header_checks"),
            nestedHeader: try read("nested_header_checks"), body: try read("body_checks"), limits: Self.limits)
    }

    private func postfix(_ tables: [String: String]) throws -> PostfixPrimary {
        var settings = Self.settings
        for name in tables.keys { settings[name] = "pcre:/etc/postfix/\(name)" }
        return try PostfixPrimary(
            settings: settings,
            files: Dictionary(uniqueKeysWithValues: tables.map { ("etc/postfix/\($0)", $1) }))
    }

    // MARK: - Comparing

    /// One action as Postfix logs it.
    private struct Logged: Hashable, CustomStringConvertible {
        let description: String

        init(_ action: some StringProtocol, _ context: some StringProtocol, _ text: String, _ argument: String) {
            // In a reply a line end is a blank, in the log it is masked.
            let argument = action == "reject" ? argument.replacingOccurrences(of: "?", with: " ") : argument
            self.description = "\(action): \(context) \(text): \(argument)"
        }
    }

    private static func name(_ action: ContentAction.Name) -> String {
        action == .warn ? "warning" : action.rawValue.lowercased()
    }

    private func logged(_ outcome: ContentOutcome) -> [Logged] {
        outcome.matches.filter { !$0.action.isSilent }.map { match in
            var argument = match.argument
            if case .reject(let reply) = outcome.verdict, match.action == .reject {
                argument = "\(reply.enhanced ?? "") \(reply.lines[0])"
            }
            return Logged(
                Self.name(match.action), match.contentClass.isHeader ? "header" : "body", match.text, argument)
        }
    }

    /// By the number of the message.
    private func logged(_ log: String) -> [Int: [Logged]] {
        var result: [Int: [Logged]] = [:]
        for line in log.split(separator: "\n") where line.contains("postfix/cleanup[") {
            guard
                let match = line.firstMatch(
                    of:
                        /: [0-9A-F]+: (\w+): (header|body) (.*) from \S+; from=<\S*> to=<m(\d+)@example\.test> proto=\S+ helo=<\S+>(?:: (.*))?$/
                ),
                let number = Int(match.4)
            else { continue }
            result[number, default: []].append(
                Logged(match.1, match.2, String(match.3), match.5.map(String.init) ?? ""))
        }
        return result
    }

    private struct Stored {
        let message: Message
        let text: String
        let copies: Int
    }

    private func check(_ rules: ContentRules, _ content: String) -> (text: String, outcome: ContentOutcome) {
        var checks = ContentChecks(rules)
        var output: [UInt8] = []
        Array(content.utf8).withUnsafeBytes { checks.feed($0, into: &output) }
        checks.finish(into: &output)
        return (String(decoding: output, as: UTF8.self), checks.outcome)
    }

    /// - Returns: how many rules have acted.
    private func compare(
        _ messages: [Message], _ tables: [String: String], comparesContent: Bool = true
    ) throws -> Int {
        let rules = try Self.rules(tables)
        let postfix = try self.postfix(tables)
        let client = try SMTPClient(postfix.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        var stored: [Int: Stored] = [:]
        var expected: [Int: [Logged]] = [:]
        for (number, message) in messages.enumerated() {
            let reply = try client.sendMessage(
                from: Self.sender, to: ["m\(number)@example.test"], Array(message.content.utf8))
            let (text, outcome) = self.check(rules, message.content)
            let wanted: String
            switch outcome.verdict {
            case .accept, .discard: wanted = "250 2.0.0 Ok: queued as"
            case .reject(let answer): wanted = "\(answer.code) \(answer.enhanced ?? "") \(answer.lines[0])"
            }
            #expect(reply.description.hasPrefix(wanted), "\(number): \(message.content)")
            let actions = self.logged(outcome)
            if !actions.isEmpty { expected[number] = actions }
            guard outcome.verdict == .accept, !outcome.isHeld else { continue }
            stored[number] = Stored(message: message, text: text, copies: 1 + outcome.blindCopies.count)
        }
        let delivered = try postfix.maildir.wait(for: stored.values.map(\.copies).reduce(0, +))
        for (number, stored) in stored where comparesContent {
            let copies = delivered.filter { $0.text.contains("for <m\(number)@example.test>") }
            #expect(copies.count == stored.copies)
            let wanted = stored.message.storedByPostfix ?? stored.text
            for copy in copies {
                #expect(
                    String(decoding: copy.content, as: UTF8.self)
                        == wanted.replacingOccurrences(of: "\r\n", with: "\n"),
                    "\(number)")
            }
            if stored.message.storedByPostfix != nil {
                #expect(wanted != stored.text, "\(number) does not differ though \(stored.message.reason)")
            }
        }
        let count = expected.values.map(\.count).reduce(0, +)
        do {
            try eventually("\(count) actions in Postfix's log", within: .seconds(10)) {
                self.logged(postfix.log).values.map(\.count).reduce(0, +) >= count
            }
        } catch {
            // Which of them are missing is told below.
            Issue.record(error)
        }
        try postfix.stop()
        let log = self.logged(postfix.log)
        for number in Set(log.keys).union(expected.keys).sorted() {
            #expect(log[number] == expected[number], "\(number): \(messages[number].content)")
        }
        return count
    }

    @Test func `every action acts as it does in Postfix, in every class`() throws {
        let tables = Dictionary(uniqueKeysWithValues: Self.classes.map { ($0.setting, Self.table($0.contentClass)) })
        let messages = Self.special + Self.actions.keys.sorted().flatMap { Self.places("X-Act: \($0)") }
        #expect(messages.count > 150)
        let count = try self.compare(messages, tables)
        #expect(count > 150)
    }

    /// Lines that matter to the framing, alone and as they often stand together.
    private static let material: [[String]] =
        [
            "", "", "A: b", "C : d", " e", "\tf", " ", "text", "no: field: g", "Content-Type: text/plain",
            "Content-Type: multipart/mixed;", " boundary=\"c\"", "Content-Type: message/global; x=y",
            "Content-Type: image/png", "Content-ID: h", "--b", "--b--", "--c", "--c--", "--dd", "--dd--", "--e", "--bx",
            "--", "---", "- b", "From i", String(repeating: "j", count: 150),
            "K: " + String(repeating: "l", count: 2100),
            String(repeating: "m", count: 2047), String(repeating: "n", count: 2048),
            "--b" + String(repeating: "o", count: 2050) + ": p", "q", "r: s", ": t", "u v: w",
        ].map { [$0] } + [
            ["Content-Type: multipart/mixed; boundary=b", ""],
            ["Content-Type: multipart/mixed; boundary=c", "", "--c"],
            ["Content-Type: multipart/digest; (x) boundary = \"d\\d\"; boundary=e", ""],
            ["Content-Type: multipart/digest; boundary=dd", "", "--dd", ""], ["Content-Type: message/rfc822", ""],
            ["Content-Type: message/rfc822", "", "A: b"], ["--b", ""], ["--b", "", "A: b"], ["--dd", "", "A: b"],
            ["--dd", "A: b", "", "C: d"], ["--e", "Content-Type: image/png", "", "A: b"],
        ]

    /// What rules are asked of, told by rules that match everything, in messages made by chance.
    @Test func `Postfix's rules are asked of the same text`() throws {
        var generator = Chance(state: 1)
        let messages = (0..<300).map { _ in
            let parts = (0..<Int.random(in: 1...15, using: &generator)).compactMap { _ in
                Self.material.randomElement(using: &generator)
            }
            return "X: y\r\n" + parts.joined().map { $0 + "\r\n" }.joined()
        }
        // Postfix asks of its own Received, as it asks of everything that its server sends on.
        let tables = Dictionary(
            uniqueKeysWithValues: Self.classes.map { ($0.setting, "/^(?!Received:)./ WARN \($0.setting)\n") })
        // The content is compared by the other test; here Postfix would mend it in too many places.
        let count = try self.compare(messages.map { Message($0) }, tables, comparesContent: false)
        #expect(count > 500)
    }
}
