import Mail
import PostfixImport
import Testing

struct LogicalTextTests {
    @Test func `lines that begin with a blank continue the one before, over comments and empty lines`() {
        let text = LogicalText("a = 1\n\n# comment\n  2\n#x\n\t3\nb = 4\n")
        #expect(text.lines.map(\.text) == ["a = 1  2\t3", "b = 4"])
        #expect(text.lines.map(\.number) == [1, 7])
        #expect(text.lines.first?.number(at: 8) == 6)
    }

    @Test func `a first line that begins with a blank continues nothing`() {
        let text = LogicalText(" a = 1\n more\nb = 2\n")
        #expect(text.lines.map(\.text) == ["b = 2"])
        #expect(text.strayLines == [1, 2])
    }
}

struct MainFileTests {
    @Test func `a setting has a name, a value without blanks around it, and a line`() throws {
        let file = try MainFile("  # x\nname=  a value \nother = \n\t# no end\n  two\n", file: "main.cf")
        #expect(file.settings.map(\.name) == ["name", "other"])
        #expect(file.settings.map(\.value) == ["a value", "two"])
        #expect(file.settings.map(\.line) == [2, 3])
    }

    @Test func `a comment behind a value is part of the value`() throws {
        let file = try MainFile("a = 1 # one\n", file: "main.cf")
        #expect(file.settings.first?.value == "1 # one")
    }

    @Test func `the line of a word is that of its physical line`() throws {
        let file = try MainFile("a = one,\n  # two\n  two, three\n  twofold\n", file: "main.cf")
        let setting = try #require(file.settings.first)
        #expect(setting.line(of: "two") == 3)
        #expect(setting.line(of: "twofold") == 4)
        #expect(setting.line(of: "nothing") == 1)
    }

    @Test func `a line without an equals sign is an error with its line`() {
        let error = #expect(throws: FileError.self) { try MainFile("a = 1\n\nno sign\n", file: "main.cf") }
        #expect(error?.line == 3)
        #expect(throws: FileError.self) { try MainFile("= 1\n", file: "main.cf") }
    }
}

struct MasterFileTests {
    @Test func `a service has its settings, with and without braces`() throws {
        let text = """
            smtp inet n - y - - smtpd
              -o smtpd_helo_required=yes -o { smtpd_client_restrictions = permit_mynetworks, reject }
              -oone=two
            policy unix - n n - 0 spawn user=nobody argv=/usr/bin/policy
            """
        let services = try MasterFile(text, file: "master.cf").services
        #expect(services.map(\.name) == ["smtp", "policy"])
        #expect(services[0].overrides.map(\.name) == ["smtpd_helo_required", "smtpd_client_restrictions", "one"])
        #expect(services[0].overrides.map(\.value) == ["yes", "permit_mynetworks, reject", "two"])
        #expect(services[0].overrides.map(\.line) == [2, 2, 3])
        #expect(services[1].arguments == ["user=nobody", "argv=/usr/bin/policy"])
    }

    @Test(arguments: [
        "smtp inet n - y - -", "smtp internet n - y - - smtpd", "smtp inet x - y - - smtpd",
        "a inet n - y - - smtpd -o",
    ])
    func `what master refuses is an error with its line`(text: String) {
        let error = #expect(throws: FileError.self) { try MasterFile("# x\n\(text)\n", file: "master.cf") }
        #expect(error?.line == 2)
    }

    @Test(arguments: [
        ("smtp", "", "smtp"), ("127.0.0.1:25", "127.0.0.1", "25"), ("[::1]:smtp", "::1", "smtp"),
    ])
    func `an address may stand before the port`(name: String, host: String, port: String) throws {
        let service = try #require(try MasterFile("\(name) inet n - y - - smtpd", file: "m").services.first)
        #expect(service.endpoint?.host == host)
        #expect(service.endpoint?.port == port)
    }
}

struct MacroExpansionTests {
    private static let values = [
        "a": "1", "empty": "", "chain": "<$a>", "compatibility_level": "3.6", "loop": "$loop", "words": "x y",
    ]

    private func expand(_ text: String) throws -> String {
        var expansion = MacroExpansion { Self.values[$0] }
        return try expansion.expand(text)
    }

