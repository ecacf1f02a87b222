import Mail

/// Tables that are written in the same way.
package enum TableKind: CaseIterable, Sendable {
    case text, cidr, pcre, regexp, inline, fixed, database

    package init(_ type: RuleTable.FileType) {
        switch type {
        case .hash, .texthash, .lmdb, .btree: self = .text
        case .cidr: self = .cidr
        case .pcre: self = .pcre
        case .regexp: self = .regexp
        }
    }

    /// As they stand before the colon.
    package var names: [String] {
        switch self {
        case .text, .cidr, .pcre, .regexp:
            RuleTable.FileType.allCases.filter { TableKind($0) == self }.map(\.rawValue).sorted(by: Self.isUsual)
        case .inline: ["inline"]
        case .fixed: ["static"]
        case .database: ["pgsql"]
        }
    }

    /// `texthash` comes first: the other names are there for those who come from Postfix.
    private static func isUsual(_ left: String, _ right: String) -> Bool { left == "texthash" && right != left }

    var chapterBlocks: [ReferenceChapter.Block] {
        [.title(self.title)] + self.texts.map { .text($0) } + self.examples.map { .example($0) }
    }

    private var title: String {
        switch self {
        case .text: "Keys: \(self.names.map { "`\($0):`" }.joined(separator: ", "))"
        case .cidr: "Networks: `cidr:`"
        case .pcre: "Patterns: `pcre:`"
        case .regexp: "Patterns of the C library: `regexp:`"
        case .inline: "In the configuration: `inline:`, and rules in braces"
        case .fixed: "The same for all: `static:`"
        case .database: "A data base: `pgsql:`"
        }
    }

    private var texts: [String] {
        switch self {
        case .text:
            [
                """
                A key, blanks, a value. The four names are one type, that of Postfix's source files: no `postmap` is
                needed, and files that it made are not read. Keys are folded to small letters, domains that are not
                ASCII to A-labels. A key that comes twice is an error. `transport`, `relay_domains` and
                `relay_recipients` take no other types, the last but `pgsql:`.
                """
            ]
        case .cidr:
            [
                """
                An address or network, blanks, a value. The first line that matches counts. `!` before a network turns
                it around: it matches the other addresses of IPv4, or of IPv6. Between `if NETWORK`, or `if !NETWORK`,
                and `endif` stand lines that count for these addresses only; they are not indented. Brackets may stand
                around an address. Bits behind the prefix are an error, and so are IPv4-mapped addresses, which are IPv4
                here.
                """
            ]
        case .pcre:
            [
                """
                `/PATTERN/FLAGS`, blanks, a value. Patterns are those of pcre2pattern(3), between slashes or any other
                ASCII sign; the first that matches counts. `!` before a pattern turns it around. Between `if /PATTERN/`,
                or `if !/PATTERN/`, and `endif` stand lines that count only where it matches; they are not indented. In
                a value `$1`, `${1}` or `$(1)` is what the first group has captured, and `$$` is a dollar.
                """,
                """
                Flags turn over what is set: `i` (letters in either case: on), `s` (`.` is a line end too: on), `m` (`^`
                and `$` at every line), `x` (blanks and comments in patterns), `A` (at the beginning only), `E` (`$` at
                the very end only), `U` (as little as possible). So `/x/i` tells letters apart, which `postern check`
                warns of. A pattern that reaches its limit of steps or memory counts as one that does not match, and the
                log says so (`event=noted kind=fault`).
                """,
            ]
        case .regexp:
            [
                """
                As `pcre:`, with the patterns of regex(7) and the flags `i` (letters in either case: on), `x` (extended
                patterns: on) and `m` (`.` is no line end, `^` and `$` at every line). `/ONE/!/OTHER/` matches what the
                first matches and the other does not. Patterns that refer back to a group are refused, as they have no
                limit of time: write them as `pcre:`.
                """
            ]
        case .inline:
            [
                """
                `inline:{KEY=VALUE, {KEY = VALUE WITH BLANKS}}` is a table of keys that stands in `postern.yaml` itself.
                `cidr:{{RULE}, {RULE}}`, and so `pcre:` and `regexp:`, hold the lines of such a file. In YAML all of it
                needs quotes. An error names the number of the rule instead of a line.
                """
            ]
        case .fixed: ["`static:VALUE`, or `static:{VALUE WITH BLANKS}`, says it to every key."]
        case .database:
            [
                """
                For `relay_recipients` only. The file has lines `NAME = VALUE`: `hosts` (a host, `HOST:PORT`, the folder
                of a socket, or `postgresql://...`; several with blanks between them), `dbname`, `user`, `password`,
                `encoding`, `query` with `%s` for the key, `%u` for its local part and `%d` for its domain (or instead
                of it `select_function`, or `table`, `select_field`, `where_field` and `additional_conditions`),
                `result_format`, `domain`, `expansion_limit`, `idle_interval`, `retry_interval`, and `list_query`, which
                `postern recipients sync` asks for all keys. What stands for the key is sent beside the query and is
                never a part of it. While no server answers, those count who were found before, and others get `451`.
                """
            ]
        }
    }

    /// Whole tables, as a file has them or, for those that stand in the configuration, as their names.
    package var examples: [String] {
        switch self {
        case .text:
            [
                """
                # A comment begins a line.
                boss@example.com    OK
                example.net         REJECT We have had enough of you
                newsletter@         DISCARD
                """
            ]
        case .cidr:
            [
                """
                if 198.51.100.0/24
                198.51.100.7        DUNNO
                198.51.100.0/25     REJECT Your network sends us nothing but spam
                endif
                2001:db8:bad::/48   450 4.7.1 Try again later
                """
            ]
        case .pcre:
            [
                """
                /^localhost(\\.localdomain)?$/         REJECT You are not localhost
                if !/\\.example\\.com$/
                /^(mx|mail)\\.(\\d+)\\./                 REJECT A name with $2 in it
                endif
                """
            ]
        case .regexp: ["/^[0-9.]+$/!/\\.0$/   REJECT An address is no name"]
        case .inline:
            ["inline:{example.net=REJECT, {example.org = REJECT Not you either}}", "cidr:{{192.0.2.0/24 OK}}"]
        case .fixed: ["static:{REJECT This list takes nothing}"]
        case .database:
            [
                """
                hosts = db1.example.com db2.example.com
                dbname = mail
                user = postern
                query = SELECT 1 FROM mailbox WHERE address = '%s' AND active
                list_query = SELECT address FROM mailbox WHERE active
                """
            ]
        }
    }
}
