import Harness
import Testing

/// `postern spf`, with names of nsd.
struct SPFTests {
    private static let zone = """
        $ORIGIN example.test.
        $TTL 300
        @ SOA ns admin 1 3600 600 86400 60
        @ NS ns
        ns A 192.0.2.53
        @ TXT "v=spf1 a:mail -all" "something else"
        pass TXT "v=spf1 ip4:192.0.2" ".0/24 ip6:2001:db8::/32 -all"
        fail TXT "v=spf1 mx include:none.example.test -all"
        named TXT "v=spf1 mx a:foo:bar/baz.example.test a:a%_b%%c%-d.example.test -all exp=why.example.test"
        named MX 20 mx2
        named MX 10 mx1
        named MX 30 .
        mx1 A 192.0.2.11
        mx2 AAAA 2001:db8::12
        foo:bar/baz A 192.0.2.13
        a\\032b%c%20d A 192.0.2.14
        why TXT "%{i} may not send as %{s}; " "ask %{o}"
        soft TXT "v=spf1 ~all"
        reverse TXT "v=spf1 ptr -all"
        host.reverse A 192.0.2.15
        alias CNAME pass

        """

    private static let reverse = """
        $ORIGIN 2.0.192.in-addr.arpa.
        $TTL 300
        @ SOA ns.example.test. admin.example.test. 1 3600 600 86400 60
        @ NS ns.example.test.
        15 PTR Host.Reverse.Example.Test.

        """

    private static func server() throws -> NSD {
        try NSD(zones: ["example.test": Self.zone, "2.0.192.in-addr.arpa": Self.reverse])
    }

    private static func spf(
        _ server: NSD, _ address: String, _ sender: String, helo: String = "mail.example.test", _ more: String...
    ) throws -> Finished {
        try postern(
            ["spf", "--ip", address, "--helo", helo, "--from", sender, "--dns", "\(server.address)"] + more)
    }

    @Test(arguments: ["postern", "libspf2"]) func `the first line is the result`(engine: String) throws {
        let server = try Self.server()
        for (address, domain, result) in [
            ("192.0.2.1", "pass", "pass"), ("2001:db8::1", "pass", "pass"), ("198.51.100.1", "alias", "fail"),
            ("::ffff:192.0.2.1", "alias", "pass"), ("198.51.100.1", "fail", "permerror"),
            ("192.0.2.11", "named", "pass"), ("2001:db8::12", "named", "pass"), ("192.0.2.13", "named", "pass"),
            ("192.0.2.14", "named", "pass"), ("192.0.2.15", "named", "fail"), ("192.0.2.15", "reverse", "pass"),
            ("192.0.2.14", "reverse", "fail"), ("192.0.2.1", "soft", "softfail"), ("192.0.2.1", "mx1", "none"),
            ("192.0.2.1", "nobody", "none"),
        ] {
            let run = try Self.spf(server, address, "user@\(domain).example.test", "--engine", engine)
            #expect(run.ending == .exited(0), "\(run.errors)")
            #expect(run.output.split(separator: "\n").first.map(String.init) == result, "\(address) \(domain)")
        }
        #expect(try Self.spf(server, "192.0.2.1", "user@else.test", "--engine", engine).output.hasPrefix("temperror\n"))
    }

    @Test(arguments: ["postern", "libspf2"]) func `the document has what CLI users rely on`(engine: String) throws {
        let server = try Self.server()
        let json = { (address: String, sender: String) in
            try jsonObject(try Self.spf(server, address, sender, "--json", "--engine", engine).output)
        }
        let fail = try json("192.0.2.99", "x y@named.example.test")
        #expect(fail["result"] as? String == "fail")
        #expect(
            fail["explanation"] as? String
                == "192.0.2.99 may not send as x y@named.example.test; ask named.example.test")
        #expect(fail["lookups"] as? Int == 3)
        #expect(fail["voidLookups"] as? Int == 1)
        #expect(fail["domain"] as? String == "named.example.test")
        if engine == "postern" { #expect(fail["mechanism"] as? String == "all") }
        let none = try json("192.0.2.99", "user@[192.0.2.99]")
        #expect(none["result"] as? String == "none")
        for key in ["explanation", "mechanism"] { #expect(none[key] != nil, "\(key) is null, not left out") }
    }

    @Test func `the null reverse-path is postmaster at the HELO name`() throws {
        let server = try Self.server()
        let run = try Self.spf(server, "192.0.2.1", "", helo: "soft.example.test")
        #expect(run.output.hasPrefix("softfail\n"))
        #expect(try Self.spf(server, "192.0.2.1", "", helo: "[192.0.2.1]").output.hasPrefix("none\n"))
        #expect(try Self.spf(server, "192.0.2.1", "@soft.example.test").output.hasPrefix("softfail\n"))
    }

    @Test(arguments: [
        ["--ip", "192.0.2", "--helo", "x", "--from", ""], ["--ip", "x", "--helo", "x", "--from", ""],
        ["--helo", "x", "--from", ""], ["--ip", "192.0.2.1", "--from", ""], ["--ip", "192.0.2.1", "--helo", "x"],
        ["--ip", "192.0.2.1", "--helo", "x", "--from", "", "--engine", "other"],
        ["--ip", "192.0.2.1", "--helo", "x", "--from", "", "--dns", "not an address"],
    ])
    func `wrong usage of spf is 2`(arguments: [String]) throws {
        let run = try postern(["spf"] + arguments)
        #expect(run.ending == .exited(2))
        #expect(!run.errors.isEmpty)
        #expect(run.output.isEmpty)
    }
}
