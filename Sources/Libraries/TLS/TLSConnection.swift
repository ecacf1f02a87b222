internal import CTLS
internal import NIOCore

/// One connection's state machine of OpenSSL, between two buffers in memory: no socket, no clock. Used by one thread.
final class TLSConnection {
    private let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer
    /// The context: its callbacks have pointers to it.
    private let owner: AnyObject
    private let isServer: Bool
    private let verification: TLSVerification

    /// Takes the SSL over.
    init(owning ssl: OpaquePointer, keeping owner: AnyObject, isServer: Bool, verification: TLSVerification)
        throws(TLSError)
    {
        guard let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            throw .last("TLS buffers")
        }
        // Empty is not the end.
        pst_set_mem_eof_return(input, -1)
        pst_set_mem_eof_return(output, -1)
        SSL_set_bio(ssl, input, output)
        self.ssl = ssl
        self.input = input
        self.output = output
        self.owner = owner
        self.isServer = isServer
        self.verification = verification
    }

    deinit { SSL_free(self.ssl) }

    /// Takes what has come from the other side.
    func receive(_ bytes: ByteBuffer) throws(TLSError) {
        let count = bytes.withUnsafeReadableBytes { BIO_write(self.input, $0.baseAddress, Int32(clamping: $0.count)) }
        guard Int(count) == bytes.readableBytes else { throw .last("out of memory") }
    }

    /// What is to go to the other side; nil if there is nothing.
    func takeOutput(_ allocator: ByteBufferAllocator) -> ByteBuffer? {
        let count = pst_pending(self.output)
        guard count > 0 else { return nil }
        var buffer = allocator.buffer(capacity: count)
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
            max(0, Int(BIO_read(self.output, bytes.baseAddress, Int32(clamping: count))))
        }
        return buffer
    }

    /// Goes on with the handshake.
    ///
    /// - Returns: whether it is done.
    func handshake() throws(TLSError) -> Bool {
        ERR_clear_error()
        let code = SSL_do_handshake(self.ssl)
        if code == 1 { return true }
        switch SSL_get_error(self.ssl, code) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return false
        default: throw .last("TLS handshake")
        }
    }

    enum Reading {
        /// All that could be decrypted is.
        case waiting
        /// The other side has said that it sends no more.
        case ended
    }

    /// Decrypts what has come, behind what is in the buffer.
    func read(into buffer: inout ByteBuffer) throws(TLSError) -> Reading {
        while true {
            ERR_clear_error()
            var code: Int32 = 0
            buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.recordBytes) { bytes in
                code = SSL_read(self.ssl, bytes.baseAddress, Int32(clamping: bytes.count))
                return max(0, Int(code))
            }
            guard code <= 0 else { continue }
            switch SSL_get_error(self.ssl, code) {
            case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .waiting
            case SSL_ERROR_ZERO_RETURN: return .ended
            default: throw .last("TLS")
            }
        }
    }

    /// Largest content of a record (RFC 8446 §5.1).
    private static let recordBytes = 16_384

    /// Only after the handshake.
    func write(_ bytes: ByteBuffer) throws(TLSError) {
        guard bytes.readableBytes > 0 else { return }
        ERR_clear_error()
        let code = bytes.withUnsafeReadableBytes { SSL_write(self.ssl, $0.baseAddress, Int32(clamping: $0.count)) }
        // Into memory everything goes at once.
        guard Int(code) == bytes.readableBytes else { throw .last("TLS") }
    }

    /// Says that nothing more is sent.
    func close() {
        ERR_clear_error()
        SSL_shutdown(self.ssl)
        ERR_clear_error()
    }
}

// MARK: - What it came to

extension TLSConnection {
    /// After the handshake.
    var session: TLSSession {
        let certificate = SSL_get1_peer_certificate(self.ssl)
        defer { X509_free(certificate) }
        let peer = certificate.map(X509Facts.describe)
        let cipher = SSL_get_current_cipher(self.ssl)
        var keyBits: Int32 = 0
        let bits = SSL_CIPHER_get_bits(cipher, &keyBits)
        return TLSSession(
            version: TLSVersion(rawValue: String(cString: SSL_get_version(self.ssl))) ?? .v1_3,
            cipher: SSL_CIPHER_get_name(cipher).map { String(cString: $0) } ?? "", bits: Int(bits),
            keyBits: Int(keyBits), isResumed: SSL_session_reused(self.ssl) == 1, serverName: self.serverName,
            peer: peer, verdict: self.verdict(peer))
    }

    private var serverName: String? {
        guard self.isServer else { return nil }
        return SSL_get_servername(self.ssl, TLSEXT_NAMETYPE_host_name).map { String(cString: $0).lowercased() }
    }

    private func verdict(_ peer: TLSPeerCertificate?) -> TLSVerdict {
        guard let peer else {
            return self.isServer || self.verification == .none ? .notVerified : .failed(.noCertificate)
        }
        switch self.verification {
        case .none: return self.isServer ? self.result : .notVerified
        case .names, .anyName, .dane: return self.result
        case .fingerprints(let wanted):
            let isKnown = wanted.contains { $0 == peer.fingerprint || $0 == peer.publicKeyFingerprint }
            return isKnown ? .verified : .failed(.wrongFingerprint)
        }
    }

    private var result: TLSVerdict {
        let code = Int32(truncatingIfNeeded: SSL_get_verify_result(self.ssl))
        switch code {
        case X509_V_OK: return .verified
        case X509_V_ERR_CERT_HAS_EXPIRED: return .failed(.expired)
        case X509_V_ERR_CERT_NOT_YET_VALID: return .failed(.notYetValid)
        case X509_V_ERR_HOSTNAME_MISMATCH: return .failed(.wrongName)
        case X509_V_ERR_DANE_NO_MATCH: return .failed(.noMatchingAssociation)
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_UNTRUSTED, X509_V_ERR_INVALID_CA,
            X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return .failed(.untrusted(Self.text(code)))
        default: return .failed(.other(Self.text(code)))
        }
    }

    private static func text(_ code: Int32) -> String {
        X509_verify_cert_error_string(Int(code)).map { String(cString: $0) } ?? "error \(code)"
    }
}
