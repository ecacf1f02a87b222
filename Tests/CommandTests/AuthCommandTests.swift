import Foundation
import Harness
import Testing

/// `postern auth` and what `postern explain` says of `check_spf`, with names of nsd.
struct AuthCommandTests {
    private static let zone = """
        $ORIGIN example.test.
        $TTL 300
        @ SOA ns admin 1 3600 600 86400 60
        @ NS ns
        ns A 192.0.2.53
        @ TXT "v=spf1 ip4:192.0.2.0/24 -all"
        mail TXT "v=spf1 ip4:192.0.2.0/24 -all"
        _dmarc TXT "v=DMARC1; p=reject"

        """
    private static let message = "From: a@example.test\r\nTo: b@example.net\r\nSubject: x\r\n\r\nHello\r\n"

    private let folder: TemporaryFolder
    private let server: NSD

    init() throws {
        self.folder = try TemporaryFolder()
        let key = try Program(
            PosternProcess.program,
            ["dkim", "genkey", "--domain", "example.test", "--selector", "s", "--out", self.folder.path("key")]
        ).runOrThrow().output.split(separator: "\n")[0]
        self.server = try NSD(zones: ["example.test": Self.zone + "\(key)\n"])
        try self.folder.write("message", Self.message)
        try self.folder.write("signed", try self.sign(Self.message).output)
    }

    private func sign(_ message: String, _ more: String...) throws -> Finished {
        try postern(
            ["dkim", "sign", "-", "--domain", "example.test", "--selector", "s", "--key", self.folder.path("key")]
                + more, input: message)
    }

    private func auth(
        _ file: String = "message", ip: String = "192.0.2.1", from: String = "a@example.test",
        helo: String = "mail.example.test", _ more: String..., input: String = ""
    ) throws -> Finished {
        let path = file == "-" ? file : self.folder.path(file)
        let arguments = ["auth", "--ip", ip, "--helo", helo, "--from", from, path, "--dns", "\(self.server.address)"]
        return try postern(arguments + more, input: input)
    }

