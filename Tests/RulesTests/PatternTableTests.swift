import Rules
import Testing

/// Postfix's pcre_table(5) and regexp_table(5) formats (SEMANTICS §5).
struct PatternTableTests {
    private func match(_ key: [UInt8], _ table: PatternTable) -> (match: TableMatch?, faults: [TableFault]) {
        var faults: [TableFault] = []
        let match = key.withUnsafeBytes { table.lookup($0, faults: &faults) }
        return (match, faults)
    }

    /// `LINE: VALUE`
    private func lookup(_ key: String, _ text: String, _ kind: PatternTable.Kind = .pcre) throws -> String? {
        self.match(Array(key.utf8), try PatternTable(text: text, kind: kind)).match.map { "\($0.line): \($0.value)" }
    }

    /// `LINE: MESSAGE`
    private func problems(_ text: String, _ kind: PatternTable.Kind = .pcre) -> [String] {
        do {
            _ = try PatternTable(text: text, kind: kind)
            return []
        } catch {
            return error.list.map { "\($0.line): \($0.message)" }
        }
    }

    private func warnings(_ text: String, _ kind: PatternTable.Kind = .pcre) throws -> [String] {
        try PatternTable(text: text, kind: kind).warnings.map { "\($0.line): \($0.message)" }
    }

    @Test(arguments: [PatternTable.Kind.pcre, .regexp])
    func `the first line that matches counts`(kind: PatternTable.Kind) throws {
        let text = "# comment\n/^a/ one\n/b$/\ttwo\n\n/a/ three\n"
        #expect(try self.lookup("ab", text, kind) == "2: one")
        #expect(try self.lookup("xb", text, kind) == "3: two")
        #expect(try self.lookup("xax", text, kind) == "5: three")
        #expect(try self.lookup("x", text, kind) == nil)
    }

    @Test(arguments: ["/a/ x", "!/b/ x", "! !!/b/ x", "!!/a/ x", "|a| x", "%a% x", "\"a\" x"])
    func `patterns stand between any signs, and may be negated`(line: String) throws {
        for kind in [PatternTable.Kind.pcre, .regexp] {
            #expect(try self.lookup("a", line, kind) == "1: x")
            #expect(try self.lookup("b", line, kind) == nil)
        }
    }

    @Test func `a sign that is escaped does not end a pattern`() throws {
        for kind in [PatternTable.Kind.pcre, .regexp] {
            #expect(try self.lookup("a/b", "/a\\/b/ x", kind) == "1: x")
            #expect(try self.lookup("a\\", "/a\\\\/ x", kind) == "1: x")
        }
    }

    @Test func `flags turn over what is set`() throws {
        #expect(try self.lookup("A", "/a/ x") == "1: x")
        #expect(try self.lookup("A", "/a/i x") == nil)
        #expect(try self.lookup("A", "/a/ii x") == "1: x")
        #expect(try self.lookup("a\nb", "/a.b/ x") == "1: x")
        #expect(try self.lookup("a\nb", "/a.b/s x") == nil)
        #expect(try self.lookup("a\nb", "/^b/m x") == "1: x")
        #expect(try self.lookup("ab", "/a b/x x") == "1: x")
        #expect(try self.lookup("xa", "/a/A x") == nil)
        #expect(try self.lookup("a\n", "/a$/ x") == "1: x")
        #expect(try self.lookup("a\n", "/a$/E x") == nil)
        #expect(try self.lookup("aa", "/(a+)/U $1") == "1: a")
        #expect(try self.lookup("aa", "/(a+)/ $1") == "1: aa")
        #expect(try self.lookup("A", "/a/ x", .regexp) == "1: x")
        #expect(try self.lookup("A", "/a/i x", .regexp) == nil)
        #expect(try self.lookup("a\nb", "/^b/m x", .regexp) == "1: x")
        #expect(try self.lookup("a+", "/^a+$/x x", .regexp) == "1: x")
    }

    @Test(arguments: ["$2-$1", "${2}-${1}", "$(2)-$(1)", "$02-${01}"])
    func `what groups capture is put in`(result: String) throws {
        for kind in [PatternTable.Kind.pcre, .regexp] {
            #expect(try self.lookup("ab", "/(a)(b)/ \(result)", kind) == "1: b-a")
        }
    }

    @Test func `a group without part is nothing, and a doubled sign one`() throws {
        for kind in [PatternTable.Kind.pcre, .regexp] {
            #expect(try self.lookup("b", "/(a)|(b)/ x${1}y${2}z", kind) == "1: xybz")
            #expect(try self.lookup("b", "/b/ $$1 $$$$", kind) == "1: $1 $$")
            #expect(try self.lookup("b", "/(b)/ $$$1$$", kind) == "1: $b$")
        }
    }

