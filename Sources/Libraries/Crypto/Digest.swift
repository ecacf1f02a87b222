internal import CCrypto

/// A digest that is fed piece by piece.
///
/// It owns its context. Used by one thread at a time.
package struct Digest: ~Copyable {
    package enum Algorithm: Hashable, Sendable { case sha1, sha256 }

    private let context: OpaquePointer

    /// - Throws: if there is no memory, or the library was built or configured without the algorithm.
    package init(_ algorithm: Algorithm) throws(CryptoError) {
        guard let context = EVP_MD_CTX_new() else { throw CryptoError("no memory") }
        let kind = algorithm == .sha256 ? EVP_sha256() : EVP_sha1()
        guard EVP_DigestInit_ex(context, kind, nil) == 1 else {
            EVP_MD_CTX_free(context)
            throw CryptoError.last("digest")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(self.context) }

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        EVP_DigestUpdate(self.context, bytes.baseAddress, bytes.count)
    }

    /// - Returns: 20 octets for SHA-1, 32 for SHA-256.
    package consuming func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            var length: UInt32 = 0
            EVP_DigestFinal_ex(self.context, buffer.baseAddress, &length)
            count = Int(length)
        }
    }
}
