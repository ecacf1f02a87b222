import Foundation
import Harness
import NIOCore
import TLS
import Testing

/// What a client thinks of a certificate: RFC 7672 §3.1, RFC 6698, and authorities.
struct VerificationTests {
    /// Made once: each is several programs that have to run.
    private static let authorities = Result {
        let root = try CertificateAuthority("Root")
        return (
            root, try CertificateAuthority("Intermediate", below: root), try CertificateAuthority("Stranger")
        )
    }

    private let root: CertificateAuthority
    private let intermediate: CertificateAuthority
    private let stranger: CertificateAuthority

    init() throws { (self.root, self.intermediate, self.stranger) = try Self.authorities.get() }

    private static func load(_ files: CertificateAuthority.Certificate) throws -> TLSCertificate {
        try TLSCertificate(chain: try Self.bytes(files.chain), key: try Self.bytes(files.key))
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private func verdict(
        _ certificate: TLSCertificate, _ verification: TLSVerification, trusting root: CertificateAuthority? = nil
    ) throws -> TLSVerdict {
        let pair = try Pair(
            TLSServerOptions(certificates: [certificate], service: "smtp"),
            client: TLSClientOptions(authorities: (root ?? self.root).root),
            TLSClientRequest(serverName: "mx.example.com", verification: verification))
        try pair.run()
        return try #require(pair.clientLog.session).verdict
    }

    // MARK: Authorities and names

    @Test(arguments: [
        (["mx.example.com"], true), (["other.example.com", "mx.example.com"], true), ([".example.com"], true),
        (["example.com"], false), (["x.example.com"], false), ([".mx.example.com"], false),
    ])
    func `A certificate is good for the names in it`(wanted: [String], isGood: Bool) throws {
        let certificate = try Self.load(try self.intermediate.certificate(for: "mx.example.com"))
        #expect(try self.verdict(certificate, .names(wanted)) == (isGood ? .verified : .failed(.wrongName)))
    }

    @Test(arguments: [("mx.example.com", true), ("a.mx.example.com", false), ("example.com", false)])
    func `An asterisk in a certificate stands for one label`(wanted: String, isGood: Bool) throws {
        let certificate = try Self.load(try self.root.certificate(for: "*.example.com"))
        #expect(try self.verdict(certificate, .names([wanted])) == (isGood ? .verified : .failed(.wrongName)))
    }

    @Test func `A name that is only the common name does not count`() throws {
        let certificate = try Self.load(
            try self.root.certificate(for: "other.example.net", commonName: "mx.example.com"))
        #expect(try self.verdict(certificate, .names(["mx.example.com"])) == .failed(.wrongName))
        #expect(try self.verdict(certificate, .anyName) == .verified)
    }

    @Test func `Time and authority count`() throws {
        let expired = try Self.load(try self.root.certificate(for: "mx.example.com", validity: .expired))
        #expect(try self.verdict(expired, .names(["mx.example.com"])) == .failed(.expired))
        let future = try Self.load(try self.root.certificate(for: "mx.example.com", validity: .future))
        #expect(try self.verdict(future, .names(["mx.example.com"])) == .failed(.notYetValid))
        let good = try Self.load(try self.root.certificate(for: "mx.example.com"))
        guard case .failed(.untrusted) = try self.verdict(good, .names(["mx.example.com"]), trusting: self.stranger)
        else {
            Issue.record("trusted")
            return
        }
        #expect(try self.verdict(good, .none, trusting: self.stranger) == .notVerified)
    }

    @Test func `Fingerprints are of the certificate or of its key, and nothing else counts`() throws {
        let certificate = try Self.load(try self.root.certificate(for: "x.example.com", validity: .expired))
        #expect(try self.verdict(certificate, .fingerprints([certificate.fingerprint])) == .verified)
        #expect(
            try self.verdict(
                certificate, .fingerprints([Array(repeating: 1, count: 32), certificate.publicKeyFingerprint]))
                == .verified)
        #expect(
            try self.verdict(certificate, .fingerprints([Array(repeating: 1, count: 32)]))
                == .failed(.wrongFingerprint))
        #expect(try self.verdict(certificate, .fingerprints([])) == .failed(.wrongFingerprint))
    }

    // MARK: DANE

    /// Whose data a record has, and how.
    private enum Subject { case leaf, intermediate, root, stranger }

    private func association(
        _ usage: UInt8, _ selector: UInt8, _ matching: UInt8, _ subject: Subject,
        _ leaf: CertificateAuthority.Certificate
    ) throws -> TLSAssociation {
        let path =
            switch subject {
            case .leaf: leaf.certificate
            case .intermediate: self.intermediate.certificate
            case .root: self.root.certificate
            case .stranger: self.stranger.certificate
            }
        return TLSAssociation(
            usage: usage, selector: selector, matching: matching,
            data: try TLSAData.of(path, selector: selector, matching: matching))
    }

    private struct Case: Sendable {
        let text: String
        let records: [(usage: UInt8, selector: UInt8, matching: UInt8, subject: Subject)]
        var names = ["mx.example.com"]
        var validity = CertificateAuthority.Validity.current
        var verdict = TLSVerdict.verified
    }

    private static let cases: [Case] =
        [UInt8(0), 1].flatMap { selector in
            [UInt8(0), 1, 2].flatMap { matching in
                [
                    Case(text: "3 \(selector) \(matching)", records: [(3, selector, matching, .leaf)]),
                    Case(text: "2 \(selector) \(matching)", records: [(2, selector, matching, .intermediate)]),
                    Case(
                        text: "3 \(selector) \(matching) of another", records: [(3, selector, matching, .stranger)],
                        verdict: .failed(.noMatchingAssociation)),
                ]
            }
        } + [
            Case(text: "Usage 3 knows no names", records: [(3, 1, 1, .leaf)], names: ["other.example.net"]),
            Case(text: "Usage 3 knows no time", records: [(3, 1, 1, .leaf)], validity: .expired),
            Case(text: "Usage 3 knows no time to come", records: [(3, 0, 1, .leaf)], validity: .future),
            Case(
                text: "Usage 2 knows names", records: [(2, 1, 1, .intermediate)], names: ["other.example.net"],
                verdict: .failed(.wrongName)),
            Case(
                text: "Usage 2 takes the next-hop domain too", records: [(2, 1, 1, .intermediate)],
                names: ["other.example.net", "mx.example.com"]),
            Case(
                text: "Usage 2 knows time", records: [(2, 1, 1, .intermediate)], validity: .expired,
                verdict: .failed(.expired)),
            Case(
                text: "Usage 2 of the leaf's key is not its issuer", records: [(2, 1, 1, .stranger)],
                verdict: .failed(.noMatchingAssociation)),
            Case(text: "One of several is enough", records: [(3, 1, 1, .stranger), (3, 1, 1, .leaf)]),
            Case(text: "Usage 3 makes up for usage 2", records: [(2, 0, 1, .stranger), (3, 1, 1, .leaf)]),
            Case(
                text: "Usages that are not usable do not help", records: [(1, 1, 1, .leaf), (3, 1, 1, .stranger)],
                verdict: .failed(.noMatchingAssociation)),
            Case(
                text: "A root that the server does not send", records: [(2, 0, 1, .root)],
                verdict: .failed(.noMatchingAssociation)),
            Case(text: "A root that the record has whole", records: [(2, 0, 0, .root)]),
        ]

    @Test(arguments: Self.cases.indices)
    func `TLSA records decide as RFC 7672 wants it`(index: Int) throws {
        let one = Self.cases[index]
        let files = try self.intermediate.certificate(for: "mx.example.com", validity: one.validity)
        let records = try one.records.map {
            try self.association($0.usage, $0.selector, $0.matching, $0.subject, files)
        }
        // No authority is trusted: DANE must not need one.
        let verdict = try self.verdict(
            try Self.load(files), .dane(records, names: one.names), trusting: self.stranger)
        #expect(verdict == one.verdict, "\(one.text)")
    }

    @Test func `Records without a usable one among them make no connection`() throws {
        let context = try TLSClientContext(TLSClientOptions(authorities: self.root.root))
        let server = try TLSServerContext(
            TLSServerOptions(
                certificates: [try Self.load(try self.root.certificate(for: "mx.example.com"))], service: "smtp"))
        let record = TLSAssociation(usage: 1, selector: 1, matching: 1, data: Array(repeating: 0, count: 32))
        let pair = try Pair(
            TLSHandler(server: server),
            TLSHandler(
                client: context,
                TLSClientRequest(serverName: nil, verification: .dane([record], names: ["mx.example.com"]))))
        try pair.run()
        #expect(pair.clientLog.session == nil)
        #expect(pair.clientLog.errors == [TLSError("no usable TLSA record")])
    }

    @Test(arguments: [
        (UInt8(0), UInt8(1), UInt8(1), 32, false), (1, 1, 1, 32, false), (2, 1, 1, 32, true), (3, 1, 1, 32, true),
        (4, 1, 1, 32, false), (255, 1, 1, 32, false), (3, 2, 1, 32, false), (3, 255, 1, 32, false),
        (3, 1, 3, 32, false),
        (3, 1, 1, 31, false), (3, 1, 1, 33, false), (3, 1, 2, 64, true), (3, 1, 2, 32, false), (3, 0, 0, 32, false),
        (3, 1, 0, 0, false), (3, 1, 1, 0, false),
    ])
    func `Records are usable that can be checked against`(
        usage: UInt8, selector: UInt8, matching: UInt8, bytes: Int, isUsable: Bool
    ) {
        let record = TLSAssociation(
            usage: usage, selector: selector, matching: matching, data: Array(repeating: 7, count: bytes))
        #expect(record.isUsable == isUsable)
    }
}

/// TLSA data by the `openssl` command, which knows nothing of ours.
enum TLSAData {
    static func of(_ certificate: String, selector: UInt8, matching: UInt8) throws -> [UInt8] {
        let select =
            selector == 0
            ? "openssl x509 -in \(certificate) -outform DER"
            : "openssl x509 -in \(certificate) -noout -pubkey | openssl pkey -pubin -outform DER"
        let digest = ["cat", "openssl dgst -sha256 -binary", "openssl dgst -sha512 -binary"][Int(matching)]
        let program = Program("/bin/sh", ["-c", "\(select) | \(digest) | od -An -v -tx1"])
        return try program.runOrThrow().output.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0, radix: 16) }
    }
}
