internal import CTLS

/// Reads what is in a certificate. The pointers are borrowed.
enum X509Facts {
    static func describe(_ certificate: OpaquePointer) -> TLSPeerCertificate {
        TLSPeerCertificate(
            subject: self.commonName(X509_get_subject_name(certificate)),
            issuer: self.commonName(X509_get_issuer_name(certificate)), fingerprint: self.fingerprint(certificate),
            publicKeyFingerprint: self.publicKeyFingerprint(certificate), names: self.names(certificate),
            expires: self.seconds(X509_get0_notAfter(certificate)))
    }

    /// The last one, which is the most special; of several values nobody could say more.
    private static func commonName(_ name: OpaquePointer?) -> String {
        guard let name else { return "" }
        var index: Int32 = -1
        var text = ""
        while true {
            index = X509_NAME_get_index_by_NID(name, NID_commonName, index)
            guard index >= 0 else { return text }
            text = self.text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)))
        }
    }

    private static func text(_ string: UnsafePointer<ASN1_STRING>?) -> String {
        guard let string else { return "" }
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = ASN1_STRING_to_UTF8(&bytes, string)
        guard count >= 0, let bytes else { return "" }
        defer { CRYPTO_free(bytes, nil, 0) }
        return String(decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
    }

    /// In lower case. Names with octets that no host name has are left out, NUL above all.
    static func names(_ certificate: OpaquePointer) -> [String] {
        guard let extensionValue = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
        let names = OpaquePointer(extensionValue)
        defer { pst_free_names(names) }
        var found: [String] = []
        for index in 0..<pst_count_names(names) {
            guard let name = pst_name(names, index), name.pointee.type == GEN_DNS, let value = name.pointee.d.dNSName,
                let bytes = ASN1_STRING_get0_data(value)
            else { continue }
            let octets = UnsafeBufferPointer(start: bytes, count: Int(ASN1_STRING_length(value)))
            guard !octets.isEmpty, octets.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { continue }
            found.append(String(decoding: octets, as: UTF8.self).lowercased())
        }
        return found
    }

    static func fingerprint(_ certificate: OpaquePointer) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var count: UInt32 = 0
        guard X509_digest(certificate, EVP_sha256(), &digest, &count) == 1, count == 32 else { return [] }
        return digest
    }

    static func publicKeyFingerprint(_ certificate: OpaquePointer) -> [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &bytes)
        guard count > 0, let bytes else { return [] }
        defer { CRYPTO_free(bytes, nil, 0) }
        var digest = [UInt8](repeating: 0, count: 32)
        guard EVP_Digest(bytes, Int(count), &digest, nil, EVP_sha256(), nil) == 1 else { return [] }
        return digest
    }

    /// Unix seconds; 0 for a time that cannot be read.
    static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int {
        guard let time, let epoch = ASN1_TIME_set(nil, 0) else { return 0 }
        defer { ASN1_TIME_free(epoch) }
        var (days, seconds): (Int32, Int32) = (0, 0)
        guard ASN1_TIME_diff(&days, &seconds, epoch, time) == 1 else { return 0 }
        return Int(days) * 86_400 + Int(seconds)
    }
}
