package import Mail
import TLS

/// TLS for those who bring mail.
package struct ServerTLSOptions: Options, OptionValue {
    /// Older ones must not be used (RFC 8996).
    package enum MinimumVersion: String, CaseIterable, Sendable, OptionValue {
        case v1_2 = "TLSv1.2"
        case v1_3 = "TLSv1.3"

        var version: TLSVersion {
            switch self {
            case .v1_2: .v1_2
            case .v1_3: .v1_3
            }
        }
    }

    package var enabled = true
    package var certificates: [CertificateFiles] = []
    package var listen: [Endpoint] = []
    package var required = false
    package var minimumVersion = MinimumVersion.v1_2
    package var ciphers = TLSServerOptions.defaultCiphers
    package var clientCertificates = false
    package var authorities: String?
    package var relayCertificates: String?
    package var expiryWarning = Duration.seconds(14 * 86_400)
    package var watch = Duration.seconds(60)

    package init() {}

    package static let summary = "TLS for those who bring mail: STARTTLS and, where wanted, at once."

    package static let fields: [OptionField<Self>] = [
        .init("enabled", \.enabled, "Whether STARTTLS is offered."),
        .init(
            "certificates", \.certificates,
            "Files in PEM, each with a certificate, those that lead to its authority, and its key; or "
                + "`{chain: FILE, key: FILE}`. The first is for clients that ask for no name we have. An ECDSA and an "
                + "RSA certificate for the same names go together. Without any we make one of our own, which is kept "
                + "under `state`."),
        .init(
            "listen", \.listen,
            "Where clients connect with TLS at once, without STARTTLS; usually nowhere. Changed by a restart."),
        .init("required", \.required, "Whether MAIL is refused without TLS; not for a server with an MX record."),
        .init("minimum_version", \.minimumVersion, "The oldest version."),
        .init("ciphers", \.ciphers, "Ciphers up to TLS 1.2, as in ciphers(1)."),
        .init(
            "client_certificates", \.clientCertificates,
            "Whether clients are asked for a certificate, for rules such as `check_ccert_access`. They need not have "
                + "one."),
        .init(
            "authorities", \.authorities,
            "File of authorities in PEM by which clients' certificates are trusted; needed by "
                + "`permit_tls_all_clientcerts` only."),
        .init(
            "relay_certificates", \.relayCertificates,
            "Table of fingerprints (SHA-256, as `AB:CD:…`) of clients that `permit_tls_clientcerts` permits, of certificate "
                + "or public key."),
        .init("expiry_warning", \.expiryWarning, "How long before its end a certificate is an alarm."),
        .init(
            "watch", \.watch,
            "How often it is looked whether the files have changed; new ones are used without a reload, and a pair that "
                + "does not fit is not used. 0 never looks."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.enabled || self.listen.isEmpty else {
            throw OptionProblem("listen goes with enabled TLS only")
        }
        guard self.enabled || !self.required else { throw OptionProblem("required goes with enabled TLS only") }
    }
}

/// Where a certificate with its chain is, and where its key.
package struct CertificateFiles: Hashable, Sendable, OptionValue {
    package let chain: String
    package let key: String

    package static let optionSyntax = "a file, or {chain: FILE, key: FILE}"

    package init(option node: OptionNode) throws(OptionError) {
        guard case .map = node.content else {
            self.chain = try node.scalar(expected: Self.optionSyntax)
            self.key = self.chain
            return
        }
        let pair = try Pair(option: node)
        (self.chain, self.key) = (pair.chain, pair.key)
    }

    package var optionText: String {
        self.chain == self.key ? self.chain : "{chain: \(self.chain), key: \(self.key)}"
    }

    private struct Pair: Options, OptionValue {
        var chain = ""
        var key = ""

        static let summary = "A certificate in two files."

        static let fields: [OptionField<Self>] = [
            .init("chain", \.chain, "The certificate, then those that lead to its authority."),
            .init("key", \.key, "Its key, without a password."),
        ]

        func validate() throws(OptionProblem) {
            guard !self.chain.isEmpty, !self.key.isEmpty else { throw OptionProblem("chain and key are both needed") }
        }
    }
}
