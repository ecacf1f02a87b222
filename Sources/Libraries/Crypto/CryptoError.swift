internal import CCrypto

/// Something OpenSSL did not do.
package struct CryptoError: Error, Hashable, Sendable {
    /// For the log.
    package let message: String

    package init(_ message: String) {
        self.message = message
    }

    /// What the library noted last on this thread; its notes are empty afterwards.
    static func last(_ doing: String) -> CryptoError {
        var text = [CChar](repeating: 0, count: 256)
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0 else { return CryptoError("\(doing) failed") }
        ERR_error_string_n(code, &text, text.count)
        let octets = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return CryptoError("\(doing): \(String(decoding: octets, as: UTF8.self))")
    }
}

extension CryptoError: CustomStringConvertible {
    package var description: String { self.message }
}
