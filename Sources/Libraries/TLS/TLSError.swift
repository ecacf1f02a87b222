internal import CTLS

/// What OpenSSL or the other side found wrong. The text is for the log.
package struct TLSError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    /// With what OpenSSL put down last in this thread, which is then forgotten.
    static func last(_ what: String) -> TLSError {
        // The first is the cause; those behind it only say where it surfaced.
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return TLSError(what) }
        var buffer = [CChar](repeating: 0, count: 256)
        ERR_error_string_n(code, &buffer, buffer.count)
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        // error:0A000418:SSL routines::tlsv1 alert unknown ca
        let reason = String(decoding: bytes, as: UTF8.self).split(separator: ":").last.map(String.init) ?? ""
        return TLSError(reason.isEmpty ? what : "\(what): \(reason)")
    }
}