    @Test func `what passes is told in a line for each method and the field`() throws {
        let run = try self.auth("signed")
        #expect(run.ending == .exited(0), "\(run.errors)")
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(
            Array(lines.prefix(4)) == [
                "spf: pass", "dkim: pass d=example.test s=s", "arc: none", "dmarc: pass example.test, policy reject",
            ])
        #expect(lines.count == 5)
        let read = try PythonAuthentication.ask(.authenticationResults(field: try #require(lines.last)))
        #expect(
            read.results?.map { "\($0.method)=\($0.result)" } == [
                "spf=pass", "spf=pass", "dmarc=pass", "arc=none", "dkim=pass",
            ], "\(lines)")
        #expect(try self.auth().output.contains("dkim: none\n"))
    }

    @Test func `what fails is told, too, and is no failure of the command`() throws {
        let run = try self.auth(ip: "198.51.100.1", "--json")
        #expect(run.ending == .exited(0), "\(run.errors)")
        let document = try jsonObject(run.output)
        #expect(Set(document.keys) == ["spf", "dkim", "arc", "dmarc", "header"])
        #expect(document["spf"] as? String == "fail" && document["arc"] as? String == "none")
        #expect((document["dkim"] as? [Any])?.isEmpty == true)
        let dmarc = try #require(document["dmarc"] as? [String: Any])
        #expect(dmarc["result"] as? String == "fail" && dmarc["policy"] as? String == "reject")
        #expect(dmarc["domain"] as? String == "example.test" && dmarc["disposition"] as? String == "reject")
        let header = try #require(document["header"] as? String)
        #expect(header.hasPrefix("Authentication-Results: ") && !header.contains("\n"))
        #expect(header.contains("spf=fail") && header.contains("dmarc=fail"))

        let changed = try self.sign(Self.message).output.replacing("Hello", with: "Hallo")
        let other = try jsonObject(try self.auth("-", "--json", input: changed).output)
        let signature = try #require((other["dkim"] as? [[String: Any]])?.first)
        #expect(signature["result"] as? String == "fail" && signature["domain"] as? String == "example.test")
        #expect(signature["selector"] as? String == "s" && (signature["reason"] as? String)?.isEmpty == false)
        #expect((other["dmarc"] as? [String: Any])?["result"] as? String == "pass")
    }

    @Test func `what there is not is null`() throws {
        let document = try jsonObject(
            try self.auth("-", from: "", helo: "[192.0.2.1]", "--json", input: "Subject: x\r\n\r\nx\r\n").output)
        #expect(document["spf"] as? String == "none")
        let dmarc = try #require(document["dmarc"] as? [String: Any])
        #expect(dmarc["result"] as? String == "permerror")
        #expect(dmarc["policy"] is NSNull && dmarc["domain"] is NSNull)
    }

    @Test(arguments: ["", "<>"]) func `the null reverse-path is judged by the name in HELO`(sender: String) throws {
        let document = try jsonObject(try self.auth("signed", from: sender, "--json").output)
        #expect(document["spf"] as? String == "pass")
        #expect((document["header"] as? String)?.contains("smtp.helo=mail.example.test") == true)
        let stranger = try jsonObject(try self.auth("signed", ip: "2001:db8::1", from: sender, "--json").output)
        #expect(stranger["spf"] as? String == "fail")
        #expect((stranger["dmarc"] as? [String: Any])?["result"] as? String == "pass")
    }

    @Test func `the message can come on standard input, with either line end, and be of another time`() throws {
        let signed = self.folder.text("signed")
        for text in [signed, signed.replacing("\r\n", with: "\n")] {
            #expect(try self.auth("-", input: text).output.contains("dkim: pass"))
        }
        // Signatures of opendkim can be for a time only.
        let field = try OpenDKIM.sign(
            Array(Self.message.utf8), selector: "s", domain: "example.test", key: self.folder.text("key"),
            settings: ["SignatureTTL 3600"])
        let now = Int(Date.now.timeIntervalSince1970)
        let results = try [now, now + 3000, now + 4000].map { time in
            let run = try self.auth("-", "--time", "\(time)", "--json", input: field + Self.message)
            return try #require((try jsonObject(run.output)["dkim"] as? [[String: Any]])?.first)
        }
        #expect(results.map { $0["result"] as? String == "pass" } == [true, true, false], "\(results)")
        #expect((results[2]["reason"] as? String)?.contains("expired") == true, "\(results[2])")
    }

    @Test func `the configuration's engine, exemptions, and name hold, and its keys are not needed`() throws {
        let keys = "sign: [{domain: example.test, selector: s, key: /nonexistent}]"
        let run = { (authentication: String) in
            let file = try self.folder.write(
                "postern.yaml", "hostname: mx.example.test\nauthentication: {dkim: {\(keys)}, \(authentication)}\n")
            return try jsonObject(try self.auth(ip: "127.0.0.1", "--config", file, "--json").output)
        }
        let plain = try run("spf: {engine: postern}")
        #expect(plain["spf"] as? String == "fail")
        #expect((plain["dmarc"] as? [String: Any])?["disposition"] as? String == "reject")
        #expect((plain["header"] as? String)?.hasPrefix("Authentication-Results: mx.example.test;") == true)
        // For libspf2 the machine itself may send for everybody.
        #expect(try run("spf: {engine: libspf2}")["spf"] as? String == "pass")
        let exempt = try run("authserv_id: other.test, exempt: [\"inline:{127.0.0.1=OK}\"]")
        #expect(exempt["spf"] as? String == "fail")
        #expect((exempt["dmarc"] as? [String: Any])?["disposition"] as? String == "none")
        #expect((exempt["header"] as? String)?.hasPrefix("Authentication-Results: other.test;") == true)
    }

    @Test func `what cannot be asked is 2`() throws {
        let wrong = [
            ["auth", "--ip", "192.0.2", "--helo", "x", "--from", "", "-"],
            ["auth", "--ip", "192.0.2.1", "--helo", "x", "--from", "no address", "-"],
            ["auth", "--helo", "x", "--from", "", "-"], ["auth", "--ip", "192.0.2.1", "--from", "", "-"],
            ["auth", "--ip", "192.0.2.1", "--helo", "x", "-"],
            ["auth", "--ip", "192.0.2.1", "--helo", "x", "--from", ""],
            ["auth", "--ip", "192.0.2.1", "--helo", "x", "--from", "", "-", "--time", "-1"],
            ["auth", "--ip", "192.0.2.1", "--helo", "x", "--from", "", "/nonexistent/message"],
        ]
        for arguments in wrong {
            let run = try postern(arguments)
            #expect(run.ending == .exited(2), "\(arguments) \(run.ending)")
            #expect(!run.errors.isEmpty && run.output.isEmpty)
        }
    }

    @Test func `explaining shows what check_spf found, by the daemon and without it`() throws {
        let daemon = try PosternProcess(
            more: "authentication: {enabled: true}\nrestrictions: {recipient: [check_spf]}\n",
            resolver: "{forwarders: [\"\(self.server.address)\"], timeout: 5s}")
        let session = ["--client-name", "unknown", "--helo", "mail.example.test", "--to", "user@example.test"]
        for place in [["--control", daemon.folder.path("control")], ["--config", daemon.configuration]] {
            let explain = { (client: String, more: [String]) in
                try postern(
                    ["explain", "--client", client, "--from", "a@example.test"] + session + place + more)
            }
            let refused = try explain("198.51.100.1", [])
            #expect(refused.output.hasPrefix("reject 550 5.7.23 "), "\(refused.output)\(refused.errors)")
            #expect(refused.output.contains("because of recipient, check_spf"), "\(refused.output)")
            #expect(refused.output.contains("fail for mail.example.test (helo), by all"), "\(refused.output)")
            let accepted = try jsonObject(try explain("192.0.2.9", ["--json"]).output)
            #expect(accepted["verdict"] as? String == "accept")
            let trace = try #require(accepted["trace"] as? [[String: Any]])
            let step = try #require(trace.first { $0["restriction"] as? String == "check_spf" }, "\(trace)")
            #expect("\(step)".contains("pass for example.test (mailfrom), by ip4:192.0.2.0/24"), "\(step)")
        }
    }
}
