import Mail
import Rules
import Testing

/// Postfix's cidr_table(5) (SEMANTICS §5).
struct CIDRTableTests {
    /// `LINE: VALUE` of what is found for an address.
    private func lookup(_ address: String, _ table: CIDRTable) throws -> String? {
        table.lookup(try #require(IPAddress(address))).map { "\($0.line): \($0.value)" }
    }

    private func problems(_ text: String) -> [String] {
        do {
            _ = try CIDRTable(text: text)
            return []
        } catch {
            return error.list.map { "\($0.line): \($0.message)" }
        }
    }

    private func warnings(_ text: String) throws -> [String] {
        try CIDRTable(text: text).warnings.map { "\($0.line): \($0.message)" }
    }

    @Test func `the first line that matches counts, not the closest`() throws {
        let table = try CIDRTable(
            text: """
                10.1.2.3        OK one address
                10.1.0.0/16     REJECT 5.7.1 a network
                10.0.0.0/8\tDUNNO
                2001:db8::/32   v6
                10.1.2.4        hidden
                0.0.0.0/0       all of IPv4
                """)
        #expect(try self.lookup("10.1.2.3", table) == "1: OK one address")
        #expect(try self.lookup("10.1.2.4", table) == "2: REJECT 5.7.1 a network")
        #expect(try self.lookup("10.2.2.4", table) == "3: DUNNO")
        #expect(try self.lookup("2001:db8:ffff::1", table) == "4: v6")
        #expect(try self.lookup("2001:db9::1", table) == nil)
        #expect(try self.lookup("11.0.0.1", table) == "6: all of IPv4")
        #expect(try self.lookup("::ffff:11.0.0.1", table) == "6: all of IPv4")
    }

    @Test(arguments: [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"), ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
        ("192.0.2.1/32", "192.0.2.1", "192.0.2.3"), ("192.0.2.0/024", "192.0.2.7", "192.0.1.7"),
        ("[192.0.2.0]/24", "192.0.2.1", "192.0.1.1"), ("[192.0.2.0/24]", "192.0.2.1", "192.0.1.1"),
        ("[192.0.2.1]", "192.0.2.1", "192.0.2.2"), ("[2001:db8::]/32", "2001:db8:1::", "2001:db9::"),
        ("[2001:DB8::/33]", "2001:db8:7fff::", "2001:db8:8000::"), ("2001:db8::/127", "2001:db8::1", "2001:db8::2"),
        ("::/0", "2001:db8::1", "192.0.2.1"), ("0.0.0.0/0", "192.0.2.1", "::1"), ("::1", "::1", "::2"),
    ])
    func `an address or a network stands on the left`(pattern: String, inside: String, outside: String) throws {
        let table = try CIDRTable(text: "\(pattern) x")
        #expect(try self.lookup(inside, table) == "1: x")
        #expect(try self.lookup(outside, table) == nil)
    }

    @Test func `a negated network matches what is outside of it in its family`() throws {
        for text in ["!10.0.0.0/8 x", "! 10.0.0.0/8 x", "!!! 10.0.0.0/8 x", "! ! !10.0.0.0/8\tx"] {
            let table = try CIDRTable(text: text)
            #expect(try self.lookup("11.0.0.1", table) == "1: x")
            #expect(try self.lookup("10.0.0.1", table) == nil)
            #expect(try self.lookup("2001:db8::1", table) == nil)
        }
        #expect(try self.lookup("10.0.0.1", try CIDRTable(text: "!!10.0.0.0/8 x")) == "1: x")
        #expect(try self.lookup("::2", try CIDRTable(text: "!::1 x")) == "1: x")
    }

    @Test func `lines between if and endif are for what the if matches`() throws {
        let table = try CIDRTable(
            text: """
                if 10.0.0.0/8
                10.1.0.0/16 one
                IF ! 10.2.0.0/16
                10.3.0.0/16 three
                if!10.4.0.0/16
                0.0.0.0/0 inner
                ENDIF
                endif
                10.2.0.0/16 two
                endif
                if ! [2001:db8::]/32
                ::/0 other v6
                192.0.2.0/24 never
                endif
                0.0.0.0/0 rest
                """)
        #expect(try self.lookup("10.1.0.1", table) == "2: one")
        #expect(try self.lookup("10.2.0.1", table) == "9: two")
        #expect(try self.lookup("10.3.0.1", table) == "4: three")
        #expect(try self.lookup("10.4.0.1", table) == "15: rest")
        #expect(try self.lookup("10.5.0.1", table) == "6: inner")
        #expect(try self.lookup("192.0.2.1", table) == "15: rest")
        #expect(try self.lookup("2001:db8::1", table) == nil)
        #expect(try self.lookup("2001:db9::1", table) == "12: other v6")
    }

    @Test func `an empty block is skipped`() throws {
        let table = try CIDRTable(text: "if 10.0.0.0/8\nif 10.1.0.0/16\nendif\nendif\n0.0.0.0/0 x\n")
        #expect(try self.lookup("10.1.0.1", table) == "5: x")
        #expect(try self.lookup("11.1.0.1", table) == "5: x")
        #expect(try self.lookup("11.1.0.1", try CIDRTable(text: "# nothing\n")) == nil)
        #expect(try self.lookup("11.1.0.1", try CIDRTable(text: "")) == nil)
    }

    @Test func `comments, empty lines and continuations are those of every table`() throws {
        let table = try CIDRTable(
            text: "# x\n\n10.0.0.0/8\n# between\n  REJECT\n\tnow # not a comment \r\n11.0.0.0/8 x")
        #expect(try self.lookup("10.0.0.1", table) == "3: REJECT\tnow # not a comment")
        #expect(try self.lookup("11.0.0.1", table) == "7: x")
    }

    @Test(arguments: [
        ("10.0.0.1/8 x", "'10.0.0.1/8' has bits behind its prefix: probably '10.0.0.0/8' is meant"),
        ("![2001:db8::1]/32 x", "'[2001:db8::1]/32' has bits behind its prefix: probably '2001:db8::/32' is meant"),
        ("1::/0 x", "'1::/0' has bits behind its prefix: probably '::/0' is meant"),
        ("if 10.0.0.1/8\nendif", "'10.0.0.1/8' has bits behind its prefix: probably '10.0.0.0/8' is meant"),
        ("10.0.0.0/8", "a network without value: '10.0.0.0/8'"),
        ("! 10.0.0.0/8", "a network without value: '10.0.0.0/8'"),
        ("!", "a network is missing"), ("! !", "a network is missing"),
        ("if\nendif", "a network is missing"), ("if !\nendif", "a network is missing"),
        ("10.0.0.0/33 x", "'10.0.0.0/33' is neither an address nor a network"),
        ("10.0.0.0/ x", "'10.0.0.0/' is neither an address nor a network"),
        ("10.0.0.0/8x x", "'10.0.0.0/8x' is neither an address nor a network"),
        ("10.0.0.0/+8 x", "'10.0.0.0/+8' is neither an address nor a network"),
        ("10.0.0.0/99999999999999999999 x", "'10.0.0.0/99999999999999999999' is neither an address nor a network"),
        ("10.0.0.0/255.0.0.0 x", "'10.0.0.0/255.0.0.0' is neither an address nor a network"),
        ("010.0.0.0/8 x", "'010.0.0.0/8' is neither an address nor a network"),
        ("10.0.0 x", "'10.0.0' is neither an address nor a network"),
        ("10. x", "'10.' is neither an address nor a network"),
        ("client.test x", "'client.test' is neither an address nor a network"),
        ("iffy x", "'iffy' is neither an address nor a network"),
        ("[] x", "'[]' is neither an address nor a network"),
        ("[10.0.0.0/8]/8 x", "'[10.0.0.0/8]/8' is neither an address nor a network"),
        ("[1234 x", "']' is missing in '[1234'"), ("[::1]x x", "text behind ']' in '[::1]x'"),
        (
            "::ffff:192.0.2.0/120 x",
            "'::ffff:192.0.2.0/120' is IPv4-mapped, and no client is looked up so: write '192.0.2.0/24'"
        ),
        (
            "::ffff:192.0.2.1 x",
            "'::ffff:192.0.2.1' is IPv4-mapped, and no client is looked up so: write '192.0.2.1/32'"
        ),
        ("::ffff:192.0.2.0/24 x", "'::ffff:192.0.2.0/24' is IPv4-mapped, and no client is looked up so"),
        ("endif", "an 'endif' without 'if'"), ("endif x", "an 'endif' without 'if'"),
        ("if 10.0.0.0/8\nif 10.0.0.1\nendif", "an 'if' without 'endif'"),
        ("\u{1}", "a control character"),
    ])
    func `a problem is told with its line`(text: String, message: String) {
        #expect(self.problems(text) == ["1: \(message)"])
    }

    @Test func `an if takes no value, not even by continuing`() {
        let note = "(lines that begin with a blank continue it)"
        #expect(
            self.problems("if 10.0.0.0/8 OK\nendif\nif 10.0.0.0/8\n  10.1.0.0/16 OK\nendif\n") == [
                "1: an 'if' takes a network and no value: '10.0.0.0/8 OK' \(note)",
                "3: an 'if' takes a network and no value: '10.0.0.0/8  10.1.0.0/16 OK' \(note)",
            ])
    }

