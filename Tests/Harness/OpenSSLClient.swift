import Foundation

/// `openssl s_client`, which says what it sees of TLS.
package enum OpenSSLClient {
    package enum Way: String, Sendable, CaseIterable {
        case startTLS, atOnce

        fileprivate var options: [String] { self == .startTLS ? ["-starttls", "smtp"] : [] }
    }

    /// What it saw.
    package struct Report: Sendable, CustomStringConvertible {
        package let ending: Ending
        package let description: String

        private var lines: [Substring] { self.description.split(whereSeparator: \.isNewline) }

        private func value(_ prefix: String) -> String? {
            self.lines.first { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        }

        /// Such as `TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384`, of a session that began here; nil if there is none.
        package var new: String? {
            let value = self.value("New, ")
            return value?.hasPrefix("(NONE)") == true ? nil : value
        }
        /// The same of a session that goes on.
        package var resumed: String? { self.value("Reused, ") }
        /// How the server signed: `ECDSA` or `RSA-PSS`.
        package var signature: String? { self.value("Peer signature type: ") }
        package var subject: String? { self.value("subject=CN = ") }
        /// `ok`, or what is wrong with the certificate.
        package var verification: String? {
            self.value("Verify return code: ").map { $0.hasPrefix("0 ") ? "ok" : $0 }
                ?? self.value("Verification: ").map { $0.lowercased() }
        }
        /// Codes of the replies that came inside TLS, the last line of each.
        package var codes: [Int] {
            self.lines.compactMap { line in
                line.dropFirst(3).first == " " && line.prefix(3).allSatisfy(\.isNumber) ? Int(line.prefix(3)) : nil
            }
        }

        package func says(_ text: String) -> Bool { self.description.contains(text) }
    }

    /// Connects, says all of it at once when TLS is established, and reads until the server ends the connection.
    ///
    /// With STARTTLS the last line of the extensions in plain text stands before the replies inside.
    package static func connect(
        _ server: Endpoint, _ way: Way = .startTLS, _ options: [String] = [], saying lines: [String] = ["QUIT"],
        content: [UInt8] = [], within limit: Duration = .seconds(60)
    ) throws -> Report {
        var program = Self.program(server, way, ["-ign_eof", "-nocommands"] + options)
        program.input = Array(lines.map { $0 + "\r\n" }.joined().utf8) + content
        let finished = try program.run(within: limit)
        return Report(ending: finished.ending, description: finished.output)
    }

    /// A whole transaction in one go, which BDAT allows, with QUIT behind it.
    package static func transaction(
        from sender: String = "s@client.example", to recipients: [String] = ["user@example.test"],
        mail parameters: String = "", _ text: String = "Subject: x\r\n\r\nbody\r\n"
    ) -> (lines: [String], content: [UInt8]) {
        let lines =
            ["EHLO client.example", "MAIL FROM:<\(sender)>\(parameters)"]
            + recipients.map { "RCPT TO:<\($0)>" } + ["BDAT \(text.utf8.count) LAST"]
        return (lines, Array((text + "QUIT\r\n").utf8))
    }

    fileprivate static func program(_ server: Endpoint, _ way: Way, _ options: [String]) -> Program {
        Program("/usr/bin/openssl", ["s_client", "-connect", server.description] + way.options + options)
    }

    // MARK: Certificates

    /// SHA-256 of a certificate, as `AB:CD:…`.
    package static func fingerprint(_ certificate: String) throws -> String {
        let output = try Program(
            "/usr/bin/openssl", ["x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"]
        ).runOrThrow().output
        return String(output.trimmingCharacters(in: .whitespacesAndNewlines).drop { $0 != "=" }.dropFirst())
    }

    /// SHA-256 of the public half of a key, in hexadecimal digits: what TLSA records with `3 1 1` say.
    package static func publicKeyDigest(_ key: String) throws -> String {
        let script = "openssl pkey -in \"$0\" -pubout -outform DER | openssl dgst -sha256"
        let output = try Program("/bin/sh", ["-c", script, key]).runOrThrow().output
        return String(output.trimmingCharacters(in: .whitespacesAndNewlines).suffix(64))
    }
}

/// A session of `openssl s_client` after STARTTLS, line by line. A line that is one of its letters is a command to it,
/// such as `R` (renegotiate) or `K` (change the keys).
package final class OpenSSLDialog: Sendable {
    private let folder: TemporaryFolder
    private let input: Int32
    private let process: Subprocess

    package init(_ server: Endpoint, _ options: [String]) throws {
        self.folder = try TemporaryFolder()
        let path = self.folder.path("input")
        // Open for reading too, so that nobody waits for the other to open it and it never ends.
        guard mkfifo(path, 0o600) == 0 else { throw HarnessError("cannot make a pipe", code: errno) }
        self.input = open(path, O_RDWR | O_CLOEXEC)
        guard self.input >= 0 else { throw HarnessError("cannot open a pipe", code: errno) }
        let program = OpenSSLClient.program(server, .startTLS, options)
        let script = "input=$1; shift; exec \"$0\" \"$@\" <\"$input\""
        self.process = try Subprocess(Program("/bin/sh", ["-c", script, program.path, path] + program.arguments))
    }

    deinit {
        self.process.kill()
        close(self.input)
    }

    /// In one write; it is read at once.
    package func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        guard write(self.input, bytes, bytes.count) == bytes.count else {
            throw HarnessError("cannot write to a pipe", code: errno)
        }
    }

    /// Waits until it has written so many lines that begin with this.
    package func wait(for count: Int = 1, _ text: String) throws {
        do {
            try eventually("'\(text)'") {
                self.process.output.split(whereSeparator: \.isNewline).filter { $0.contains(text) }.count >= count
            }
        } catch { throw HarnessError("\(error): \(self.process.output)") }
    }
}
