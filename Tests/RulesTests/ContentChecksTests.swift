import Mail
import Rules
import Testing

/// What rules for content do (header_checks(5), SEMANTICS §4).
struct ContentChecksTests {
    /// A message with everything that rules tell apart, in which each class has a line `Mark: x` or `mark`.
    private static let message = crlf(
        "Mark: header", "Content-Type: multipart/mixed; boundary=b", "", "--b", "Mark: part", "", "mark", "--b",
        "Content-Type: message/rfc822", "", "Mark: nested", "", "text", "--b--")

    private static let lines: [ContentClass: String] = [
        .header: "Mark: header", .mimeHeader: "Mark: part", .nestedHeader: "Mark: nested", .body: "mark",
    ]

    private static func rules(_ contentClass: ContentClass, _ value: String) -> ContentRules {
        let rule = [table([Self.lines[contentClass] ?? "": value])]
        return switch contentClass {
        case .header: ContentRules(header: rule, mimeHeader: [], nestedHeader: [])
        case .mimeHeader: ContentRules(mimeHeader: rule)
        case .nestedHeader: ContentRules(nestedHeader: rule)
        case .body: ContentRules(body: rule)
        }
    }

    // MARK: - Actions

    struct Case: Sendable, CustomTestStringConvertible {
        let value: String
        /// What becomes of the line.
        var lines: [String]?
        var verdict = ContentOutcome.Verdict.accept
        var isHeld = false
        var redirect: String?
        var filter: String?
        var blindCopies: [String] = []

        var testDescription: String { self.value }
    }

    private static func rejected(_ code: Int, _ subject: Int, _ detail: Int, _ text: String) -> ContentOutcome.Verdict {
        .reject(Reply(code, .init(subject, detail), text))
    }

    static let cases: [Case] = [
        Case(value: "BCC a@b.test", blindCopies: ["a@b.test"]),
        Case(value: "DISCARD", verdict: .discard),
        Case(value: "discard with text", verdict: .discard),
        Case(value: "DUNNO"),
        Case(value: "dunno and text"),
        Case(value: "OK"),
        Case(value: "FILTER smtp:[h]:25", filter: "smtp:[h]:25"),
        Case(value: "FILTER smtp:", filter: "smtp:"),
        Case(value: "HOLD", isHeld: true),
        Case(value: "hOlD  text", isHeld: true),
        Case(value: "IGNORE", lines: []),
        Case(value: "IGNORE text", lines: []),
        Case(value: "INFO"),
        Case(value: "INFO text"),
        Case(value: "PASS"),
        Case(value: "PREPEND X-New: 1", lines: ["X-New: 1", "LINE"]),
        Case(value: "PREPEND\t X-New: 1", lines: ["X-New: 1", "LINE"]),
        Case(value: "REDIRECT a@b.test", redirect: "a@b.test"),
        Case(value: "REJECT", verdict: rejected(550, 7, 1, "message content rejected")),
        Case(value: "REJECT no, thanks", verdict: rejected(550, 7, 1, "no, thanks")),
        Case(value: "REJECT 5.6.0 no", verdict: rejected(550, 6, 0, "no")),
        Case(value: "REJECT 5.6.0", verdict: rejected(550, 6, 0, "")),
        Case(value: "REJECT 4.7.12 later", verdict: rejected(451, 7, 12, "later")),
        Case(value: "REJECT 2.0.0 x", verdict: rejected(451, 0, 0, "x")),
        Case(value: "REJECT 554 5.7.0 x", verdict: rejected(550, 7, 1, "554 5.7.0 x")),
        Case(value: "REJECT 5.7.1234 x", verdict: rejected(550, 7, 1, "5.7.1234 x")),
        Case(value: "REJECT 5.7 x", verdict: rejected(550, 7, 1, "5.7 x")),
        Case(value: "REPLACE X-New: 2", lines: ["X-New: 2"]),
        Case(value: "STRIP", lines: []),
        Case(value: "STRIP text", lines: []),
        Case(value: "WARN"),
        Case(value: "WARN text"),
    ]

