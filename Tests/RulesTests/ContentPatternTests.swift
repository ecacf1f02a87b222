import Mail
import Rules
import Testing

/// Rules for content in the tables that they are mostly in (header_checks(5), pcre_table(5), SEMANTICS §4, §5).
struct ContentPatternTests {
    private func patterns(_ text: String, name: String = "pcre:checks") throws -> RuleTable {
        try RuleTable(name: name, file: "/etc/checks", type: .pcre, text: text)
    }

    @Test func `an attachment is refused by its name`() throws {
        let rules = ContentRules(
            mimeHeader: [
                try self.patterns(
                    #"/^Content-(Disposition|Type).*name\s*=\s*"?([^;]*\.(exe|scr))"?\s*(;|$)/ REJECT "$2" is a .$3"#)
            ])
        let content = crlf(
            "Subject: x", "Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: application/x;",
            " name=\"a b.exe\"", "", "MZ", "--b--")
        let outcome = check(rules, content).outcome
        #expect(outcome.verdict == .reject(Reply(550, .init(7, 1), "\"a b.exe\" is a .exe")))
        #expect(outcome.matches.first?.text == "Content-Type: application/x;? name=\"a b.exe\"")
        #expect(outcome.matches.first?.line == 1 && outcome.matches.first?.file == "/etc/checks")
    }

    @Test func `what is captured of a folded field stays folded`() throws {
        let rules = ContentRules(header: [try self.patterns("/^Subject:(.*)/ REPLACE X-Subject:$1")])
        let checked = check(rules, crlf("Subject: a", " b", "\tc", "To: d", "", "Subject: e"))
        #expect(checked.text == crlf("X-Subject: a", " b", "\tc", "To: d", "", "Subject: e"))
    }

    @Test func `what is captured of a folded field is one line of a reply`() throws {
        let rules = ContentRules(header: [try self.patterns("/^A: (.*)/ REJECT $1")])
        let outcome = check(rules, crlf("A: 5.6.7 because", " of that")).outcome
        #expect(outcome.verdict == .reject(Reply(550, .init(6, 7), "because  of that")))
    }

    @Test func `a captured text that makes no sense is a fault, and the line stays`() throws {
        let rules = ContentRules(header: [try self.patterns("/^A: (.*)/ REDIRECT $1")])
        let checked = check(rules, crlf("A: nobody", "A: x@b.test", "", "c"))
        #expect(checked.outcome.faults.map(\.message) == ["REDIRECT needs user@domain"])
        #expect(checked.outcome.redirect == Mailbox("x@b.test"))
    }

    @Test func `a line that is not UTF-8 is asked of as it is`() throws {
        let rules = ContentRules(body: [try self.patterns(#"/^\xE4$/ HOLD"#)])
        let checked = check(rules, [13, 10, 0xE4, 13, 10])
        #expect(checked.outcome.isHeld)
    }

    @Test func `a pattern that reaches its limit often is reported once`() throws {
        let rules = ContentRules(body: [try self.patterns("/x/ WARN\n/^(a+)+$/ REJECT")])
        let line = String(repeating: "a", count: 40) + "!"
        func faults(_ count: Int) -> [ContentRuleFault] {
            let lines = "\r\n" + String(repeating: line + "\r\n", count: count)
            let checked = check(rules, lines)
            #expect(checked.text == lines && checked.outcome.verdict == .accept)
            return checked.outcome.faults
        }
        #expect(faults(ContentOutcome.reportedPatternFaults - 1).isEmpty)
        let reported = faults(ContentOutcome.reportedPatternFaults + 2)
        #expect(reported.map(\.line) == [2] && reported.first?.table == "pcre:checks")
    }

    @Test func `right-hand sides of a table can be checked`() throws {
        let table = try self.patterns("/a(.)/ REJECT $1\n/b/ REJCT\n/c(.)/ $1\n/d/ FILTER x\n")
        let problems = table.values.compactMap { entry in
            ContentRules.problem(inValue: entry.value, for: .body).map { "\(entry.line): \($0)" }
        }
        #expect(problems == ["2: unknown action 'REJCT'", "4: FILTER needs transport:destination"])
    }
}

/// Patterns that take too long.
struct ContentPatternLimitTests {
    @Test func `a pattern that reaches its limit again and again is reported, given up, and hides no others`() throws {
        let table = try PatternTable(text: "/^(a+)+$/ REJECT slow\n/^b/ REJECT found\n", kind: .pcre)
        var checks = ContentChecks(
            ContentRules(body: [RuleTable(name: "pcre:b", file: nil, content: .pattern(table))]))
        var output: [UInt8] = []
        // Each of these lines costs the whole limit, were it tried.
        let line = String(repeating: "a", count: 40) + "!\r\n"
        let content = "Subject: x\r\n\r\n" + String(repeating: line, count: 1000) + "b\r\n"
        Array(content.utf8).withUnsafeBytes { checks.feed($0, into: &output) }
        checks.finish(into: &output)
        #expect(checks.outcome.faults.map(\.line) == [1])
        guard case .reject(let reply) = checks.outcome.verdict else {
            Issue.record("\(checks.outcome.verdict)")
            return
        }
        #expect(reply.lines == ["found"])
    }
}
