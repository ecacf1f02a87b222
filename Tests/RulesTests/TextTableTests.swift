import Mail
import Rules
import Testing

/// Postfix's text format (SEMANTICS §5).
struct TextTableTests {
    private func values(_ text: String) throws -> [String: String] {
        try TextTable(text).entries.mapValues(\.value)
    }

    /// `LINE: VALUE`
    private func entry(_ key: String, _ table: TextTable) -> String? {
        table[key].map { "\($0.line): \($0.value)" }
    }

    /// `LINE: MESSAGE`
    private func problems(_ text: String) -> [String] {
        do {
            _ = try TextTable(text)
            return []
        } catch {
            return error.list.map { "\($0.line): \($0.message)" }
        }
    }

    private func lines(_ text: String) -> [String] { self.problems(text).map { String($0.prefix { $0 != ":" }) } }

    @Test func `a line is a key, blanks and a value`() throws {
        let table = try TextTable("a.test  smtp:[h]:25\nb.test\tOK and more \t\n")
        #expect(self.entry("a.test", table) == "1: smtp:[h]:25")
        #expect(self.entry("b.test", table) == "2: OK and more")
        #expect(table.keys == ["a.test", "b.test"])
        #expect(table["c.test"] == nil)
    }

    @Test(arguments: ["", "\n", "\n\n \t\n", "# only\n  # comments", "\r\n\r\n"])
    func `a table without entries is empty`(text: String) throws {
        #expect(try self.values(text).isEmpty)
    }

    @Test func `comments and empty lines stand anywhere, also before a continuation`() throws {
        let text = "# x\n\na 1\n# between\n   # indented\n\n  2\nb 3 # no comment\n#c 4\n"
        #expect(try self.values(text) == ["a": "1  2", "b": "3 # no comment"])
    }

    @Test func `lines that begin with a blank continue the line before`() throws {
        let table = try TextTable("a\n  1\n\t2\nb 3\n")
        #expect(self.entry("a", table) == "1: 1\t2")
        #expect(self.entry("b", table) == "4: 3")
    }

    @Test func `a continuation of nothing is an error`() {
        #expect(self.lines("# x\n  a 1\nb 2\n") == ["2"])
    }

    @Test func `line ends are LF or CRLF, and the last may be missing`() throws {
        let expected = ["a": "1 2", "b": "3"]
        #expect(try self.values("a 1\n 2\nb 3\n") == expected)
        #expect(try self.values("a 1\r\n 2\r\nb 3\r\n") == expected)
        #expect(try self.values("a 1\n 2\nb 3") == expected)
        #expect(try self.values("a 1\r\n 2\r\nb 3") == expected)
        #expect(try self.values("a 1\r\n 2\nb 3\r\n") == expected)
    }

    @Test func `a key without value is an error with its line`() {
        #expect(
            self.problems("a 1\n\nb\nc 2\nd \t\n") == [
                "3: a key without value: 'b'",
                "5: a key without value: 'd'",
            ])
    }

    @Test func `a key that comes twice is an error, also in other letters`() {
        #expect(
            self.problems("User@Example.test 1\nb 2\nuser@example.TEST 3\n") == [
                "3: key 'user@example.test' stands in line 1 already"
            ])
    }

    @Test func `keys are folded and values are not`() throws {
        let table = try TextTable("User@EXAMPLE.test OK\nPostmaster@Bücher.Example Yes\nÜser@bücher.example x\n")
        #expect(table["user@example.test"]?.value == "OK")
        #expect(table["postmaster@xn--bcher-kva.example"]?.value == "Yes")
        #expect(table["üser@xn--bcher-kva.example"]?.value == "x")
        #expect(table["User@EXAMPLE.test"] == nil)
    }

    @Test(arguments: ["USER@Example.Test", "Postmaster@BÜCHER.example", ".Bücher.example", "*", ""])
    func `a key is found as it was written`(key: String) throws {
        let table = try TextTable((key.isEmpty ? "x" : key) + " OK\n")
        #expect((table[TextTable.fold(key)] != nil) == !key.isEmpty)
    }

    @Test func `long lines are whole`() throws {
        let value = String(repeating: "v", count: 1 << 20)
        let key = String(repeating: "k", count: 100_000)
        let table = try TextTable("\(key) \(value)\n \(value)\n")
        #expect(table[key]?.value == "\(value) \(value)")
    }

    @Test(arguments: ["\0", "\u{1B}[2J", "\u{7F}", "\r", "\u{B}"])
    func `control characters are an error with their line`(text: String) {
        #expect(self.problems("a 1\nb x\(text)y\nc 2\n") == ["2: a control character"])
        #expect(self.lines("a 1\nb\(text) y\nc 2\n") == ["2"])
    }

    @Test func `every problem is told at once`() {
        #expect(Set(self.lines(" x\na\nb 1\nb 2\nc \0\n")) == ["1", "2", "4", "5"])
    }

    @Test func `blanks before a continuation count, and those at the end do not`() throws {
        #expect(try self.values("a  1 \t\n 2 \t\n") == ["a": "1 \t 2"])
        #expect(try self.values("a  1 \r\n 2 \r\n") == ["a": "1  2"])
    }

    @Test func `an indented line that looks like an entry is warned of`() throws {
        let text = """
            a.test smtp:[b.test]
              c.test smtp:[d.test]
              .c.test smtp:[d.test]
            user@a.test
              user@b.test and more
              user@c.test OK
              more text
              more.text
              end. of text
              a@b.test, c@d.test
            """
        #expect(
            try TextTable(text).warnings.map { "\($0.line): \($0.message)" } == [
                "2: it begins with a blank and so belongs to line 1, but looks like a rule of its own",
                "3: it begins with a blank and so belongs to line 1, but looks like a rule of its own",
                "6: it begins with a blank and so belongs to line 4, but looks like a rule of its own",
            ])
    }

    @Test func `domains of addresses are told once`() throws {
        let table = try TextTable("a@b.test 1\nc@B.test 1\n@d.test 1\n\"x@y\"@b.test 1\ne.test 1\n")
        #expect(table.domains == ["b.test", "d.test"])
        #expect(table.count == 5)
    }

    @Test func `every key of many is found, and no other`() throws {
        let table = try TextTable((0..<5000).map { "k\($0) v\($0)\n" }.joined())
        #expect((0..<5000).allSatisfy { self.entry("k\($0)", table) == "\($0 + 1): v\($0)" })
        #expect((5000..<10_000).allSatisfy { table["k\($0)"] == nil })
    }

    @Test func `a table of many entries is read in reasonable time`() throws {
        let text = (0..<20_000).map { "user\($0)@example.test OK\n" }.joined()
        let clock = ContinuousClock()
        var count = 0
        let time = try clock.measure { count = try TextTable(text).keys.count }
        #expect(count == 20_000)
        #expect(time < .seconds(5))
    }
}
