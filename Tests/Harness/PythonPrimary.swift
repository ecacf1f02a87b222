import Foundation

/// A primary with TLS that breaks rules, or keeps those that Postfix and Exim do not know: `Tests/tls_primary.py`.
package final class PythonPrimary: Sendable {
    /// What becomes of STARTTLS.
    package enum Handshake: String, Sendable, Encodable {
        case done
        /// The connection ends instead.
        case cut
        /// Octets that are no TLS.
        case noise
    }

    private struct Settings: Encodable {
        let certificate: String?
        let extensions: [String]
        let handshake: Handshake
        let injected: String
    }

    /// Something that it was told.
    package struct Told: Sendable, Decodable {
        /// From 1.
        package let session: Int
        package let tls: Bool
        package let line: String?
        package let content: String?
        /// Why the session ended.
        package let error: String?
    }

    package let address: Endpoint
    private let process: Subprocess

    /// - Parameters:
    ///   - certificate: nil for a server without STARTTLS.
    ///   - extensions: offered inside TLS.
    ///   - injected: sent in plain text behind the answer to STARTTLS.
    package init(
        host: String = "127.0.0.1", certificate: CertificateAuthority.Certificate? = nil, extensions: [String] = [],
        handshake: Handshake = .done, injected: String = ""
    ) throws {
        let settings = Settings(
            certificate: certificate?.combined, extensions: extensions, handshake: handshake, injected: injected)
        let text = String(decoding: try JSONEncoder().encode(settings), as: UTF8.self)
        // This file is Tests/Harness/PythonPrimary.swift.
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        self.process = try Subprocess(
            Program("/usr/bin/python3", [tests.appendingPathComponent("tls_primary.py").path, host, text]))
        let line = try self.process.waitForOutput("port ")
        guard let port = Int(line.dropFirst("port ".count)) else { throw HarnessError("no port: \(line)") }
        self.address = Endpoint(host, port)
    }

    /// So far.
    package var told: [Told] {
        self.process.output.split(separator: "\n").compactMap {
            try? JSONDecoder().decode(Told.self, from: Data($0.utf8))  // The port, or a line that is not whole yet.
        }
    }

    /// Waits for so many messages; what was told around the last.
    package func wait(for count: Int) throws -> [Told] {
        let told = try eventually("message \(count) at the primary") {
            let told = self.told
            return told.filter { $0.content != nil }.count >= count ? told : nil
        }
        let session = told.last { $0.content != nil }?.session
        return told.filter { $0.session == session }
    }
}
