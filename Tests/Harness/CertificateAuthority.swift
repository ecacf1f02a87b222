import Foundation

/// A certificate authority of a test, by the `openssl` command. Its files go with the last reference to it.
///
/// From any thread; each certificate is made in a folder of its own.
package final class CertificateAuthority: Sendable {
    package enum KeyKind: Sendable { case ec, rsa }

    package enum Validity: Sendable {
        /// From an hour ago for some years.
        case current
        /// Until yesterday.
        case expired
        /// From tomorrow.
        case future
        /// From an hour ago for so many days.
        case days(Int)
    }

    /// Paths of PEM files.
    package struct Certificate: Sendable {
        /// The certificate alone.
        package let certificate: String
        package let key: String
        /// The certificate and those of the authorities between it and the root.
        package let chain: String
        /// The same with the key at the end, for programs that want one file.
        package let combined: String
    }

    private let folder: TemporaryFolder
    private let name: String
    private let own: Certificate
    /// Nil for a root.
    private let issuer: CertificateAuthority?

    /// What a client trusts: the certificate of the root.
    package var root: String { self.issuer?.root ?? self.own.certificate }
    /// The authority's own certificate; the root's, if it is one.
    package var certificate: String { self.own.certificate }

    /// A root.
    package init(_ name: String = "Test root", key: KeyKind = .ec) throws {
        self.folder = try TemporaryFolder()
        self.name = name
        self.issuer = nil
        let request = Request(name: name, names: [], key: key, validity: .current, isAuthority: true)
        self.own = try Self.make(request, in: self.folder, "root", signedBy: nil, chain: [])
    }

    /// An authority below another.
    package init(_ name: String, below issuer: CertificateAuthority, key: KeyKind = .ec) throws {
        self.folder = try TemporaryFolder()
        self.name = name
        self.issuer = issuer
        let request = Request(name: name, names: [], key: key, validity: .current, isAuthority: true)
        self.own = try Self.make(
            request, in: self.folder, "authority", signedBy: issuer.own, chain: issuer.intermediates)
    }

    /// Those between the root and what this one signs.
    private var intermediates: [String] {
        self.issuer.map { [self.own.certificate] + $0.intermediates } ?? []
    }

    /// A certificate for servers and clients.
    ///
    /// - Parameters:
    ///   - names: DNS names and addresses of subjectAltName; `*.example.test` may be one.
    ///   - commonName: the first of the names, if it is nil.
    package func certificate(
        for names: String..., commonName: String? = nil, key: KeyKind = .ec, validity: Validity = .current
    ) throws -> Certificate {
        let request = Request(
            name: commonName ?? names.first ?? "nobody", names: names, key: key, validity: validity, isAuthority: false)
        return try Self.make(
            request, in: self.folder, UUID().uuidString, signedBy: self.own, chain: self.intermediates)
    }

    /// A certificate that nobody vouches for, kept in a folder of the caller.
    package static func selfSigned(
        _ names: String..., in folder: TemporaryFolder, key: KeyKind = .ec, validity: Validity = .current
    ) throws -> Certificate {
        let request = Request(
            name: names.first ?? "nobody", names: names, key: key, validity: validity, isAuthority: false)
        return try Self.make(request, in: folder, UUID().uuidString, signedBy: nil, chain: [])
    }
}

// MARK: - The command

private struct Request {
    let name: String
    let names: [String]
    let key: CertificateAuthority.KeyKind
    let validity: CertificateAuthority.Validity
    let isAuthority: Bool

    /// For `openssl ca`, which other than `openssl x509` of OpenSSL 3.0 can begin and end a certificate at any time.
    func configuration(_ folder: String) -> String {
        let names = self.names.map { "\(Self.isAddress($0) ? "IP" : "DNS"):\($0)" }.joined(separator: ",")
        return """
            [ca]
            default_ca = own
            [own]
            database = \(folder)/index
            new_certs_dir = \(folder)
            rand_serial = yes
            default_md = sha256
            unique_subject = no
            policy = policy
            x509_extensions = extensions
            [policy]
            commonName = supplied
            [req]
            prompt = no
            distinguished_name = subject
            [subject]
            commonName = \(self.name)
            [extensions]
            basicConstraints = critical,CA:\(self.isAuthority ? "TRUE" : "FALSE")
            subjectKeyIdentifier = hash
            keyUsage = critical,\(self.isAuthority ? "keyCertSign,cRLSign" : "digitalSignature")
            \(self.isAuthority ? "" : "extendedKeyUsage = serverAuth,clientAuth")
            \(names.isEmpty ? "" : "subjectAltName = \(names)")

            """
    }

    private static func isAddress(_ name: String) -> Bool {
        name.contains(":") || name.allSatisfy { $0.isNumber || $0 == "." }
    }

    var keyArguments: [String] {
        switch self.key {
        case .ec: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        case .rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        }
    }

    /// As `openssl ca` takes them, in UTC.
    var times: (start: String, end: String) {
        let day = 86_400.0
        let (start, end): (Double, Double) =
            switch self.validity {
            case .current: (-3600, 3650 * day)
            case .expired: (-30 * day, -day)
            case .future: (day, 30 * day)
            case .days(let count): (-3600, Double(count) * day)
            }
        return (Self.time(start), Self.time(end))
    }

    private static func time(_ seconds: Double) -> String {
        var time = time_t(Date().timeIntervalSince1970 + seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        var text = [CChar](repeating: 0, count: 32)
        strftime(&text, text.count, "%Y%m%d%H%M%SZ", &parts)
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension CertificateAuthority {
    private static func make(
        _ request: Request, in folder: TemporaryFolder, _ name: String, signedBy issuer: Certificate?, chain: [String]
    ) throws -> Certificate {
        let path = try folder.make(folder: name)
        try folder.write("\(name)/index", "")
        let configuration = try folder.write("\(name)/openssl.cnf", request.configuration(path))
        let (certificate, key, wish) = ("\(path)/certificate.pem", "\(path)/key.pem", "\(path)/request.pem")
        try Self.openssl(["genpkey"] + request.keyArguments + ["-out", key])
        try Self.openssl(["req", "-new", "-config", configuration, "-key", key, "-out", wish])
        let signer = issuer.map { ["-cert", $0.certificate, "-keyfile", $0.key] } ?? ["-selfsign", "-keyfile", key]
        try Self.openssl(
            ["ca", "-batch", "-notext", "-config", configuration, "-in", wish, "-out", certificate]
                + ["-startdate", request.times.start, "-enddate", request.times.end] + signer)
        let texts = try ([certificate] + chain).map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
        let keyText = try String(contentsOfFile: key, encoding: .utf8)
        // Who reads them may run as another account, in a peer's namespace.
        for file in [certificate, key] { chmod(file, 0o644) }
        return Certificate(
            certificate: certificate, key: key, chain: try folder.write("\(name)/chain.pem", texts),
            combined: try folder.write("\(name)/combined.pem", texts + keyText))
    }

    private static func openssl(_ arguments: [String]) throws {
        try Program("/usr/bin/openssl", arguments).runOrThrow()
    }
}