    @Test(arguments: [
        "/(a)/ $2", "!/(a)/ $1", "/(a)/ $0", "/(a)/ $x", "/(a)/ $", "/(a)/ ${1", "/(a)/ $()", "/(a)/ $1a",
    ])
    func `a result that cannot be put together is an error`(line: String) {
        for kind in [PatternTable.Kind.pcre, .regexp] { #expect(self.problems(line, kind).count == 1) }
    }

    @Test func `conditions are nested and may be negated`() throws {
        let text = """
            if /a/
            /1/ a1
            if !/b/
            /2/ a2
            endif
            IF!!/c/
            /3/ c3
            ENDIF
            /4/ a4
            endif
            /./ other
            """
        for kind in [PatternTable.Kind.pcre, .regexp] {
            #expect(try self.lookup("a1", text, kind) == "2: a1")
            #expect(try self.lookup("1", text, kind) == "11: other")
            #expect(try self.lookup("a2", text, kind) == "4: a2")
            #expect(try self.lookup("ab2", text, kind) == "11: other")
            #expect(try self.lookup("ac3", text, kind) == "7: c3")
            #expect(try self.lookup("a3", text, kind) == "11: other")
            #expect(try self.lookup("ab4", text, kind) == "9: a4")
        }
    }

    @Test func `a regexp may have a second pattern`() throws {
        #expect(try self.lookup("a", "/(a)/!/b/ not b: $1", .regexp) == "1: not b: a")
        #expect(try self.lookup("ab", "/(a)/!/b/ x", .regexp) == nil)
        #expect(self.problems("/a/!/b/ x") == ["1: unknown flag '!'; there are i, m, s, x, A, E and U"])
    }

    @Test func `every problem is told with its line`() {
        let text = "/a\nx /b/ 1\n/(/ 1\nif /a/ 1\nendif x\nendif\nif /b/\n/b/q 1\n!\n"
        let pcre = [
            "1: the '/' behind the pattern is missing",
            "2: neither a pattern nor 'if' nor 'endif'; patterns stand between two '/' or other ASCII signs",
            "3: missing closing parenthesis, at offset 1 of the pattern '('",
            "4: an 'if' takes a pattern and no result: '1' (lines that begin with a blank continue it)",
            "5: text behind 'endif'", "6: an 'endif' without 'if'", "7: an 'if' without 'endif'",
            "8: unknown flag 'q'; there are i, m, s, x, A, E and U", "9: a pattern is missing",
        ]
        #expect(self.problems(text) == pcre)
        #expect(self.problems(text, .regexp).map { $0.prefix(2) } == pcre.map { $0.prefix(2) })
    }

    @Test func `a regexp that refers back or repeats too much is refused`() {
        #expect(self.problems("/(a)\\1/ x", .regexp).first?.contains("pcre:") == true)
        #expect(self.problems("/((a{100}){100}){100}/ x", .regexp).first?.contains("pcre:") == true)
        #expect(self.problems("/(a)\\1/ x") == [])
    }

    @Test func `keys and patterns are octets`() throws {
        let table = try PatternTable(text: "/^ü(.*)$/ $1\n/(.+)/ other $1\n", kind: .pcre)
        #expect(self.match(Array("üx".utf8), table).match?.value == "x")
        #expect(self.match([0xFF, 0, 0x61], table).match?.value == "other \u{FFFD}\0a")
        #expect(self.match([], table).match == nil)
        let posix = try PatternTable(text: "/^ü(.*)$/ $1\n/(.*a)/ other $1\n", kind: .regexp)
        #expect(self.match(Array("üx".utf8), posix).match?.value == "x")
        #expect(self.match([0xFF, 0x61], posix).match?.value == "other \u{FFFD}a")
        #expect(self.match([], posix).match == nil)
    }

    @Test func `a pattern that reaches a limit does not match, nor does its negation, and is told`() throws {
        let key = [UInt8](repeating: 0x61, count: 200) + [0x62]
        let text = "/^(a+)+$/ one\n!/^(a+)+$/ two\nif !/^(a+)+$/\n/./ three\nendif\n/b/ four\n"
        let (match, faults) = self.match(key, try PatternTable(text: text, kind: .pcre))
        #expect(match?.value == "four")
        #expect(faults == [1, 2, 3].map { TableFault(line: $0, message: "match limit exceeded") })
    }

    /// What a pattern begins with decides before it is tried: these are where that could go wrong.
    @Test(arguments: [
        ("^abc", "ABCd", true), ("^abc", "ab", false), ("^abc", "", false), ("^abcdefghij", "abcdefghix", false),
        ("^abcdefghij", "ABCDEFGHIJ", true), ("^ab?c", "ac", true), ("^ab*c", "ac", true), ("^ab{0}c", "ac", true),
        ("^ab+c", "abbc", true), ("^ab|c", "c", true), ("^a(b|c)d", "acd", true), ("^a(b|c)d", "xacd", false),
        ("^a[|]b|c", "c", true), ("^a[)]|c", "c", true), ("^a\\.b", "a.b", true), ("^a\\.b", "axb", false),
        ("^a.b", "axb", true), ("^ü", "ü", true), ("^a\\|b", "a|b", true), ("^(a|b)c|d", "d", true), ("^", "x", true),
    ])
    func `a key that begins otherwise is passed by`(pattern: String, key: String, matches: Bool) throws {
        for kind in [PatternTable.Kind.pcre, .regexp] {
            #expect(try self.lookup(key, "/\(pattern)/ x", kind) == (matches ? "1: x" : nil))
            #expect(try self.lookup(key, "!/\(pattern)/ x", kind) == (matches ? nil : "1: x"))
            #expect(try self.lookup(key, "if /\(pattern)/\n/^/ x\nendif", kind) == (matches ? "2: x" : nil))
            #expect(try self.lookup(key, "if !/\(pattern)/\n/^/ x\nendif", kind) == (matches ? nil : "2: x"))
        }
        #expect(try self.lookup(key, "!/\(pattern)/!/q/ x", .regexp) == (matches ? nil : "1: x"))
        #expect(try self.lookup(key + "q", "!/\(pattern)q/!/q/ x\n/q/ y", .regexp) == "2: y")
    }

    @Test func `flags are minded by what a pattern begins with`() throws {
        #expect(try self.lookup("Abc", "/^abc/i x") == nil)
        #expect(try self.lookup("abc", "/^abc/i x") == "1: x")
        #expect(try self.lookup("x\nabc", "/^abc/m x") == "1: x")
        #expect(try self.lookup("abc", "/^a b # c/x x") == "1: x")
        #expect(try self.lookup("a|b", "/^a|b$/x x", .regexp) == "1: x")
        #expect(try self.lookup("xc", "/^a\\Q(\\E|c/ x") == "1: x")
    }

    @Test func `the rule is told as it is written`() throws {
        let table = try PatternTable(text: "! /a b/xi  value\n", kind: .pcre)
        #expect(self.match([0x63], table).match == TableMatch(value: "value", line: 1, rule: "! /a b/xi"))
        #expect(table.entries.map(\.result) == ["value"])
    }

    @Test func `a flag i is warned of, as it does not do what most mean`() throws {
        #expect(
            try self.warnings("/a/i x\nif /b/i\nendif\n") == [
                "1: the flag i turns over what is set: capital and small letters are told apart",
                "2: the flag i turns over what is set: capital and small letters are told apart",
            ])
        #expect(try self.warnings("/a/ii x\n/a/ 1\n", .regexp).isEmpty == false)
    }

