import Forwarder
import Mail
import TLS
import Testing

/// Tables of TLS levels by next hop (postconf(5), smtp_tls_policy_maps).
struct TLSPolicyTableTests {
    private func table(_ lines: [(String, String)]) throws -> TLSPolicyTable {
        try TLSPolicyTable(
            zip(lines, 1...).map { SecurityTableLine(key: $0.0.0, value: $0.0.1, line: $0.1) })
    }

    private func problems(_ lines: [(String, String)]) -> [SecurityTableProblem] {
        do {
            _ = try self.table(lines)
            return []
        } catch let error as SecurityTableProblems {
            return error.list
        } catch {
            return []
        }
    }

    /// What `postmap -q` would be asked for, key after key, by Postfix's client.
    @Test(arguments: [
        ("example.com", "verify"), ("mail.example.com", "secure"), ("deep.mail.example.com", "secure"),
        ("example.com:587", "may"), ("[mail.example.org]:587", "encrypt"), ("[mail.example.org]", nil),
        ("mail.example.org", nil), ("[example.com]", nil), ("example.com:26", nil), ("mail.example.com:587", nil),
        ("example.net", "none"), ("sub.example.net", nil), ("[192.0.2.1]", "dane-only"), ("other.test", "dane"),
        ("[2001:db8::1]:465", "fingerprint"), ("[host.example.net]:25", "encrypt"), ("notexample.com", nil),
    ])
    func `a next hop is looked up as it stands, and a domain alone by its parents too`(
        hop: String, level: String?
    ) throws {
        let table = try self.table([
            ("example.com", "verify"), (".example.com", "secure"), ("example.com:587", "may"),
            ("[mail.example.org]:587", "encrypt"), ("example.net", "none"), ("[192.0.2.1]:25", "dane-only"),
            (".test", "dane"), ("[2001:DB8:0::1]:465", "fingerprint match=" + String(repeating: "ab", count: 32)),
            ("[host.example.net]:smtp", "encrypt"),
        ])
        #expect(table.policy(for: try NextHop(text: hop))?.level.rawValue == level)
    }

    @Test func `attributes are those of Postfix`() throws {
        let digits = (0..<32).map { String($0 + 16, radix: 16) }
        let table = try self.table([
            (
                "a.test",
                "secure match=nexthop:.Example.NET:hostname:dot-nexthop servername=sni.test protocols=>=TLSv1.3"
            ),
            ("b.test", "fingerprint match=\(digits.joined(separator: ":")) , match=\(digits.joined())|"),
            ("c.test", "VERIFY { match = nexthop } {protocols = !SSLv2:!SSLv3:!TLSv1:!TLSv1.1}"),
            ("d.test", "secure"), ("e.test", "verify"), ("f.test", "may protocols=TLSv1.2:TLSv1.3"),
            ("g.test", "encrypt protocols=>=0303:<=0x304"), ("h.test", "may protocols="),
            ("i.test", "may ciphers=high connection_reuse=yes"), ("j.test", "none match=x"),
        ])
        func policy(_ name: String) throws -> TLSPolicy {
            try #require(table.policy(for: try NextHop(text: "\(name).test")))
        }
        let hop = try NextHop(text: "[relay.test]:587")
        let first = try policy("a")
        #expect(first.names(of: "MX.test", behind: hop) == ["relay.test", ".example.net", "mx.test", ".relay.test"])
        #expect(first.serverName == "sni.test" && first.minimumVersion == .v1_3)
        let bytes = (0..<32).map { UInt8($0 + 16) }
        #expect(try policy("b").fingerprints == [bytes, bytes])
        #expect(try policy("c").names == [.nextHop] && policy("c").minimumVersion == .v1_2)
        #expect(try policy("d").names == [.nextHop, .belowNextHop] && policy("e").names == [.hostname])
        #expect(try policy("f").minimumVersion == .v1_2 && policy("g").minimumVersion == .v1_2)
        #expect(try policy("h").minimumVersion == .v1_0 && policy("d").minimumVersion == nil)
        #expect(table.warnings.map(\.line) == [9, 9, 10])
    }

    @Test(arguments: [
        "", "sometimes", "may match=nexthop", "dane match=nexthop", "fingerprint", "fingerprint match=00:11",
        "fingerprint match=" + String(repeating: "zz", count: 32), "secure match=", "secure match=:",
        "secure match=a b",
        "secure match=-.-", "may servername=-", "may protocols=<=TLSv1.2", "may protocols=!TLSv1.3",
        "may protocols=SSLv3", "may protocols=!TLSv1.2", "secure tafile=/etc/x.pem", "may policy_type=sts",
        "may speed=high", "may match", "may {match = x", "may servername=a.test servername=b.test",
        "fingerprint match=+1" + String(repeating: "00", count: 31),
    ])
    func `what cannot be honoured is an error with its line`(value: String) {
        #expect(self.problems([("good.test", "may"), ("bad.test", value)]).map(\.line) == [2])
    }

