internal import CCrypto

/// HMAC with SHA-256 (RFC 2104).
package enum HMACSHA256 {
    package static let bytes = 32

    package static func code(of message: [UInt8], key: [UInt8]) throws(CryptoError) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: Self.bytes)
        var count = 0
        let done = EVP_Q_mac(
            nil, "HMAC", nil, "SHA256", nil, key, key.count, message, message.count, &code, code.count, &count)
        guard done != nil, count == Self.bytes else { throw CryptoError.last("HMAC") }
        return code
    }
}

/// PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2).
package enum PBKDF2 {
    /// Computes for as long as the iterations say: some 0.3 µs each.
    ///
    /// - Returns: 32 octets.
    package static func key(
        password: [UInt8], salt: [UInt8], iterations: Int
    ) throws(CryptoError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: HMACSHA256.bytes)
        let length = Int32(clamping: key.count)
        let done = password.withUnsafeBytes { password in
            PKCS5_PBKDF2_HMAC(
                password.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: password.count), salt,
                Int32(clamping: salt.count), Int32(clamping: iterations), EVP_sha256(), length, &key)
        }
        guard done == 1 else { throw CryptoError.last("PBKDF2") }
        return key
    }
}

extension Sequence<UInt8> {
    /// Compares with what is secret: how long that takes does not tell where they differ. Their lengths may be known.
    package func equalsInConstantTime(_ other: [UInt8]) -> Bool {
        let own = Array(self)
        return own.count == other.count && CRYPTO_memcmp(own, other, own.count) == 0
    }
}
