/// Versions of the protocol, by OpenSSL's names.
package enum TLSVersion: String, CaseIterable, Hashable, Sendable {
    case v1_0 = "TLSv1"
    case v1_1 = "TLSv1.1"
    case v1_2 = "TLSv1.2"
    case v1_3 = "TLSv1.3"
}

/// What a client wants of a server's certificate. The handshake is completed whatever comes of it: what it came to is
/// the session's ``TLSSession/verdict``, and whoever asked acts on it.
package enum TLSVerification: Hashable, Sendable {
    case none
    /// A chain to an authority that is trusted here, and one of these names: in lower case, ASCII; `.example.com`
    /// stands for every name below it, however deep. In the certificate `*.` stands for one label.
    case names([String])
    /// A chain to an authority that is trusted here, whatever its name.
    case anyName
    /// RFC 6698, as RFC 7672 §3.1 has it for SMTP: usages 2 and 3 only, others are not usable. The names count for
    /// usage 2 alone; the first is the base domain of the records.
    case dane([TLSAssociation], names: [String])
    /// SHA-256 of the certificate or of its public key.
    case fingerprints([[UInt8]])
}

/// The data of a TLSA record (RFC 6698 §2.1).
package struct TLSAssociation: Hashable, Sendable {
    package let usage: UInt8
    package let selector: UInt8
    package let matching: UInt8
    package let data: [UInt8]

    package init(usage: UInt8, selector: UInt8, matching: UInt8, data: [UInt8]) {
        self.usage = usage
        self.selector = selector
        self.matching = matching
        self.data = data
    }

    /// Whether it can be checked against: a usage, selector and matching type that are known, and data as long as the
    /// digest, or for matching type 0 a certificate or key that can be read.
    package var isUsable: Bool { DANERecords.canUse(self) }
}

/// What became of a client's wish.
package enum TLSVerdict: Hashable, Sendable {
    /// Nothing was wanted; or this is the server, and the client showed nothing.
    case notVerified
    case verified
    case failed(TLSVerificationFailure)
}

/// Why a certificate is not good.
package enum TLSVerificationFailure: Error, Hashable, Sendable {
    case expired
    case notYetValid
    /// Good, but for another name.
    case wrongName
    /// No chain to an authority that is trusted here. The text is for the log.
    case untrusted(String)
    /// None of the TLSA records matches.
    case noMatchingAssociation
    /// Neither certificate nor key has one of the fingerprints.
    case wrongFingerprint
    /// The server showed none.
    case noCertificate
    case other(String)
}

/// A certificate of the other side. Names may be anything, even in a valid one.
package struct TLSPeerCertificate: Hashable, Sendable {
    /// Common names; empty if there is none.
    package let subject: String
    package let issuer: String
    /// SHA-256 of the certificate, and of its public key (SubjectPublicKeyInfo), in DER.
    package let fingerprint: [UInt8]
    package let publicKeyFingerprint: [UInt8]
    /// DNS names of subjectAltName, in lower case.
    package let names: [String]
    /// Unix seconds.
    package let expires: Int
}

/// What both sides agreed on.
package struct TLSSession: Hashable, Sendable {
    package let version: TLSVersion
    /// `TLS_AES_256_GCM_SHA384`
    package let cipher: String
    /// Secret bits of the cipher, and bits of its key.
    package let bits: Int
    package let keyBits: Int
    package let isResumed: Bool
    /// At the server: which name the client asked for, in lower case; nil if it did not say.
    package let serverName: String?
    package let peer: TLSPeerCertificate?
    package let verdict: TLSVerdict
}

/// Told to the handlers behind a ``TLSHandler``, as an inbound user event.
package enum TLSEvent: Sendable {
    /// The handshake is done; what is read from now on came through it.
    case established(TLSSession)
}