    @Test func `a pattern that stands there already is warned of where it never counts`() throws {
        let text = "/a/ 1\n/A/ 2\n/a/m 3\n!/a/ 4\nif /b/\n/a/ 5\n/c/ 6\nendif\n/c/ 7\n/c/ 8\n"
        #expect(
            try self.warnings(text) == [
                "6: it never counts: line 1 has the same pattern", "10: it never counts: line 9 has the same pattern",
            ])
    }

    @Test(arguments: ["/^/", "/./", "//", "/.*/", "/^.*$/"])
    func `what stands behind a pattern that matches everything is warned of`(pattern: String) throws {
        let text = "/a/ 1\nif /x/\n\(pattern) 2\n/b/ 3\nendif\n\(pattern) 4\n/c/ 5\n/d/ 6\n"
        #expect(
            try self.warnings(text) == [
                "4: it never counts, nor does any line after it: line 3 matches everything",
                "7: it never counts, nor does any line after it: line 6 matches everything",
            ])
        #expect(try self.warnings("!\(pattern) 1\n/a/ 2\n").isEmpty)
    }

    @Test func `indented lines that look like rules are warned of`() throws {
        let text = "/a/ 1\n  /b/ 2\n\t!/c/ 3\n   more text\n   if so\n   if /d/\n  /no/result\n  endif\n"
        #expect(
            try self.warnings(text)
                == [2, 3, 6, 8].map {
                    "\($0): it begins with a blank and so belongs to line 1, but looks like a rule of its own"
                })
    }

    @Test func `a pattern without result is warned of and gives nothing`() throws {
        #expect(try self.warnings("/a/\n") == ["1: a pattern without result: the result is empty"])
        #expect(try self.lookup("a", "/a/\n") == "1: ")
    }
}

extension PatternTableTests {
    @Test func `patterns that are given up count for nothing, and hide no others`() throws {
        let table = try PatternTable(
            text: "/a/ one\nif /b/\n/x/ two\nendif\n/b/ three\n/c/ four\n", kind: .pcre)
        func value(_ key: String, skipping skipped: Set<Int>) -> String? {
            var faults: [TableFault] = []
            var key = key
            return key.withUTF8 {
                table.lookup(UnsafeRawBufferPointer($0), skipping: skipped, faults: &faults)?.value
            }
        }
        #expect(value("a c", skipping: []) == "one" && value("a c", skipping: [1]) == "four")
        #expect(value("b x", skipping: []) == "two" && value("b x", skipping: [2]) == "three")
        #expect(value("b x", skipping: [3, 5]) == nil)
    }
}