    @Test func `every problem is told, in the order of lines`() {
        let text = "if 10.0.0.0/8\n10.0.0.1/8 x\n\nif x\nendif\n1.2.3.4\nendif x\nendif\nif ::1\n"
        #expect(self.problems(text).map { $0.prefix(1) } == ["2", "4", "6", "7", "8", "9"])
    }

    @Test func `a line that another hides is warned of`() throws {
        #expect(
            try self.warnings(
                """
                10.0.0.0/8 x
                10.1.0.0/16 hidden
                10.0.0.0/8 hidden
                ::/0 x
                !2001:db8::/32 hidden
                !10.0.0.0/8 not hidden
                8.0.0.0/5 wider, not hidden
                if 10.0.0.0/8
                10.1.2.3 hidden
                11.0.0.0/8 hidden by a wider one
                1.0.0.0/8 not hidden
                1.2.0.0/16 hidden here
                endif
                1.2.0.0/16 not hidden
                """
            ) == [
                "2: '10.1.0.0/16' never counts: line 1 matches all of it",
                "3: '10.0.0.0/8' never counts: line 1 matches all of it",
                "5: '!2001:db8::/32' never counts: line 4 matches all of it",
                "9: '10.1.2.3/32' never counts: line 1 matches all of it",
                "10: '11.0.0.0/8' never counts: line 7 matches all of it",
                "12: '1.2.0.0/16' never counts: line 11 matches all of it",
            ])
    }

    @Test func `indented lines that look like rules are warned of`() throws {
        let text = "10.0.0.0/8 a\n  192.0.2.0/24 b\n  more text\n  if 10.0.0.0/8\n  endif\n  !::/0 c\n  10.0.0.1\n"
        #expect(
            try self.warnings(text)
                == [2, 4, 5, 6].map {
                    "\($0): it begins with a blank and so belongs to line 1, but looks like a rule of its own"
                })
    }
}
