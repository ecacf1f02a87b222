import Daemon
import Foundation
import Harness
import Mail
import Rules
import Testing

/// Tables as they are read from their files and names, and what is warned of.
struct TableFileTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    /// Each error without the name of the folder.
    private func errors(_ name: String) -> [String] {
        do {
            _ = try CIDRTable(file: self.folder.path(name))
            return []
        } catch {
            return error.list.map { $0.description.replacing(self.folder.path + "/", with: "") }
        }
    }

    @Test func `a table of networks is read from its file`() throws {
        try self.folder.write("access", "\u{FEFF}10.0.0.0/8 OK\n")
        let table = try CIDRTable(file: self.folder.path("access"))
        #expect(table.lookup(.v4(0x0A00_0001))?.value == "OK")
    }

    @Test func `problems are told with file and line`() throws {
        try self.folder.write("access", "10.0.0.0/8\n10.0.0.1/8 OK\n")
        #expect(
            self.errors("access") == [
                "access:1: a network without value: '10.0.0.0/8'",
                "access:2: '10.0.0.1/8' has bits behind its prefix: probably '10.0.0.0/8' is meant",
            ])
        #expect(self.errors("missing") == ["missing: cannot be read: No such file or directory"])
    }

    private func read(_ name: String) -> [String] {
        do {
            let (table, warnings) = try RuleTable.read(name, folder: self.folder.path)
            return ["\(table.name) \(table.file == nil ? "-" : "file")"] + warnings.map(self.shown)
        } catch {
            return error.list.map(self.shown)
        }
    }

    private func shown(_ error: FileError) -> String { error.description.replacing(self.folder.path + "/", with: "") }

    @Test func `a table is read by its name, with warnings where it stands`() throws {
        try self.folder.write("text", "a 1\n b.test OK\n")
        try self.folder.write("patterns", "/a/i 1\n")
        try self.folder.write("networks", "10.0.0.0/8 1\n10.0.0.1 2\n")
        for type in ["hash", "texthash", "lmdb", "btree"] {
            #expect(
                self.read("\(type):text") == [
                    "\(type):text file",
                    "text:2: it begins with a blank and so belongs to line 1, but looks like a rule of its own",
                ])
        }
        for type in ["pcre", "regexp"] {
            #expect(
                self.read("\(type):patterns") == [
                    "\(type):patterns file",
                    "patterns:1: the flag i turns over what is set: capital and small letters are told apart",
                ])
        }
        #expect(
            self.read("cidr:\(self.folder.path("networks"))") == [
                "cidr:\(self.folder.path("networks")) file",
                "networks:2: '10.0.0.1/32' never counts: line 1 matches all of it",
            ])
    }

    @Test func `a table may stand in its name`() {
        #expect(self.read("inline:{a=b}") == ["inline:{a=b} -"])
        #expect(
            self.read("pcre:{ {/a/ 1} {/a/ 2} }") == [
                "pcre:{ {/a/ 1} {/a/ 2} } -",
                "pcre:{ {/a/ 1} {/a/ 2} }: rule 2: it never counts: line 1 has the same pattern",
            ])
        #expect(self.read("inline:{a}") == ["inline:{a}: 'a' has no '=' behind its key"])
    }

    @Test func `a table of another type is an error that names those there are`() throws {
        let known = "there are cidr, pcre, regexp, hash, texthash, lmdb, btree, inline and static"
        for name in ["ldap:x", "x", ":x", "pcre:", ""] {
            #expect(self.read(name) == ["\(name): not a table such as texthash:FILE; \(known)"])
        }
        try self.folder.write("patterns", "/(/ 1\nx\n")
        #expect(self.read("pcre:patterns").map { $0.prefix(11) } == ["patterns:1:", "patterns:2:"])
        #expect(self.read("pcre:missing") == ["missing: cannot be read: No such file or directory"])
    }

    @Test func `recipients that take all of a domain are warned of`() throws {
        let table = try TextTable("a@b.test 1\n@c.test 1\nd 1\n")
        #expect(table.recipientWarnings.map(\.line) == [2])
        #expect(table.recipientWarnings[0].message.hasPrefix("'@c.test' takes mail for every address"))
    }

    @Test func `next hops without brackets and domains without route are warned of`() throws {
        let table = TransportTable(
            try TextTable(
                """
                a.test smtp:[mx.b.test]
                b.test mx.b.test:2525
                c.test smtp:[c.test], d.test
                .d.test relay:192.0.2.1
                e.test smtp:
                f.test error:no.such.user
                """), delimiter: nil)
        let warnings = table.transportWarnings(relayDomains: DomainSet(keys: ["a.test", ".a.test", ".d.test"]))
        #expect(
            warnings.map { "\($0.line) \($0.message.components(separatedBy: ": ").last ?? "")" } == [
                "2 write [mx.b.test]:2525 for the host itself", "3 write [d.test] for the host itself",
                "1 a route for .a.test is missing",
            ])
    }
}
