import Rules
import Testing

/// Queries of pgsql_table(5) as they are prepared.
struct PgsqlQueryTests {
    @Test(arguments: [
        ("SELECT 1 FROM t WHERE a = '%s'", "SELECT 1 FROM t WHERE a = $1"),
        ("SELECT 1 FROM t WHERE a = %s", "SELECT 1 FROM t WHERE a = $1"),
        ("SELECT f('%u','%d')", "SELECT f($1,$2)"),
        ("SELECT 1 WHERE a='%s' OR b='%s'", "SELECT 1 WHERE a=$1 OR b=$2"),
        ("SELECT 1 WHERE a LIKE '%%%s'", "SELECT 1 WHERE a LIKE ('%' || $1::text)"),
        ("SELECT 1 WHERE a LIKE'%%%s%%'", "SELECT 1 WHERE a LIKE('%' || $1::text || '%')"),
        ("SELECT 1 WHERE a LIKE'%s'", "SELECT 1 WHERE a LIKE $1"),
        ("SELECT '%u@%d'", "SELECT ($1::text || '@' || $2::text)"),
        ("SELECT 'it''s %s'", "SELECT ('it''s ' || $1::text)"),
        ("SELECT '%%', 5 %% 2, \"a%%b\"", "SELECT '%', 5 % 2, \"a%b\""),
        ("SELECT E'\\'%s\\n'", "SELECT (e'\\'' || $1::text || e'\\n')"),
        ("SELECT E'%s'", "SELECT $1"), ("SELECT E'a\\'b'", "SELECT e'a\\'b'"),
        ("SELECT '%3.%2.%1'", "SELECT ($1::text || '.' || $2::text || '.' || $3::text)"),
        ("SELECT ''", "SELECT ''"),
    ])
    func `values become parameters`(template: String, statement: String) throws {
        let query = try PgsqlQuery(template: template)
        #expect(query.statement == statement)
    }

    @Test(arguments: [
        "SELECT %x", "SELECT '%", "SELECT 'a", "SELECT \"%s\"", "SELECT \"a", "SELECT $1", "SELECT $$%s$$",
        "SELECT a -- %s",
        "SELECT /* %s */ 1", "SELECT table_%s", "SELECT %s1", "SELECT B'%s1'", "SELECT U&'%s'", "SELECT E'\\%s'", "",
        "  ",
    ])
    func `what cannot be prepared is refused`(template: String) {
        #expect(throws: PgsqlQueryError.self) { try PgsqlQuery(template: template) }
    }

    @Test(
        arguments: [
            ("'%s' '%u' '%d'", "user@a.example.com", ["user@a.example.com", "user", "a.example.com"]),
            ("'%s' '%u' '%d'", "u@s@example.com", ["u@s@example.com", "u@s", "example.com"]),
            ("'%s'", "user", ["user"]), ("'%u'", "user", ["user"]), ("'%d'", "user", nil), ("'%d'", "user@", nil),
            ("'%u'", "@example.com", nil), ("'%d'", "@example.com", ["example.com"]), ("'%s'", "", nil),
            ("'%s'", "a\0b", nil),
            ("'%1' '%2' '%3'", "u@a.example.com", ["com", "example", "a"]), ("'%3'", "u@example.com", nil),
            ("'%2'", "u@example.com.", nil), ("'%1'", "u@", nil), ("'%1'", "example.com", nil), ("'%1'", "u@a..", nil),
            ("'x'", "anything", []), ("'%S%U'", "a@b", ["a@b", "a"]),
        ] as [(String, String, [String]?)])
    func `a key that lacks a part is not asked about`(template: String, key: String, values: [String]?) throws {
        #expect(try PgsqlQuery(template: template).values(for: key) == values)
    }
}

/// Files of pgsql_table(5).
struct PgsqlFileTests {
    private func problems(_ text: String) -> [String] {
        do {
            _ = try PgsqlFile(text)
            return []
        } catch {
            return error.list.map { "\($0.line): \($0.message)" }
        }
    }

    @Test func `a file is read`() throws {
        let file = try PgsqlFile(
            """
            # Recipients.
            hosts = inet:db.example.com:5433, unix:/run/postgresql other
              postgres://u@h/d
            user = postfix
            password = a = b # c
            dbname = mail
            encoding = LATIN1
            query = SELECT 1 FROM t
              WHERE a = '%s'
            list_query = SELECT a FROM t
            expansion_limit = 1
            idle_interval = 30
            domain = Example.com example.net
            option_group = client

            """)
        #expect(
            file.hosts == [
                .name("db.example.com", port: "5433"), .socket("/run/postgresql"), .name("other", port: nil),
                .uri("postgres://u@h/d"),
            ])
        #expect(file.user == "postfix" && file.password == "a = b # c" && file.database == "mail")
        #expect(file.encoding == "LATIN1" && file.idle == .seconds(30) && file.retry == .seconds(60))
        #expect(file.query.statement == "SELECT 1 FROM t  WHERE a = $1" && file.expansionLimit == 1)
        #expect(file.listQuery?.statement == "SELECT a FROM t")
        #expect(file.warnings.map(\.line) == [14])
        #expect(file.values(for: "a@EXAMPLE.com") == ["a@EXAMPLE.com"])
        for key in ["a@example.org", "@example.com", "example.com", "a"] { #expect(file.values(for: key) == nil) }
    }

