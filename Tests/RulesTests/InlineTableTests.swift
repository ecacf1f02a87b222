import Rules
import Testing

/// Tables that stand in the configuration. Those that Postfix tests are marked with its test.
struct InlineTableTests {
    private func table(_ name: String) throws -> RuleTable { try #require(try RuleTable(inConfiguration: name)) }

    private func lookup(_ key: String, _ name: String) throws -> String? {
        var faults: [TableFault] = []
        return try self.table(name).lookup(key, faults: &faults)?.value
    }

    private func problem(_ name: String) -> String? {
        do {
            _ = try RuleTable(inConfiguration: name)
            return nil
        } catch {
            return error.message
        }
    }

    /// dict_inline.ref
    @Test func `keys and values stand in braces`() throws {
        let name = "inline:{ foo=XX, { bAr = lotsa stuff }}"
        #expect(try self.lookup("foo", name) == "XX")
        #expect(try self.lookup("bar", name) == "lotsa stuff")
        #expect(try self.lookup("BAR", name) == "lotsa stuff")
        #expect(try self.lookup("baz", name) == nil)
        #expect(try self.table(name).isIndexed)
    }

    @Test func `keys may be quoted, and values hold braces and signs`() throws {
        let name = #"inline:{ {"a b\"c" = d}, e={f g}, {h = i = j, k} l=}"#
        #expect(try self.lookup(#"a b"c"#, name) == "d")
        #expect(try self.lookup("e", name) == "{f g}")
        #expect(try self.lookup("h", name) == "i = j, k")
        #expect(try self.lookup("l", name) == "")
    }

    /// dict_inline.ref
    @Test func `what is no inline table is an error`() {
        #expect(self.problem("inline:{ }") == "'{ }' holds nothing; write {key=value, …}")
        #expect(self.problem("inline:{ foo = xx }") == "'foo' has no '=' behind its key")
        #expect(self.problem("inline:{ foo=xx }x") == "text behind '}' in '{ foo=xx }x'")
        #expect(self.problem("inline:{ foo=xx x") == "'}' is missing in '{ foo=xx x'")
        #expect(self.problem("inline:{ foo=xx {x=y}x}") == "text behind '}' in '{x=y}x'")
        #expect(self.problem("inline:foo") == "'foo' does not begin with '{'")
        #expect(self.problem("inline:{ =x }") == "'=x' has no key")
        #expect(self.problem("inline:{ {\"a = x} }") == "'\"' is missing in '\"a = x'")
        #expect(self.problem("inline:{ a=1, A=2 }") == "key 'a' stands there twice")
    }

    /// dict_static.ref
    @Test func `a static table says the same to every key`() throws {
        #expect(try self.lookup("foo", "static:fooxx") == "fooxx")
        #expect(try self.lookup("bar", "static:{ foo xx }") == "foo xx")
        #expect(try self.lookup("bar", "static:550 no: really") == "550 no: really")
        #expect(self.problem("static:{ foo xx ") == "'}' is missing in '{ foo xx '")
        #expect(self.problem("static:{ foo xx }x") == "text behind '}' in '{ foo xx }x'")
    }

    @Test func `a name may have several lines, and values have one`() throws {
        #expect(try self.lookup("a", "inline:{\n  {a =\r\n b\n c}\n}") == "b  c")
        #expect(try self.lookup("b", "pcre:{\n{/a/ 1},\n{/b/\n 2}\n}") == "2")
        #expect(try self.lookup("b", "static:x\ny") == "x y")
        #expect(self.problem("static:x\0y") == "a control character")
    }

    /// dict_inline_cidr.ref, dict_inline_pcre.ref, dict_inline_regexp.ref
    @Test func `rules stand in braces of their own`() throws {
        #expect(try self.lookup("1.2.3.4", "cidr:{{1.2.3.4 got 1.2.3.4}}") == "got 1.2.3.4")
        #expect(try self.lookup("4.3.2.1", "cidr:{{1.2.3.4 got 1.2.3.4}}") == nil)
        for type in ["pcre", "regexp"] {
            #expect(try self.lookup("foo", "\(type):{{/foo/ got foo}}") == "got foo")
            #expect(try self.lookup("bar", "\(type):{{/foo/ got foo}}") == nil)
        }
    }

    @Test func `rules are separated by commas or blanks, and hold blocks and braces`() throws {
        let name = "pcre:{ {if /a/}, { /^(a{2})$/  $1 two }{ endif } {/./ other} }"
        #expect(self.problem(name) == "text behind '}' in '{ /^(a{2})$/  $1 two }{ endif }'")
        let right = name.replacing("}{", with: "} {")
        #expect(try self.lookup("aa", right) == "aa two")
        #expect(try self.lookup("b", right) == "other")
        #expect(try self.table(right).values.map(\.line) == [2, 4])
    }

    @Test func `problems of rules are told with their numbers`() {
        #expect(
            self.problem("cidr:{ {10.0.0.0/8 OK}, {10.0.0.0/8}, {x y} }")
                == "rule 2: a network without value: '10.0.0.0/8'; rule 3: 'x' is neither an address nor a network")
        #expect(self.problem("pcre:{ /a/ b }") == "'/a/' has no braces around it; write {{rule}, {rule}, …}")
    }

    @Test func `other names are those of files, and only tables of rules can stand in braces`() throws {
        for name in ["pcre:x", "x", "", "ldap:{x}", "texthash:/x"] {
            #expect(try RuleTable(inConfiguration: name) == nil)
        }
        #expect(self.problem("texthash:{ a=b }") == "texthash: is read from files only; write inline:{ a=b }")
    }
}
