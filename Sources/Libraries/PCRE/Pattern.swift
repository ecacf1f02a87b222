internal import CPCRE2

/// A compiled pattern of PCRE2, for octets.
///
/// Matching has limits (``Workspace``), so that no subject keeps a thread for long.
// Sendable: PCRE2 never changes compiled code while it matches (pcre2api, "Multithreading").
package final class Pattern: @unchecked Sendable {
    package struct Options: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let caseless = Options(rawValue: PCRE2_CASELESS)
        /// `^` and `$` also stand for the places around a line feed.
        package static let multiline = Options(rawValue: PCRE2_MULTILINE)
        /// `.` stands for a line feed, too.
        package static let dotAll = Options(rawValue: PCRE2_DOTALL)
        /// Blanks and comments in the pattern do not count.
        package static let extended = Options(rawValue: PCRE2_EXTENDED)
        package static let anchored = Options(rawValue: PCRE2_ANCHORED)
        /// `$` does not stand for the place before a line feed at the end.
        package static let dollarEndOnly = Options(rawValue: PCRE2_DOLLAR_ENDONLY)
        package static let ungreedy = Options(rawValue: PCRE2_UNGREEDY)
    }

    package struct SyntaxError: Error, Hashable, Sendable {
        package let message: String
        /// In octets from the beginning of the pattern.
        package let offset: Int
    }

    package enum Outcome: Hashable, Sendable {
        /// What was captured is in the workspace until it is used again.
        case matched
        case unmatched
        /// A limit was reached, or the subject is not what the pattern asks for, such as UTF-8 with `(*UTF)`.
        case undecided(reason: String)
    }

    private let code: OpaquePointer
    package let captureCount: Int

    package init(_ text: String, options: Options) throws(SyntaxError) {
        var text = text
        var number: Int32 = 0
        var offset = 0
        let code = text.withUTF8 { bytes in
            // An empty buffer may have no address, and the library wants one.
            var nothing: UInt8 = 0
            return withUnsafePointer(to: &nothing) { empty in
                pcre2_compile_8(
                    bytes.baseAddress ?? empty, bytes.count, options.rawValue, &number, &offset, nil)
            }
        }
        guard let code else { throw SyntaxError(message: Self.message(number), offset: offset) }
        self.code = code
        // Without it, such as where the system forbids memory that is written and executed, patterns are interpreted.
        _ = pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE))
        var count: UInt32 = 0
        _ = pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_CAPTURECOUNT), &count)
        self.captureCount = Int(count)
    }

    deinit { pcre2_code_free_8(self.code) }

    package func match(_ octets: UnsafeRawBufferPointer, in workspace: Workspace) -> Outcome {
        workspace.reserve(captures: self.captureCount)
        var nothing: UInt8 = 0
        let code = withUnsafeBytes(of: &nothing) { empty in
            let start = (octets.baseAddress ?? empty.baseAddress)?.assumingMemoryBound(to: UInt8.self)
            return pcre2_match_8(self.code, start, octets.count, 0, 0, workspace.data, workspace.context)
        }
        if code == PCRE2_ERROR_NOMATCH { return .unmatched }
        return code >= 0 ? .matched : .undecided(reason: Self.message(code))
    }

    private static func message(_ code: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        let count = pcre2_get_error_message_8(code, &text, text.count)
        guard count > 0 else { return "PCRE2 error \(code)" }
        return String(decoding: text[..<Int(count)], as: UTF8.self)
    }
}
