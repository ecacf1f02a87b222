internal import CCrypto

/// A key that signatures are checked with.
///
/// Used by any thread: nothing changes an EVP_PKEY after it was made, each check has a context of its own, and such
/// use is what openssl-threads(7) allows.
package final class PublicKey: @unchecked Sendable {
    package enum Kind: Hashable, Sendable { case rsa, ed25519 }

    package let kind: Kind
    /// Of the modulus; 256 for Ed25519.
    package let bits: Int
    /// Of RSA's public exponent; 0 for Ed25519.
    package let exponentBits: Int
    private let key: OpaquePointer

    /// Takes the key over.
    init(owning key: OpaquePointer) throws(CryptoError) {
        guard let kind = Kind(key) else {
            EVP_PKEY_free(key)
            throw CryptoError("neither an RSA nor an Ed25519 key")
        }
        guard let exponentBits = Self.exponentBits(key, kind) else {
            EVP_PKEY_free(key)
            throw CryptoError.last("public exponent")
        }
        self.exponentBits = exponentBits
        self.kind = kind
        self.bits = kind == .rsa ? Int(EVP_PKEY_get_bits(key)) : 256
        self.key = key
    }

    deinit { EVP_PKEY_free(self.key) }

    private static func exponentBits(_ key: OpaquePointer, _ kind: Kind) -> Int? {
        switch kind {
        case .ed25519: return 0
        case .rsa:
            var exponent: OpaquePointer?
            // The name is what the macro OSSL_PKEY_PARAM_RSA_E stands for.
            guard EVP_PKEY_get_bn_param(key, "e", &exponent) == 1, let exponent else { return nil }
            defer { BN_free(exponent) }
            return Int(BN_num_bits(exponent))
        }
    }

    /// A key in a SubjectPublicKeyInfo (RFC 5280 §4.1), DER.
    package convenience init(subjectPublicKeyInfo bytes: [UInt8]) throws(CryptoError) {
        try self.init(owning: Self.read(bytes, "public key") { d2i_PUBKEY(nil, &$0, $1) })
    }

    /// An RSAPublicKey (RFC 8017 §A.1.1), DER.
    package convenience init(rsaPublicKey bytes: [UInt8]) throws(CryptoError) {
        try self.init(owning: Self.read(bytes, "RSA public key") { d2i_PublicKey(EVP_PKEY_RSA, nil, &$0, $1) })
    }

    /// The 32 octets of RFC 8032 §5.1.5.
    package convenience init(ed25519 bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count == 32, let key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, bytes, bytes.count) else {
            throw CryptoError.last("Ed25519 public key")
        }
        try self.init(owning: key)
    }

    /// All of the octets must belong to the key.
    private static func read(
        _ bytes: [UInt8], _ what: String, _ parse: (inout UnsafePointer<UInt8>?, Int) -> OpaquePointer?
    ) throws(CryptoError) -> OpaquePointer {
        let (key, isWhole) = bytes.withUnsafeBufferPointer { buffer in
            var position = buffer.baseAddress
            let key = parse(&position, buffer.count)
            return (key, position == buffer.baseAddress.map { $0 + buffer.count })
        }
        guard let key else { throw CryptoError.last(what) }
        guard isWhole else {
            EVP_PKEY_free(key)
            throw CryptoError("\(what): octets after its end")
        }
        return key
    }

    /// Whether a signature is this key's.
    ///
    /// - Parameter digest: of SHA-256. RSA signs it with PKCS #1 v1.5 padding, Ed25519 as if it were the message.
    package func verifies(_ signature: [UInt8], digest: [UInt8]) -> Bool {
        defer { ERR_clear_error() }
        switch self.kind {
        case .rsa:
            guard let context = EVP_PKEY_CTX_new(self.key, nil) else { return false }
            defer { EVP_PKEY_CTX_free(context) }
            return EVP_PKEY_verify_init(context) == 1
                && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1
                && EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1
                && EVP_PKEY_verify(context, signature, signature.count, digest, digest.count) == 1
        case .ed25519:
            guard let context = EVP_MD_CTX_new() else { return false }
            defer { EVP_MD_CTX_free(context) }
            return EVP_DigestVerifyInit(context, nil, nil, nil, self.key) == 1
                && EVP_DigestVerify(context, signature, signature.count, digest, digest.count) == 1
        }
    }
}

extension PublicKey.Kind {
    init?(_ key: OpaquePointer) {
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA: self = .rsa
        case EVP_PKEY_ED25519: self = .ed25519
        default: return nil
        }
    }
}