    @Test(arguments: [
        ("select_function = f", "SELECT f($1)"),
        ("select_field = v\ntable = t\nwhere_field = k", "SELECT v FROM t WHERE k = $1"),
        (
            "select_field = v\ntable = t\nwhere_field = k\nadditional_conditions = AND x = '1'",
            "SELECT v FROM t WHERE k = $1 AND x = '1'"
        ),
        ("select_function = f\nquery = SELECT 1", "SELECT 1"),
    ])
    func `old forms become queries`(lines: String, statement: String) throws {
        #expect(try PgsqlFile("dbname = x\n\(lines)\n").query.statement == statement)
    }

    @Test(arguments: [
        ("query = SELECT 1\n", ["1: dbname is missing"]),
        ("dbname = x\n", ["1: there is no query"]),
        ("hosts = a\nquery = SELECT 1\n", ["1: dbname is missing"]),
        (
            "dbname = x\nquery = SELECT %x\n",
            ["2: query: unknown placeholder %x; there are %s, %u, %d, %1 to %9 and %%"]
        ),
        ("dbname = x\nnonsense\nquery = SELECT 1\n", ["2: not of the form name = value"]),
        ("dbname = x\nqeury = SELECT 1\nquery = SELECT 1\n", ["2: unknown name 'qeury'"]),
        ("dbname = x\nquery = SELECT 1\nquery = SELECT 2\n", ["3: query stands in line 2 already"]),
        ("dbname = x\nquery = SELECT 1\nexpansion_limit = x\n", ["3: expansion_limit is not a number from 0"]),
        ("dbname = x\nquery = SELECT 1\nretry_interval = 0\n", ["3: retry_interval is not a number from 1"]),
        (
            "dbname = x\nquery = SELECT 1\nhosts = :1 h:x h:99999\n",
            ["3: ':1' is not a host", "3: 'h:x' is not a host", "3: 'h:99999' is not a host"]
        ),
        (
            "dbname = x\nquery = SELECT 1\ndomain = hash:/x\n",
            ["3: 'hash:/x' is not a domain; files and tables are not read here"]
        ),
        (
            "dbname = x\nquery = SELECT 1\nlist_query = SELECT '%s'\n",
            ["3: list_query is asked without a key: it has no placeholders"]
        ),
        (
            "dbname = x\nquery = SELECT 1\nresult_format = %q\n",
            ["3: result_format has an unknown placeholder, or is empty"]
        ),
    ])
    func `every problem has its line`(text: String, problems: [String]) {
        #expect(self.problems(text) == problems)
    }

    @Test func `a URI needs no dbname`() throws {
        #expect(self.problems("hosts = postgresql://h/d\nquery = SELECT 1\n") == [])
    }

    @Test(
        arguments: [
            ("%s", [["a", nil], ["b", ""]], "a,b"), ("smtp:[%s]", [["h"]], "smtp:[h]"),
            ("%%%d", [["u@x"], ["u"]], "%x"),
            ("%u-%U-%1", [["v@x"]], "v-user-com"), ("%S", [["anything"]], "user@example.com"), ("%s", [], nil),
            ("%s", [[nil]], nil),
        ] as [(String, [[String?]], String?)])
    func `values are put together in their format`(format: String, rows: [[String?]], result: String?) throws {
        let file = try PgsqlFile("dbname = x\nquery = SELECT 1\nresult_format = \(format)\n")
        #expect(try file.result(rows, key: "user@example.com") == result)
    }

    @Test func `a format that wants more of the key than it has keeps the query from being made`() throws {
        let file = try PgsqlFile("dbname = x\nquery = SELECT '%s'\nresult_format = %D\n")
        #expect(file.values(for: "user") == nil && file.values(for: "user@x") == ["user@x"])
    }

    @Test func `more values than allowed are an error`() throws {
        let file = try PgsqlFile("dbname = x\nquery = SELECT 1\nexpansion_limit = 1\n")
        #expect(throws: PgsqlLimitExceeded(limit: 1)) { try file.result([["a"], ["b"]], key: "k") }
        #expect(try file.result([["a"], [""]], key: "k") == "a")
    }
}