    @Test(arguments: ContentChecksTests.cases, ContentClass.allCases)
    func `an action does its work and no more`(item: Case, contentClass: ContentClass) throws {
        let line = try #require(Self.lines[contentClass])
        let rules = Self.rules(contentClass, item.value)
        let checked = check(rules, Self.message)
        let lines = (item.lines ?? ["LINE"]).map { ($0 == "LINE" ? line : $0) + "\r\n" }.joined()
        #expect(checked.text == Self.message.replacing(line + "\r\n", with: lines))
        let outcome = checked.outcome
        #expect(outcome.verdict == item.verdict)
        #expect(outcome.isHeld == item.isHeld)
        #expect(outcome.redirect?.description == item.redirect)
        #expect(outcome.filter == item.filter)
        #expect(outcome.blindCopies.map(\.description) == item.blindCopies)
        #expect(outcome.isChanged == (item.lines != nil))
        #expect(outcome.faults.isEmpty)
        let match = try #require(outcome.matches.first)
        #expect(outcome.matches.count == 1 && outcome.matchCount == 1)
        #expect(match.contentClass == contentClass && !match.isDecoded && match.text == line)
        #expect(match.table == "test:checks" && match.file == "/etc/checks" && match.line == 1)
        #expect(match.rule == line.lowercased())
        #expect(match.action.rawValue == item.value.prefix { $0.isLetter }.uppercased())
        let argument = item.value.drop { $0.isLetter }.drop { $0.isWhitespace }
        #expect(match.argument == argument)
    }

    /// Behind the first line that matches stands another, which would be rejected.
    @Test(arguments: [
        ("BCC a@b.test", false), ("DISCARD", true), ("DUNNO", false), ("FILTER a:b", false), ("HOLD", false),
        ("IGNORE", false), ("INFO", false), ("OK", false), ("PASS", true), ("PREPEND X: y", false),
        ("REDIRECT a@b.test", true), ("REJECT 5.0.0 first", true), ("REPLACE X: y", false), ("STRIP", false),
        ("WARN", false), ("NONSENSE", false),
    ])
    func `some actions end the inspection`(value: String, ends: Bool) {
        let tables = [table(["A: b": value, "B: c": "REJECT second", "c": "REJECT second"])]
        let second = Reply(550, .init(7, 1), "second")
        for content in [crlf("A: b", "B: c"), crlf("A: b", "", "c"), crlf("", "a: b", "c")] {
            let outcome = check(ContentRules(header: tables, body: tables), content).outcome
            #expect((outcome.verdict == .reject(second)) == !ends, "\(content)")
            #expect((outcome.matches.last?.argument == "second") == !ends)
        }
    }

    @Test func `of one line only the first rule acts, in the order of the tables`() {
        let first = table(["A: b": "DUNNO"], name: "first")
        let second = table(["A: b": "REJECT", "B: c": "HOLD"], name: "second")
        let outcome = check(ContentRules(header: [first, second]), crlf("A: b", "B: c")).outcome
        #expect(outcome.verdict == .accept && outcome.isHeld)
        #expect(outcome.matches.map(\.table) == ["first", "second"])
    }

    @Test func `what is put in is not asked of again`() {
        let tables = [table(["A: b": "PREPEND B: c", "C: d": "REPLACE B: c", "B: c": "REJECT"])]
        let checked = check(ContentRules(header: tables), crlf("A: b", "C: d", "E: f"))
        #expect(checked.outcome.verdict == .accept)
        #expect(checked.text == crlf("B: c", "A: b", "B: c", "E: f"))
    }

    @Test func `a field that is replaced still says what follows`() {
        let type = "Content-Type: multipart/mixed; boundary=b"
        let rules = ContentRules(header: [table([type: "REPLACE Content-Type: text/plain", "X: 1": "HOLD"])])
        #expect(check(rules, crlf(type, "", "--b", "X: 1")).outcome.isHeld)
    }

