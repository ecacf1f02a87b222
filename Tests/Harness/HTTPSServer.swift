import Foundation

/// An HTTPS server that says to each host what a test wants: `Tests/sts_server.py`.
package final class HTTPSServer: Sendable {
    package enum Then: String, Sendable, Encodable {
        case close
        /// Nothing more, until the client goes.
        case silence
        /// The connection ends without TLS's goodbye.
        case cut
        /// The response again and again.
        case endless
    }

    package struct Host: Sendable, Encodable {
        let certificate: String
        let response: String
        let then: Then
        let pieces: Bool
        let version: String?

        /// - Parameters:
        ///   - response: sent as it stands.
        ///   - inPieces: octet by octet.
        ///   - version: the highest, as Python calls it: `TLSv1_2`.
        package init(
            _ certificate: CertificateAuthority.Certificate, _ response: String, then: Then = .close,
            inPieces: Bool = false, version: String? = nil
        ) {
            self.certificate = certificate.combined
            self.response = response
            self.then = then
            self.pieces = inPieces
            self.version = version
        }

        /// With a policy as it should be sent.
        package static func policy(_ certificate: CertificateAuthority.Certificate, _ text: String) -> Host {
            Host(certificate, HTTPSServer.response(text))
        }
    }

    package struct Request: Sendable, Decodable {
        package let method: String
        package let path: String
        /// Names in lower case.
        package let header: [String: String]
        package let body: String
    }

    package let port: Int
    private let process: Subprocess
    private let folder: TemporaryFolder

    /// - Parameter hosts: by the names by which they are asked for. Others are refused in the handshake.
    package init(_ hosts: [String: Host]) throws {
        self.folder = try TemporaryFolder()
        let file = try self.folder.write("hosts.json", bytes: Array(try JSONEncoder().encode(hosts)))
        // This file is Tests/Harness/HTTPSServer.swift.
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        self.process = try Subprocess(
            Program("/usr/bin/python3", [tests.appendingPathComponent("sts_server.py").path, file]))
        let line = try self.process.waitForOutput("port ")
        guard let port = Int(line.dropFirst("port ".count)) else { throw HarnessError("no port: \(line)") }
        self.port = port
    }

    /// A whole answer with status 200.
    package static func response(
        _ body: String, type: String = "text/plain", status: String = "200 OK", extra: String = ""
    ) -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n\(extra)\r\n\(body)"
    }

    /// What was asked so far.
    package var requests: [Request] {
        self.process.output.split(separator: "\n").compactMap {
            try? JSONDecoder().decode(Request.self, from: Data($0.utf8))  // The port, or a line that is not whole yet.
        }
    }
}
