import Foundation
import Harness

/// Postern with certificates of a test's own authority, STARTTLS at one port and TLS at once at another, and a sink.
final class TLSReceivingWorld {
    let root: CertificateAuthority
    /// Below the root: what it signs is shown with a chain.
    let authority: CertificateAuthority
    let sink: SMTPSink
    let postern: PosternProcess
    let implicit: Endpoint

    static let host = "mx2.example.test"

    /// A client that reads its lines from a file waits for nothing.
    static let hasty = "{connections_per_client: 0, reject_pipelining: false}"

    struct Shown {
        let name: String
        var key = CertificateAuthority.KeyKind.ec
        var validity = CertificateAuthority.Validity.current
    }

    /// - Parameters:
    ///   - certificates: in `1.pem`, `2.pem` and so on beside the configuration; without any, Postern makes its own.
    ///   - tls: more of the section.
    ///   - elsewhere: a second domain whose mail goes to the sink, for those who may relay.
    ///   - prepare: writes files before the daemon starts.
    init(
        _ certificates: [Shown] = [Shown(name: host)], tls: String = "", more: String = "",
        elsewhere: String? = nil, screener: String = "{enabled: false}",
        limits: String = hasty, primary: Endpoint? = nil,
        prepare: (TLSReceivingWorld) throws -> Void = { _ in }
    ) throws {
        self.root = try CertificateAuthority("Test root")
        self.authority = try CertificateAuthority("Test authority", below: self.root)
        self.sink = try SMTPSink(keepsMessages: true)
        self.implicit = try .free()
        let names = certificates.indices.map { "\($0 + 1).pem" }.joined(separator: ", ")
        let next = primary ?? self.sink.address
        let transport = (["example.test"] + [elsewhere].compactMap(\.self)).map {
            "\($0) smtp:[\(next.host)]:\(next.port)\n"
        }
        let section = ["certificates: [\(names)]", "listen: [\"\(self.implicit)\"]"] + (tls.isEmpty ? [] : [tls])
        self.postern = try PosternProcess(
            transport: transport.joined(), screener: screener, limits: limits,
            more: "tls: {\(section.joined(separator: ", "))}\n\(more)", starts: false)
        for (index, shown) in certificates.enumerated() {
            try self.install(self.certificate(shown), as: "\(index + 1).pem")
        }
        try prepare(self)
        try self.postern.start()
    }

    func certificate(_ shown: Shown) throws -> CertificateAuthority.Certificate {
        try self.authority.certificate(for: shown.name, key: shown.key, validity: shown.validity)
    }

    /// Puts a certificate with its key beside the configuration, at once and with the rights of a secret.
    func install(_ certificate: CertificateAuthority.Certificate, as name: String) throws {
        try self.install(file: certificate.combined, as: name)
    }

    func install(file: String, as name: String) throws {
        let new = try self.postern.folder.write("\(name).new", String(contentsOfFile: file, encoding: .utf8))
        guard chmod(new, 0o600) == 0, rename(new, self.postern.folder.path(name)) == 0 else {
            throw HarnessError("cannot replace \(name): error \(errno)")
        }
    }

    func address(_ way: OpenSSLClient.Way) -> Endpoint { way == .startTLS ? self.postern.address : self.implicit }

    /// What `openssl s_client` sees.
    func connect(
        _ way: OpenSSLClient.Way = .startTLS, _ options: [String] = [], saying lines: [String] = ["QUIT"],
        content: [UInt8] = []
    ) throws -> OpenSSLClient.Report {
        try OpenSSLClient.connect(self.address(way), way, options, saying: lines, content: content)
    }

    /// The same with a message.
    func send(
        _ way: OpenSSLClient.Way = .startTLS, _ options: [String] = [], to recipients: [String] = ["user@example.test"],
        mail parameters: String = ""
    ) throws -> OpenSSLClient.Report {
        let (lines, content) = OpenSSLClient.transaction(to: recipients, mail: parameters)
        return try self.connect(way, options, saying: lines, content: content)
    }

    /// The fields at the top of the messages that the sink has, up to the next Received.
    func traces() throws -> [String] {
        try self.sink.messages().map { message in
            let lines = String(decoding: message.content, as: UTF8.self).components(separatedBy: "\n")
            let folded = lines.dropFirst().prefix { $0.first == "\t" || $0.first == " " }
            return ([lines[0]] + folded).joined(separator: "\n")
        }
    }

    /// Those about certificates.
    func alarms() throws -> [String] {
        guard let alarms = try self.postern.json("status")["alarms"] as? [String] else {
            throw HarnessError("a status without alarms")
        }
        return alarms.filter { $0.contains("certificate") }
    }
}
