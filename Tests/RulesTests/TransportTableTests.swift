import Mail
import Rules
import Testing

/// SEMANTICS §6; what stands on the right is read by `Route`, and tested there.
struct TransportTableTests {
    private func table(_ text: String) throws -> TransportTable { TransportTable(try TextTable(text), delimiter: "+") }

    /// The key of the entry by which mail to an address goes.
    private func key(_ address: String, in table: TransportTable) throws -> String? {
        table.lookup(lane: table.lane(try #require(Mailbox(address))))?.key
    }

    @Test func `the closest entry counts`() throws {
        let table = try self.table(
            """
            user+ext@example.test  a:
            user@example.test      b:
            example.test           c:
            .example.test          d:
            .test                  e:
            *                      f:
            """)
        #expect(try self.key("user+ext@example.test", in: table) == "user+ext@example.test")
        #expect(try self.key("User+Other@Example.test", in: table) == "user@example.test")
        #expect(try self.key("USER@example.test", in: table) == "user@example.test")
        #expect(try self.key("other@example.test", in: table) == "example.test")
        #expect(try self.key("user@www.example.test", in: table) == ".example.test")
        #expect(try self.key("user@a.b.example.test", in: table) == ".example.test")
        #expect(try self.key("user@else.test", in: table) == ".test")
        #expect(try self.key("user@example.org", in: table) == "*")
    }

    @Test func `a domain is not its subdomains, nor the other way round`() throws {
        let table = try self.table("example.test a:\n.below.test b:\n")
        #expect(try self.key("u@www.example.test", in: table) == nil)
        #expect(try self.key("u@below.test", in: table) == nil)
        #expect(try self.key("u@xbelow.test", in: table) == nil)
        #expect(try self.key("u@x.below.test", in: table) == ".below.test")
    }

    @Test func `an entry brings its value and line`() throws {
        let entry = try #require(try self.table("# x\nexample.test\n  smtp:[h]:25\n").lookup(lane: "example.test"))
        #expect(entry.value == "smtp:[h]:25")
        #expect(entry.line == 2)
    }

    @Test func `recipients share a lane unless they have an entry of their own`() throws {
        let table = try self.table("user@example.test a:\nexample.test b:\n")
        let lane = { (text: String) throws in table.lane(try #require(Mailbox(text))) }
        #expect(try lane("User+x@Example.test") == "user@example.test")
        #expect(try lane("a@Example.test") == "example.test")
        #expect(try lane("a@example.test") == lane("b@EXAMPLE.test"))
        #expect(try lane("user@else.test") == "else.test")
        #expect(table.laneFingerprint == ["user@example.test"])
        #expect(try self.table("example.test b:\n").laneFingerprint == [])
    }

    @Test func `international domains are found in both spellings`() throws {
        let table = try self.table("Bücher.example a:\n")
        #expect(try self.key("u@xn--bcher-kva.example", in: table) != nil)
        #expect(try self.key("u@BÜCHER.example", in: table) != nil)
    }

    @Test func `its domains are those of a relay`() throws {
        let domains = try self.table("user@a.test x:\nb.test x:\n.c.test x:\n* x:\n").domains
        #expect(domains.sorted == [".c.test", "b.test"])
    }

    @Test func `an empty table leads nowhere`() {
        #expect(TransportTable.empty.lookup(lane: "example.test") == nil)
        #expect(TransportTable.empty.all.isEmpty)
    }
}
