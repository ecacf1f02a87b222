import Foundation
import Harness
import Testing

/// `postern dkim` and `postern arc`, with a name server that has what `genkey` prints.
struct SignatureTests {
    private static let message = "From: a@example.test\nTo: b@example.net\nSubject: x\n\nHello\n"

    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    private func postern(_ arguments: [String], input: String = "") throws -> Finished {
        var program = Program(PosternProcess.program, arguments)
        program.input = Array(input.utf8)
        program.errors = .unnamed
        return try program.run()
    }

    private func key(_ name: String, _ options: [String] = []) throws -> [String] {
        let run = try self.postern(
            ["dkim", "genkey", "--domain", "example.test", "--selector", name, "--out", self.folder.path(name)]
                + options)
        #expect(run.ending == .exited(0), "\(run.errors)")
        return run.output.split(separator: "\n").map(String.init)
    }

    private func signer(_ name: String) -> [String] {
        ["--domain", "example.test", "--selector", name, "--key", self.folder.path(name)]
    }

    private func server(_ records: [String]) throws -> NSD {
        let zone = "@ SOA ns hostmaster 1 3600 900 604800 300\n@ NS ns\nns A 127.0.0.1\n"
        return try NSD(zones: [
            "example.test": "$ORIGIN example.test.\n$TTL 300\n\(zone)\(records.joined(separator: "\n"))\n"
        ])
    }

    @Test func `keys are made, published, sign and verify`() throws {
        let rsa = try self.key("rsa")
        let ed25519 = try self.key("ed", ["--type", "ed25519"])
        #expect(rsa.count == 2)
        #expect(ed25519[0].hasPrefix("ed._domainkey.example.test. IN TXT ( \"v=DKIM1; k=ed25519; p="))
        #expect(rsa[0].contains("\" \""))
        #expect(rsa[0].replacing("\" \"", with: "").contains(rsa[1]))
        let server = try self.server([rsa[0], ed25519[0]])
        let once = try self.postern(["dkim", "sign"] + self.signer("rsa") + ["-"], input: Self.message)
        #expect(once.output.hasPrefix("DKIM-Signature: v=1; a=rsa-sha256;"))
        #expect(once.output.hasSuffix("\n\(Self.message)"))
        #expect(!once.output.contains("\r"))
        let file = try self.folder.write("once", once.output)
        let twice = try self.postern(
            ["dkim", "sign"] + self.signer("ed") + ["--headers", "From : Subject", file]
        ).output
        #expect(twice.contains("h=from:subject;"))
        let verify = ["dkim", "verify", "-", "--dns", "\(server.address)"]
        let run = try self.postern(verify, input: twice)
        #expect(run.ending == .exited(0))
        #expect(
            run.output == """
                pass d=example.test s=ed ed25519-sha256 with 256 bits
                pass d=example.test s=rsa rsa-sha256 with 2048 bits

                """)
        let changed = try self.postern(verify, input: twice.replacing("To: b", with: "To: c"))
        #expect(changed.ending == .exited(0))
        #expect(changed.output.hasSuffix("fail d=example.test s=rsa the signature does not match\n"))
        #expect(try self.postern(verify, input: twice.replacing("Hello", with: "Hallo")).ending == .exited(1))
        #expect(try self.postern(verify, input: Self.message).ending == .exited(1))
        let json = try jsonObject(try self.postern(verify + ["--json"], input: twice).output)
        let signatures = try #require(json["signatures"] as? [[String: Any]])
        #expect(signatures.map { $0["result"] as? String } == ["pass", "pass"])
        #expect(signatures.map { $0["keyBits"] as? Int } == [256, 2048])
    }

    @Test func `chains are sealed and verified`() throws {
        let server = try self.server([try self.key("s")[0]])
        let dns = ["--dns", "\(server.address)", "--time", "1700000000"]
        func verify(_ message: String) throws -> Finished {
            try self.postern(["arc", "verify", "-"] + dns, input: message)
        }
        func seal(_ message: String) throws -> String {
            try self.postern(
                ["arc", "seal"] + self.signer("s") + ["--authserv-id", "mx.example.test", "-"] + dns, input: message
            ).output
        }
        #expect(try verify(Self.message).output == "none\n")
        let results = "Authentication-Results: mx.example.test; spf=pass smtp.mailfrom=a@example.test\n"
        let once = try seal(results + Self.message)
        #expect(once.hasSuffix("\n\(results)\(Self.message)"))
        let first = try verify(once)
        #expect(first.ending == .exited(0))
        #expect(
            first.output == """
                pass
                i=1 cv=none d=example.test mx.example.test; spf=pass smtp.mailfrom=a@example.test

                """)
        let twice = try seal(once)
        #expect(try verify(twice).output.hasPrefix("pass\n"))
        let broken = try verify(twice.replacing("Hello", with: "Hallo"))
        #expect(broken.ending == .exited(1))
        #expect(broken.output.hasPrefix("fail\nthe body hash differs\n"))
    }

    /// The shell's limit of no blocks at all is a full disk to whoever ignores the signal for it.
    @Test func `a key that could not be written leaves no file`() throws {
        let path = self.folder.path("k")
        var program = Program(
            "/bin/bash",
            [
                "-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\" 2> /dev/null", "-", PosternProcess.program, "dkim",
                "genkey", "--domain", "example.test", "--selector", "k", "--out", path,
            ])
        program.errors = .unnamed
        let run = try program.run()
        #expect(run.ending == .exited(2))
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func `keys that others can read are complained of, and ones that are there already are refused`() throws {
        _ = try self.key("k", ["--type", "ed25519"])
        let before = self.folder.text("k")
        let again = try self.postern(
            ["dkim", "genkey", "--domain", "example.test", "--selector", "k", "--out", self.folder.path("k")])
        #expect(again.ending == .exited(2))
        #expect(self.folder.text("k") == before)
        #expect(chmod(self.folder.path("k"), 0o644) == 0)
        let sign = try self.postern(["dkim", "sign"] + self.signer("k") + ["-"], input: Self.message)
        #expect(sign.ending == .exited(0))
        #expect(sign.output.hasPrefix("DKIM-Signature:"))
        #expect(sign.errors.contains("others can read or change it"))
    }
}