    @Test func `a folded field goes and comes as a whole`() {
        let content = crlf("A: b", " c", "D: e", "", "x")
        func text(_ value: String) -> String {
            check(ContentRules(header: [table(["A: b\n c": value])]), content).text
        }
        #expect(text("IGNORE") == crlf("D: e", "", "x"))
        #expect(text("REPLACE X: y") == crlf("X: y", "D: e", "", "x"))
        #expect(text("PREPEND X: y") == crlf("X: y", "A: b", " c", "D: e", "", "x"))
        // As a pattern may have captured it. No line may be smuggled in.
        #expect(text("REPLACE X: y\n z\n\nQ: r\r") == crlf("X: y", " z", "\tQ: r ", "D: e", "", "x"))
    }

    @Test func `effects add up`() {
        let tables = [
            table([
                "1": "BCC a@b.test", "2": "BCC c@d.test", "3": "BCC a@b.test", "4": "FILTER a:b", "5": "FILTER c:d",
                "6": "HOLD", "7": "WARN w", "8": "REJECT",
            ])
        ]
        let outcome = check(ContentRules(body: tables), crlf("", "1", "2", "3", "4", "5", "6", "7", "8", "1")).outcome
        #expect(outcome.blindCopies.map(\.description) == ["a@b.test", "c@d.test"])
        #expect(outcome.filter == "c:d" && outcome.isHeld)
        #expect(outcome.verdict == .reject(Reply(550, .init(7, 1), "message content rejected")))
        #expect(outcome.matches.map(\.line) == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func `a piece of a long line may go without its line`() {
        var limits = ContentRules.Limits()
        limits.lineBytes = 4
        func text(_ lines: KeyValuePairs<String, String>, _ content: String) -> String {
            check(ContentRules(body: [table(lines)], limits: limits), content).text
        }
        #expect(text(["abcd": "IGNORE"], "\r\nabcdefgh\r\nx\r\n") == "\r\nefgh\r\nx\r\n")
        // The lines are not glued together.
        #expect(text(["gh": "IGNORE"], "\r\nabcdefgh\r\nx\r\n") == "\r\nabcdefgh\r\nx\r\n")
        #expect(text(["ef": "IGNORE"], "\r\nabcdef\r\nx\r\n") == "\r\nabcd\r\nx\r\n")
        #expect(text(["abcd": "REPLACE 1"], "\r\nabcdef\r\nx\r\n") == "\r\n1ef\r\nx\r\n")
        #expect(text(["ef": "PREPEND 1"], "\r\nabcdef\r\nx\r\n") == "\r\nabcd1\r\nef\r\nx\r\n")
    }

    // MARK: - Classes

    @Test func `rules for headers are asked of all headers if the others have none of their own`() {
        let header = [table(["Mark: part": "HOLD", "Mark: nested": "FILTER a:b"])]
        let outcome = check(ContentRules(header: header), Self.message).outcome
        #expect(outcome.isHeld && outcome.filter == "a:b")
        #expect(check(ContentRules(header: header, mimeHeader: [], nestedHeader: []), Self.message).outcome == .init())
        #expect(!check(ContentRules(header: header, mimeHeader: []), Self.message).outcome.isHeld)
        #expect(check(ContentRules(header: header, nestedHeader: []), Self.message).outcome.filter == nil)
    }