    @Test(arguments: [
        ("[192.0.2.1]", "secure", "192.0.2.1"), ("[192.0.2.1]", "verify", "192.0.2.1"),
        ("[2001:DB8::1]:587", "secure", "2001:db8::1"),
        ("[192.0.2.1]", "secure match=hostname:nexthop:dot-nexthop:192.0.2.1", "192.0.2.1"),
        ("[192.0.2.1]", "secure match=relay.test:.relay.test", "relay.test,.relay.test"),
        ("relay.test", "secure match=192.0.2.1", "192.0.2.1"),
    ])
    func `an address as next hop is a name by itself`(hop: String, value: String, names: String) throws {
        let (table, hop) = (try self.table([(hop, value)]), try NextHop(text: hop))
        let host = if case .address(let address) = hop.host { "\(address)" } else { "mx.relay.test" }
        #expect(table.policy(for: hop)?.names(of: host, behind: hop).joined(separator: ",") == names)
    }

    @Test(arguments: [
        ("relay.test", "secure match=nexthop:192.0.2.1"), ("relay.test", "verify match=192.0.2.1:hostname"),
        ("relay.test", "secure match=192.0.2.1:192.0.2.2"), (".relay.test", "secure match=192.0.2.1:a.test"),
        ("[192.0.2.1]", "secure match=192.0.2.2:nexthop"), ("[192.0.2.1]", "secure match=nexthop:relay.test"),
        ("[2001:db8::1]:587", "verify match=hostname:relay.test"), ("[192.0.2.1]", "secure match=dot-nexthop"),
    ])
    func `an address does not stand beside names`(hop: String, value: String) {
        #expect(self.problems([("good.test", "secure"), (hop, value)]).map(\.line) == [2])
    }

    @Test func `all problems are told, and a next hop may stand there once`() {
        let lines = [("a.test", "x"), ("[h.test]:25", "may"), ("[h.test]", "none"), ("a b@c", "may")]
        #expect(self.problems(lines).map(\.line) == [1, 3])
    }

    @Test func `a key that is no next hop is a warning`() throws {
        #expect(
            try self.table([("user@a.test", "may"), ("*", "may"), (".", "may")]).warnings.map(\.line) == [1, 2, 3])
    }
}

/// Users and passwords by next hop (postconf(5), smtp_sasl_password_maps).
struct SASLPasswordTableTests {
    private func table(_ lines: [(String, String)]) throws -> SASLPasswordTable {
        try SASLPasswordTable(
            zip(lines, 1...).map { SecurityTableLine(key: $0.0.0, value: $0.0.1, line: $0.1) })
    }

    private func user(_ name: String, _ hop: String, _ table: SASLPasswordTable) throws -> String? {
        let origin = ServerOrigin(hop: try NextHop(text: hop))
        return table.password(of: ServerAddress(name: name, address: .v4(0), port: 25, origin: origin))?.user
    }

    @Test func `the server comes before the next hop`() throws {
        let table = try self.table([
            ("mx.example.com", "server:a"), ("example.com", "domain:b:c"), ("[smtp.example.net]:587", "hop:d"),
            ("192.0.2.1", "address:e"), ("quiet.example.com", ":f"),
        ])
        #expect(try self.user("MX.example.com", "example.com", table) == "server")
        #expect(try self.user("mx2.example.com", "example.com", table) == "domain")
        #expect(try self.user("smtp.example.net", "[smtp.example.net]:587", table) == "hop")
        #expect(try self.user("smtp.example.net", "[smtp.example.net]", table) == nil)
        #expect(try self.user("smtp.example.net", "[smtp.example.net]:588", table) == nil)
        // Without a user nothing is said, also where the next hop has one.
        #expect(try self.user("quiet.example.com", "example.com", table) == nil)
        // No parent domains: a password is for whom it is for.
        #expect(try self.user("a.mx.example.com", "sub.example.com", table) == nil)
        let found = ServerAddress(
            name: "x", address: .v4(0), port: 25, origin: ServerOrigin(hop: try NextHop(text: "example.com")))
        #expect(table.password(of: found)?.password == "b:c")
    }

    @Test func `no way of printing shows a password`() throws {
        let table = try self.table([("example.com", "user:hidden")])
        #expect(!"\(table)".contains("hidden") && !String(reflecting: table).contains("hidden"))
        var dumped = ""
        dump(table, to: &dumped)
        #expect(!dumped.contains("hidden"))
    }

    @Test func `an error does not show the line`() {
        do {
            _ = try self.table([("example.com", "secret"), ("x@y", "a:b")])
            Issue.record("a value without a password was taken")
        } catch let error as SecurityTableProblems {
            #expect(error.list.map(\.line) == [1])
            #expect(!"\(error)".contains("secret"))
        } catch {
            Issue.record("another error")
        }
    }
}