    /// Each as Postfix's mac_expand has it.
    @Test(arguments: [
        ("plain", "plain"), ("$a", "1"), ("${a}", "1"), ("$(a)", "1"), ("${ a }", "1"), ("$a$a-$chain", "11-<1>"),
        ("$$a", "$a"), ("$nothing", ""), ("${a?yes}", "yes"), ("${empty?yes}", ""), ("${a:no}", ""),
        ("${empty:no}", "no"), ("${nothing:no}", "no"), ("${a?{yes}:{no}}", "yes"), ("${empty?{yes}:{no}}", "no"),
        ("${a ? {yes} : {no}}", "yes"), ("${empty ? { yes } : { no }}", " no "), ("${a?x:y}", "x:y"),
        ("${empty?x:y}", ""), ("${a?{$chain}}", "<1>"), ("${{$a} == {1} ? {t} : {f}}", "t"),
        ("${{$a} != {1} ? {t} : {f}}", "f"), ("${{10} > {9} ? {t} : {f}}", "t"), ("${{b10} > {b9} ? {t} : {f}}", "f"),
        ("${{$a} == {1}}", "true"), ("${{$a} == {2}}", ""),
        ("${{$compatibility_level} <level {3.10} ? {old} : {new}}", "old"),
        ("${{$compatibility_level} >=level {3.6} ? {new} : {old}}", "new"), ("${stress?{1}:{20}}", "20"),
        ("${a?{${empty?{x}:{y}}}:{z}}", "y"),
    ])
    func `names and choices are put in`(text: String, expected: String) throws {
        #expect(try self.expand(text) == expected)
    }

    @Test(arguments: [
        "$", "${}", "${a", "$(a", "$loop", "${a!}", "${{1} = {1} ? {x}}", "${{1} == 1 ? {x}}", "${a?{x}{y}}",
        "${a?{x}:{y}z}", "${{1} <size {2} ? {x}}", "${{a} <level {b} ? {x}}",
    ])
    func `what Postfix does not start with is a problem`(text: String) {
        #expect(throws: MacroExpansion.Problem.self) { try self.expand(text) }
    }

    @Test func `names without a value are told`() throws {
        var expansion = MacroExpansion { Self.values[$0] }
        #expect(try expansion.expand("$gone ${left?x} $a") == "  1")
        #expect(expansion.undefined == ["gone"])
    }

    @Test func `what doubles itself at each level ends`() {
        let values = Dictionary(uniqueKeysWithValues: (0..<30).map { ("v\($0)", "$v\($0 + 1)$v\($0 + 1)") })
        var expansion = MacroExpansion { values[$0] }
        #expect(throws: MacroExpansion.Problem.self) { try expansion.expand("$v0") }
    }
}

struct WordsTests {
    @Test(arguments: [
        ("a, b\tc,,d", ["a", "b", "c", "d"]), ("{ a, b } c", ["{ a, b }", "c"]), ("", []),
        ("cidr:{{1.2.3.4 OK}, {::/0 REJECT}}, x", ["cidr:{{1.2.3.4 OK}, {::/0 REJECT}}", "x"]), ("a}, b", ["a}", "b"]),
    ])
    func `braces keep words together`(text: String, words: [String]) {
        #expect(Words.split(text) == words)
    }
}

struct TemplateMarkTests {
    @Test(arguments: [
        ("a = 1\nmyhostname = {{ fqdn }}\n", 2, 14), ("{% if x %}\n", 1, 1), ("# {% if x %}\n", 1, 3),
        ("a = {{ .FQDN }}", 1, 5), ("relayhost = [{{ host }}]:{{ port }}", 1, 14), ("a = @@HOST@@", 1, 5),
        ("a = PH_HOSTNAME", 1, 5), ("x = smtp:_HOST_:25", 1, 10), ("x = __HOST__", 1, 5), ("{# (C) #}", 1, 1),
        ("a = <%= @host %>", 1, 5), ("é = {{ x }}", 1, 5), ("a = {{- x }}", 1, 5), ("x = {{ 'a' | b }}", 1, 5),
    ])
    func `a template has a place`(text: String, line: Int, column: Int) throws {
        let mark = try #require(TemplateMark.first(in: text))
        #expect(mark.line == line)
        #expect(mark.column == column)
    }

    @Test(arguments: [
        "a = pcre:{{/x/ REJECT}}", "a = cidr:{{1.2.3.4 OK}, {!::/0 OK}}", "a = ${{$b} == {c} ? {d} : {e}}",
        "a = inline:{{x = y z}, u = v}", "# {{ ansible_managed }}", "a = regexp:{{if /x/}, {/y/ OK}, {endif}}",
        "my_own_name = a_b_c", "a = ${{yes} == {yes} ? {x}}", "b = _lower_ USER_NAME",
        "c = { inet:127.0.0.1:1, { default_action = DUNNO } }",
    ])
    func `what Postfix writes with braces is no template`(text: String) {
        #expect(TemplateMark.first(in: text) == nil)
    }
}
