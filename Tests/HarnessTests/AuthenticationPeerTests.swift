import Foundation
import Harness
import Testing

/// That other people's SPF, DKIM, ARC and DMARC run, and say what they should of what is known.
@Suite struct AuthenticationPeerTests {
    private typealias Python = PythonAuthentication

    private static let message = Array(
        """
        From: somebody@example.com\r
        To: user@example.test\r
        Date: Sat, 21 Nov 2026 04:50:00 +0000\r
        Subject: hello\r
        \r
        body\r

        """.utf8)

    /// A key of RFC 8463's kind: its seed, and its record.
    private static let ed25519 = (
        seed: "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
        record: "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    )

    /// An RSA key as PEM, and its record.
    private static func rsaKey() throws -> (pem: String, record: String) {
        let pem = try Program("/usr/bin/openssl", ["genrsa", "-traditional", "2048"]).runOrThrow().output
        let begin = try #require(pem.firstRange(of: "-----BEGIN")).lowerBound
        var program = Program("/usr/bin/openssl", ["rsa", "-pubout", "-outform", "PEM"])
        program.input = Array(pem[begin...].utf8)
        program.errors = .unnamed
        let key = try program.runOrThrow().output.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
        return (String(pem[begin...]), "v=DKIM1; k=rsa; p=\(key)")
    }

    @Test func `each tells its version`() throws {
        let versions = try Python.ask(.versions)
        for version in [versions.dkimpy, versions.pyspf, versions.authres, versions.pynacl, versions.dnspython] {
            #expect(version?.first?.isNumber == true)
        }
        #expect(try OpenDKIM.version().contains("OpenDKIM Filter v2."))
        #expect(try OpenDMARC.version().contains("OpenDMARC Filter v1."))
        #expect(try LibSPF2.version().contains("SPF library version: 1."))
    }

    @Test func `what one signs the other verifies, and neither what was changed`() throws {
        let (pem, record) = try Self.rsaKey()
        let names = PeerNames(selector: "s", domain: "example.com", record: record)
        let plan = Python.SigningPlan(selector: "s", domain: "example.com", key: pem)
        let byPython = try #require(try Python.ask(.dkimSign(Self.message, plan)).fields?.first)
        let byOpenDKIM = try OpenDKIM.sign(Self.message, selector: "s", domain: "example.com", key: pem)
        let keys = ["s._domainkey.example.com": record]
        for field in [byPython, byOpenDKIM] {
            let signed = Array(field.utf8) + Self.message
            let changed = signed.dropLast(3) + Array("!\r\n".utf8)
            let answers = try Python.ask([.dkimVerify(signed, names), .dkimVerify(Array(changed), names)])
            #expect(answers[0].signatures?.map(\.valid) == [true], "\(answers)")
            #expect(answers[0].signatures?.map(\.domain) == ["example.com"])
            #expect(answers[1].signatures?.map(\.valid) == [false])
            #expect(try OpenDKIM.verify(signed, keys: keys).results == ["pass"])
            #expect(try OpenDKIM.verify(Array(changed), keys: keys).results == ["fail"])
        }
        #expect(try OpenDKIM.verify(Self.message, keys: keys).results == [])
    }

    @Test func `dkimpy signs and verifies with Ed25519`() throws {
        var plan = Python.SigningPlan(selector: "s", domain: "example.com", key: Self.ed25519.seed)
        plan.algorithm = "ed25519-sha256"
        let field = try #require(try Python.ask(.dkimSign(Self.message, plan)).fields?.first)
        let names = PeerNames(selector: "s", domain: "example.com", record: Self.ed25519.record)
        let answer = try Python.ask(.dkimVerify(Array(field.utf8) + Self.message, names))
        #expect(answer.signatures?.map(\.valid) == [true], "\(answer)")
    }

    @Test func `dkimpy seals and verifies a chain`() throws {
        let (pem, record) = try Self.rsaKey()
        let names = PeerNames(selector: "s", domain: "example.com", record: record)
        let plan = Python.SigningPlan(selector: "s", domain: "example.com", key: pem)
        let received =
            Array("Authentication-Results: mx.test; spf=pass smtp.mailfrom=a@example.com\r\n".utf8) + Self.message
        let fields = try #require(try Python.ask(.arcSign(received, plan, server: "mx.test")).fields)
        #expect(fields.count == 3)
        let sealed = Array(fields.joined().utf8) + received
        let answers = try Python.ask([
            .arcVerify(sealed, names), .arcVerify(received, names),
            .arcVerify(Array(fields.dropFirst().joined().utf8) + received, names),
        ])
        #expect(answers.map(\.result) == ["pass", "none", "fail"])
    }

    @Test func `both checkers of SPF agree on what is plain`() throws {
        let zone = """
            $ORIGIN example.test.
            $TTL 300
            @ SOA ns hostmaster 1 3600 900 604800 300
            @ NS ns
            ns A 127.0.0.1
            @ TXT "v=spf1 mx -all"
            @ MX 10 mail
            mail A 192.0.2.1
            _dmarc TXT "v=DMARC1; p=quarantine; rua=mailto:reports@example.test"

            """
        let host = "127.153.\(Int.random(in: 0...255)).\(Int.random(in: 1...254))"
        let server = try NSD(host: host, port: 53, zones: ["example.test": zone])
        let names = PeerNames([
            "example.test": .init(texts: ["v=spf1 mx -all"], exchangers: ["mail.example.test"]),
            "mail.example.test": .init(addresses: ["192.0.2.1"]),
            "broken.test": {
                var records = PeerNames.Records(); records.isFailing = true; return records
            }(),
        ])
        for (address, expected) in [("192.0.2.1", "pass"), ("192.0.2.2", "fail")] {
            let sender = "user@example.test"
            let question = Python.SPFQuestion(address: address, sender: sender, helo: "mail.example.test")
            let answer = try Python.ask(.spf(question, names))
            #expect(answer.result == expected, "\(answer)")
            let other = try LibSPF2.check(
                address: address, sender: sender, helo: "mail.example.test", server: server.address)
            #expect(other.result == expected, "\(other.output)")
        }
        let broken = Python.SPFQuestion(address: "192.0.2.1", sender: "user@broken.test", helo: "h.test")
        #expect(try Python.ask(.spf(broken, names)).result == "temperror")
        #expect(try OpenDMARC.check("example.test", server: server.address).contains("quarantine"))
    }

    @Test func `a field of results is read by somebody else`() throws {
        let answer = try Python.ask(
            .authenticationResults(
                field: "Authentication-Results: mx.test; spf=pass smtp.mailfrom=a@b.test; dkim=fail header.d=c.test"))
        #expect(answer.server == "mx.test")
        #expect(answer.results?.map(\.method) == ["spf", "dkim"])
        #expect(answer.results?.map(\.result) == ["pass", "fail"])
        #expect(answer.results?.last?.properties["header.d"] == "c.test")
        #expect(try Python.ask(.authenticationResults(field: "nothing")).failure != nil)
    }
}
