internal import CTLS

/// What can be done with TLSA records.
enum DANERecords {
    static let trustAnchor: UInt8 = 2
    static let endEntity: UInt8 = 3

    /// Usages 0 and 1 name authorities on which client and server of SMTP need not agree (RFC 7672 §3.1.3).
    static func canUse(_ record: TLSAssociation) -> Bool {
        guard record.usage == self.trustAnchor || record.usage == self.endEntity else { return false }
        switch (record.selector, record.matching) {
        case (0...1, 1): return record.data.count == 32
        case (0...1, 2): return record.data.count == 64
        case (0, 0):
            return self.reads(record.data) {
                d2i_X509(nil, &$0, $1)
            } free: {
                X509_free($0)
            }
        case (1, 0):
            return self.reads(record.data) {
                d2i_PUBKEY(nil, &$0, $1)
            } free: {
                EVP_PKEY_free($0)
            }
        default: return false
        }
    }

    private static func reads(
        _ data: [UInt8], _ read: (inout UnsafePointer<UInt8>?, Int) -> OpaquePointer?, free: (OpaquePointer) -> Void
    ) -> Bool {
        data.withUnsafeBufferPointer { bytes in
            var cursor = bytes.baseAddress
            guard let value = read(&cursor, bytes.count) else {
                ERR_clear_error()
                return false
            }
            free(value)
            // What stands behind it is no part of it, and OpenSSL would not take it either.
            return cursor == bytes.baseAddress.map { $0 + bytes.count }
        }
    }
}