    @Test func `without tables there is nothing to ask`() {
        #expect(ContentRules().isEmpty && ContentRules(mimeHeader: []).isEmpty)
        for contentClass in ContentClass.allCases { #expect(!Self.rules(contentClass, "OK").isEmpty) }
        #expect(check(ContentRules(), Self.message) == CheckedContent(text: Self.message, outcome: ContentOutcome()))
    }

    @Test func `the rest is not looked at where nothing more can matter`() {
        func isDone(_ rules: ContentRules, _ content: String) -> Bool {
            var checks = ContentChecks(rules)
            var output: [UInt8] = []
            Array(content.utf8).withUnsafeBytes { checks.feed($0, into: &output) }
            #expect(output == Array(content.utf8))
            return checks.isDone
        }
        let plain = crlf("A: b", "", "text")
        #expect(isDone(ContentRules(header: [table([:])]), plain))
        #expect(!isDone(ContentRules(body: [table([:])]), plain))
        #expect(!isDone(ContentRules(header: [table([:])]), Self.message.replacing("--b--\r\n", with: "")))
        #expect(isDone(ContentRules(header: [table([:])]), Self.message + "x\r\n"))
        #expect(isDone(ContentRules(header: [table([:])], mimeHeader: [], nestedHeader: []), Self.message))
    }

    @Test func `lines without text are never asked of`() {
        #expect(check(ContentRules(body: [always("REJECT")]), crlf("A: b", "", "", "")).outcome == .init())
    }

    // MARK: - Decoding

    private static let decode: @Sendable ([UInt8]) -> [UInt8]? = { field in
        let text = String(decoding: field, as: UTF8.self)
        return text.contains("=?") ? Array(text.replacing("=?x?=", with: "decoded").utf8) : nil
    }

    @Test func `rules are asked of the decoded form of a field too`() throws {
        let header = [table(["A: decoded": "REPLACE A: 1", "B: =?x?=": "OK", "B: decoded": "REJECT"])]
        let content = crlf("A: =?x?=", "B: =?x?=", "C: d", "", "A: =?x?=")
        let checked = check(ContentRules(header: header, decode: Self.decode), content)
        #expect(checked.text == content.replacing("A: =?x?=\r\nB", with: "A: 1\r\nB"))
        #expect(checked.outcome.matches.map(\.isDecoded) == [true, false])
        #expect(checked.outcome.matches.first?.text == "A: decoded")
        #expect(checked.outcome.verdict == .accept)
        #expect(check(ContentRules(header: header), content).text == content)
    }

    // MARK: - Faults

    @Test(arguments: [
        ("", "no action"), ("NONSENSE x", "unknown action 'NONSENSE'"), ("REJECTED", "unknown action 'REJECTED'"),
        ("PREPEND", "PREPEND needs a text"), ("PREPEND x", "PREPEND needs a header field, 'name: value'"),
        ("REPLACE", "REPLACE needs a text"), ("REPLACE a b: x", "REPLACE needs a header field, 'name: value'"),
        ("FILTER", "FILTER needs transport:destination"), ("FILTER x", "FILTER needs transport:destination"),
        ("BCC", "BCC needs user@domain"), ("BCC x", "BCC needs user@domain"),
        ("REDIRECT", "REDIRECT needs user@domain"), ("REDIRECT a@b.test, c@d.test", "REDIRECT needs user@domain"),
        ("PAß", "unknown action 'PAß'"),
    ])
    func `an action that makes no sense is reported once, and ignored`(value: String, message: String) {
        let rules = ContentRules(header: [table(["A: b": value])])
        let checked = check(rules, crlf("A: b", "A: b", "", "x"))
        #expect(checked.text == crlf("A: b", "A: b", "", "x"))
        #expect(checked.outcome.faults.map(\.message) == [message])
        #expect(checked.outcome.faults.first?.line == 1 && checked.outcome.faults.first?.table == "test:checks")
        #expect(checked.outcome.matches.isEmpty && checked.outcome.verdict == .accept)
        #expect(ContentRules.problem(inValue: value, for: .header) == message)
    }

    @Test(arguments: ContentChecksTests.cases.map(\.value).filter { !$0.hasPrefix("REJECT 2") })
    func `an action that makes sense is no problem`(value: String) {
        for contentClass in ContentClass.allCases {
            #expect(ContentRules.problem(inValue: value, for: contentClass) == nil)
        }
        #expect(ContentRules.problem(inValue: value) == nil)
    }

    @Test func `what a pattern captures is not judged before it is known`() {
        for value in [
            "$1", "PREPEND $1", "REPLACE ${1}: x", "REDIRECT $(1)", "FILTER $1", "REJECT $1", "BCC $1@b.test",
        ] {
            #expect(ContentRules.problem(inValue: value, for: .header) == nil, "\(value)")
        }
        for value in ["$$1", "NONSENSE $1", "REDIRECT $$1", "FILTER $x", "PREPEND $"] {
            #expect(ContentRules.problem(inValue: value, for: .header) != nil, "\(value)")
        }
        #expect(ContentRules.problem(inValue: "PREPEND x", for: .body) == nil)
        #expect(ContentRules.problem(inValue: "PREPEND x") == nil)
        #expect(ContentRules.problem(inValue: "REJECT 2.0.0 x") != nil)
    }

    @Test func `what is noted of a message is bounded`() {
        let content = "\r\n" + String(repeating: "x\r\n", count: 500) + "y\r\n"
        let outcome = check(ContentRules(body: [table(["x": "WARN", "y": "REJECT"])]), content).outcome
        #expect(outcome.matchCount == 501 && outcome.matches.count == ContentOutcome.limit + 1)
        #expect(outcome.matches.last?.action == .reject)
        let copies = (0..<200).map { ("\($0)", "BCC \($0)@b.test") }
        let lines = "\r\n" + copies.map { "\($0.0)\r\n" }.joined()
        let tables = copies.map { table(KeyValuePairs(dictionaryLiteral: $0)) }
        #expect(check(ContentRules(body: tables), lines).outcome.blindCopies.count == ContentOutcome.limit)
    }

    @Test func `the text of a match is printable and cut`() throws {
        let long = String(repeating: "ü", count: 150)
        let outcome = check(ContentRules(body: [always("WARN \u{1B}[31m")]), "\r\na\u{7}\u{1B}" + long + "\r\n").outcome
        let match = try #require(outcome.matches.first)
        #expect(match.text == "a??" + String(repeating: "ü", count: 98) && match.argument == "?[31m")
    }

    // MARK: - Arriving

    @Test func `it makes no difference where content is cut`() {
        var limits = ContentRules.Limits()
        limits.lineBytes = 20
        limits.headerBytes = 60
        limits.bodyBytes = 40
        let contents = [
            Self.message, crlf("A: b", "c" + String(repeating: "d", count: 50), " x", "", "--b"),
            Self.message.replacing("\r\n", with: "\n"), Self.message.replacing("mark", with: "\r\r\n-\r\n--\r"),
            crlf("Subject: " + String(repeating: "x", count: 100), " yz", "", String(repeating: "z", count: 100)),
        ]
        let tables = [
            table(["Mark: header": "PREPEND A: b", "Mark: part": "IGNORE", "mark": "REPLACE x", "text": "HOLD"]),
            table(["Content-Type: message/rfc822": "REPLACE Content-Type: text/plain", "Mark: nested": "STRIP"]),
        ]
        let all = [
            ContentRules(header: tables, limits: limits), ContentRules(header: tables, body: tables, limits: limits),
            ContentRules(header: [always("STRIP")], body: [always("STRIP")], limits: limits),
            ContentRules(header: [always("REPLACE A: b")], body: [always("PREPEND c")], limits: limits),
            ContentRules(header: tables, body: [table(["mark": "REJECT"])], limits: limits),
        ]
        for rules in all {
            for content in contents.map({ Array($0.utf8) }) {
                let whole = check(rules, content)
                #expect(check(rules, content, cuts: nil) == whole)
                for cut in content.indices { #expect(check(rules, content, cuts: [cut]) == whole) }
                for cut in content.indices.dropLast() {
                    #expect(check(rules, content, cuts: [cut, cut + 1]) == whole)
                }
            }
        }
    }
}
