/// What TLS gave a connection, for log, trace field and rules.
package struct TLSSummary: Hashable, Sendable {
    /// As OpenSSL calls it: `TLSv1.3`.
    package var version: String
    /// As OpenSSL calls it: `TLS_AES_256_GCM_SHA384`.
    package var cipher: String
    /// Secret bits of the cipher, and bits of its key.
    package var bits: Int
    package var keyBits: Int
    /// Keys of an earlier session were used.
    package var isResumed: Bool
    /// The server's name that the client asked for; nil if it did not say.
    package var serverName: String?
    /// Of the other side; nil if it showed none.
    package var certificate: CertificateFacts?

    package init(
        version: String, cipher: String, bits: Int, keyBits: Int, isResumed: Bool = false, serverName: String? = nil,
        certificate: CertificateFacts? = nil
    ) {
        self.version = version
        self.cipher = cipher
        self.bits = bits
        self.keyBits = keyBits
        self.isResumed = isResumed
        self.serverName = serverName
        self.certificate = certificate
    }
}

/// What rules and log may know of a certificate that somebody showed. Names may be anything, even in a valid one.
package struct CertificateFacts: Hashable, Sendable {
    /// The subject's and the issuer's common name; empty if there is none.
    package var subject: String
    package var issuer: String
    /// SHA-256 of the certificate, and of its public key (SubjectPublicKeyInfo), in DER.
    package var fingerprint: [UInt8]
    package var publicKeyFingerprint: [UInt8]
    /// It leads to an authority that is trusted here, and its time has come and is not over.
    package var isTrusted: Bool

    package init(
        subject: String, issuer: String, fingerprint: [UInt8], publicKeyFingerprint: [UInt8], isTrusted: Bool
    ) {
        self.subject = subject
        self.issuer = issuer
        self.fingerprint = fingerprint
        self.publicKeyFingerprint = publicKeyFingerprint
        self.isTrusted = isTrusted
    }
}

/// What the sender of a message wants of the connections that it goes over (RFC 8689).
package enum TLSRequirement: Hashable, Sendable {
    case unspecified
    /// `REQUIRETLS` with MAIL: only over authenticated TLS, to servers that promise the same.
    case required
    /// `TLS-Required: No` in the header: rather without than not at all. Never together with REQUIRETLS, which wins.
    case optional
}
