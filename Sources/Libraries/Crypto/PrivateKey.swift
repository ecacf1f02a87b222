internal import CCrypto

/// A key that signs.
///
/// Used by any thread, for the reasons of ``PublicKey``.
package final class PrivateKey: @unchecked Sendable {
    package let kind: PublicKey.Kind
    /// Of the modulus; 256 for Ed25519.
    package let bits: Int
    private let key: OpaquePointer

    /// Takes the key over.
    private init(owning key: OpaquePointer) throws(CryptoError) {
        guard let kind = PublicKey.Kind(key) else {
            EVP_PKEY_free(key)
            throw CryptoError("neither an RSA nor an Ed25519 key")
        }
        self.kind = kind
        self.bits = kind == .rsa ? Int(EVP_PKEY_get_bits(key)) : 256
        self.key = key
    }

    deinit { EVP_PKEY_free(self.key) }

    /// Reads PKCS #8 (`PRIVATE KEY`) or PKCS #1 (`RSA PRIVATE KEY`) in PEM. A key with a password is refused, not asked
    /// for.
    package convenience init(pem: [UInt8]) throws(CryptoError) {
        // The source does not copy the octets, so they must stay where they are until it has been read.
        let key = pem.withUnsafeBytes { bytes -> OpaquePointer? in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            // OpenSSL would ask the terminal, did it get no function that knows no password.
            return PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in 0 }, nil)
        }
        guard let key else { throw CryptoError.last("private key") }
        try self.init(owning: key)
    }

    /// The 32 octets that RFC 8032 §5.1.5 calls the private key.
    package convenience init(ed25519 seed: [UInt8]) throws(CryptoError) {
        guard seed.count == 32, let key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count) else {
            throw CryptoError.last("Ed25519 private key")
        }
        try self.init(owning: key)
    }

    /// Makes a new RSA key.
    package static func generateRSA(bits: Int) throws(CryptoError) -> PrivateKey {
        try Self.generate(EVP_PKEY_RSA) { EVP_PKEY_CTX_set_rsa_keygen_bits($0, Int32(clamping: bits)) == 1 }
    }

    /// Makes a new Ed25519 key.
    package static func generateEd25519() throws(CryptoError) -> PrivateKey {
        try Self.generate(EVP_PKEY_ED25519) { _ in true }
    }

    private static func generate(
        _ kind: Int32, _ configure: (OpaquePointer) -> Bool
    ) throws(CryptoError) -> PrivateKey {
        guard let context = EVP_PKEY_CTX_new_id(kind, nil) else { throw CryptoError.last("key generation") }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, configure(context), EVP_PKEY_keygen(context, &key) == 1, let key
        else { throw CryptoError.last("key generation") }
        return try PrivateKey(owning: key)
    }

    /// Signs a SHA-256 digest: RSA with PKCS #1 v1.5 padding, Ed25519 as if the digest were the message.
    package func sign(digest: [UInt8]) throws(CryptoError) -> [UInt8] {
        var length = Int(EVP_PKEY_get_size(self.key))
        var signature = [UInt8](repeating: 0, count: length)
        guard self.sign(digest, into: &signature, &length) else { throw CryptoError.last("signature") }
        return Array(signature.prefix(length))
    }

    private func sign(_ digest: [UInt8], into signature: inout [UInt8], _ length: inout Int) -> Bool {
        switch self.kind {
        case .rsa:
            guard let context = EVP_PKEY_CTX_new(self.key, nil) else { return false }
            defer { EVP_PKEY_CTX_free(context) }
            return EVP_PKEY_sign_init(context) == 1
                && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1
                && EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1
                && EVP_PKEY_sign(context, &signature, &length, digest, digest.count) == 1
        case .ed25519:
            guard let context = EVP_MD_CTX_new() else { return false }
            defer { EVP_MD_CTX_free(context) }
            return EVP_DigestSignInit(context, nil, nil, nil, self.key) == 1
                && EVP_DigestSign(context, &signature, &length, digest, digest.count) == 1
        }
    }

    /// The public half: SubjectPublicKeyInfo in DER for RSA, the 32 octets for Ed25519.
    package func publicBytes() throws(CryptoError) -> [UInt8] {
        switch self.kind {
        case .rsa:
            var output: UnsafeMutablePointer<UInt8>?
            let length = i2d_PUBKEY(self.key, &output)
            guard length > 0, let output else { throw CryptoError.last("public key") }
            // CRYPTO_free is what the macro OPENSSL_free calls.
            defer { CRYPTO_free(output, #fileID, #line) }
            return Array(UnsafeBufferPointer(start: output, count: Int(length)))
        case .ed25519:
            var bytes = [UInt8](repeating: 0, count: 32)
            var length = bytes.count
            guard EVP_PKEY_get_raw_public_key(self.key, &bytes, &length) == 1 else {
                throw CryptoError.last("public key")
            }
            return bytes
        }
    }

    /// The key as PKCS #8 in PEM, without a password.
    package func pem() throws(CryptoError) -> [UInt8] {
        guard let sink = BIO_new(BIO_s_mem()) else { throw CryptoError("no memory") }
        defer { BIO_free(sink) }
        guard PEM_write_bio_PKCS8PrivateKey(sink, self.key, nil, nil, 0, nil, nil) == 1 else {
            throw CryptoError.last("private key")
        }
        var bytes = [UInt8](repeating: 0, count: Int(BIO_ctrl_pending(sink)))
        let count = BIO_read(sink, &bytes, Int32(clamping: bytes.count))
        guard count == bytes.count else { throw CryptoError.last("private key") }
        return bytes
    }
}
