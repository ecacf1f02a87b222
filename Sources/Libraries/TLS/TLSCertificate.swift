internal import CTLS

/// A certificate with its chain and private key.
///
/// Used by any thread: nothing changes it after it was made, and contexts take references, which OpenSSL counts
/// atomically (openssl-threads(7)).
package final class TLSCertificate: @unchecked Sendable {
    package enum KeyKind: String, Hashable, Sendable { case rsa = "RSA", ecdsa = "ECDSA", other = "other" }

    let leaf: OpaquePointer
    let key: OpaquePointer
    /// What stands behind the leaf; a stack that owns its certificates.
    let chain: OpaquePointer
    package let keyKind: KeyKind
    /// DNS names of subjectAltName, in lower case.
    package let names: [String]
    /// The first and the last moment of its time, in Unix seconds.
    package let begins: Int
    package let expires: Int
    /// SHA-256 of the certificate, and of its public key: the data of TLSA records `3 0 1` and `3 1 1`.
    package let fingerprint: [UInt8]
    package let publicKeyFingerprint: [UInt8]

    /// Takes everything over.
    private init(leaf: OpaquePointer, key: OpaquePointer, chain: OpaquePointer) {
        self.leaf = leaf
        self.key = key
        self.chain = chain
        self.keyKind =
            EVP_PKEY_is_a(key, "RSA") == 1 ? .rsa : EVP_PKEY_is_a(key, "EC") == 1 ? .ecdsa : .other
        self.names = X509Facts.names(leaf)
        self.begins = X509Facts.seconds(X509_get0_notBefore(leaf))
        self.expires = X509Facts.seconds(X509_get0_notAfter(leaf))
        self.fingerprint = X509Facts.fingerprint(leaf)
        self.publicKeyFingerprint = X509Facts.publicKeyFingerprint(leaf)
    }

    deinit {
        X509_free(self.leaf)
        EVP_PKEY_free(self.key)
        pst_free_chain(self.chain)
    }

    /// - Parameters:
    ///   - pem: the certificate, then those that lead to an authority, in PEM; other things between them are skipped.
    ///   - key: in PEM, without a password. It may stand in the same file.
    package convenience init(chain pem: [UInt8], key keyPEM: [UInt8]) throws(TLSError) {
        guard let chain = pst_new_chain() else { throw .last("certificate") }
        var leaf: OpaquePointer?
        Self.withSource(pem) { source in
            while let next = PEM_read_bio_X509(source, nil, nil, nil) {
                if leaf == nil { leaf = next } else if pst_push(chain, next) == 0 { X509_free(next) }
            }
        }
        // That there is no further one is the end of the file; anything else is a chain that is damaged or not yet whole.
        let isAtEnd = pst_is_no_start_line(ERR_peek_last_error()) == 1
        let problem = TLSError.last("no certificate can be read")
        guard let leaf, isAtEnd else {
            X509_free(leaf)
            pst_free_chain(chain)
            throw problem
        }
        guard let key = Self.withSource(keyPEM, { PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in 0 }, nil) }) else {
            X509_free(leaf)
            pst_free_chain(chain)
            throw .last("no private key can be read")
        }
        let fits = X509_check_private_key(leaf, key) == 1
        self.init(leaf: leaf, key: key, chain: chain)
        guard fits else { throw .last("the private key is not the certificate's") }
    }

    /// The source does not copy the octets, so they must stay where they are until it has been read.
    private static func withSource<Result>(_ pem: [UInt8], _ body: (OpaquePointer) -> Result?) -> Result? {
        pem.withUnsafeBytes { bytes in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            return body(source)
        }
    }

    /// Whether it is good for a host, by DNS names alone; `*.` stands for one label.
    package func covers(_ host: String) -> Bool {
        self.names.contains { name in
            guard name.hasPrefix("*.") else { return name == host }
            guard let dot = host.firstIndex(of: "."), dot > host.startIndex else { return false }
            return host[dot...] == name.dropFirst()
        }
    }
}

extension TLSCertificate {
    /// A new key of the curve P-256, as PEM (PKCS #8).
    package static func generateKey() throws(TLSError) -> [UInt8] {
        guard let key = pst_generate_ec() else { throw .last("key generation") }
        defer { EVP_PKEY_free(key) }
        return try Self.pem { PEM_write_bio_PKCS8PrivateKey($0, key, nil, nil, 0, nil, nil) }
    }

    /// The certificate without its chain, in PEM.
    package func pem() throws(TLSError) -> [UInt8] { try Self.pem { PEM_write_bio_X509($0, self.leaf) } }

    private static func pem(_ write: (OpaquePointer) -> Int32) throws(TLSError) -> [UInt8] {
        guard let sink = BIO_new(BIO_s_mem()) else { throw .last("PEM") }
        defer { BIO_free(sink) }
        guard write(sink) == 1 else { throw .last("PEM") }
        var bytes = [UInt8](repeating: 0, count: pst_pending(sink))
        let count = BIO_read(sink, &bytes, Int32(clamping: bytes.count))
        guard count == bytes.count else { throw .last("PEM") }
        return bytes
    }

    /// A certificate by which nobody is known, for encryption against listeners: signed with its own key, for 10 years
    /// from yesterday on. With the same key its TLSA record `3 1 1` stays the same.
    package convenience init(selfSigned name: String, key keyPEM: [UInt8]) throws(TLSError) {
        guard let key = Self.withSource(keyPEM, { PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in 0 }, nil) }) else {
            throw .last("no private key can be read")
        }
        guard let chain = pst_new_chain(), let certificate = X509_new() else {
            EVP_PKEY_free(key)
            throw .last("certificate")
        }
        let isMade = Self.fill(certificate, name, key)
        self.init(leaf: certificate, key: key, chain: chain)
        guard isMade else { throw .last("a certificate for \(name) cannot be made") }
    }

    private static func fill(_ certificate: OpaquePointer, _ name: String, _ key: OpaquePointer) -> Bool {
        X509_set_version(certificate, 2)
        // Of those of one issuer no two may have the same.
        var serial: UInt64 = 0
        guard withUnsafeMutableBytes(of: &serial, { RAND_bytes($0.baseAddress, Int32($0.count)) }) == 1 else {
            return false
        }
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1)
        pst_set_times(certificate, -86_400, 3650 * 86_400)
        guard let subject = X509_get_subject_name(certificate),
            // A common name has 64 characters at most; the one that counts stands in subjectAltName.
            pst_add_name_entry(subject, String(name.prefix(64))) == 1,
            X509_set_issuer_name(certificate, subject) == 1, X509_set_pubkey(certificate, key) == 1,
            let alternative = X509V3_EXT_conf_nid(nil, nil, NID_subject_alt_name, "DNS:\(name)")
        else { return false }
        defer { X509_EXTENSION_free(alternative) }
        guard X509_add_ext(certificate, alternative, -1) == 1 else { return false }
        return X509_sign(certificate, key, EVP_sha256()) > 0
    }
}
