internal import Glibc

/// A compiled pattern of the C library (`regcomp`), for octets.
///
/// What it takes to match grows with the square of the subject's length, so only the beginning of a long one is looked
/// at; patterns for which it would grow faster are refused.
// Sendable: regexec is safe on one expression from many threads (regex(3), "MT-Safe").
package final class POSIXPattern: @unchecked Sendable {
    package struct Options: OptionSet, Hashable, Sendable {
        package let rawValue: Int32

        package init(rawValue: Int32) {
            self.rawValue = rawValue
        }

        package static let caseless = Options(rawValue: REG_ICASE)
        package static let extended = Options(rawValue: REG_EXTENDED)
        /// `^` and `$` also stand for the places around a line feed, and `.` does not stand for one.
        package static let newline = Options(rawValue: REG_NEWLINE)
        /// Nothing is captured, which is faster.
        package static let withoutCaptures = Options(rawValue: REG_NOSUB)
    }

    package enum CompileError: Error, Hashable, Sendable {
        case syntax(String)
        /// Matching would try combinations without bound.
        case backReference
        /// The library copies what is repeated, and would need too much memory.
        case tooLarge
    }

    /// Parts that the library may make of a pattern by copying, besides two for each octet. A state of the match may
    /// hold all of them, and each octet of a subject may need a state of its own: some tens of megabytes.
    private static let mostCopies = 2000

    /// Of a subject, in octets: up to half a second. A hundred thousand take a minute and more.
    private static let longestSubject = 8192

    private let expression: UnsafeMutablePointer<regex_t>
    package let captureCount: Int

    package init(_ text: String, options: Options) throws(CompileError) {
        let survey = POSIXPatternSurvey(text, isExtended: options.contains(.extended))
        guard !survey.hasBackReference else { throw .backReference }
        guard survey.size <= Self.mostCopies + 2 * text.utf8.count else { throw .tooLarge }
        let expression = UnsafeMutablePointer<regex_t>.allocate(capacity: 1)
        expression.initialize(to: regex_t())
        let code = regcomp(expression, text, options.rawValue)
        guard code == 0 else {
            var message = [CChar](repeating: 0, count: 256)
            let count = regerror(code, expression, &message, message.count)
            expression.deallocate()
            throw .syntax(
                String(decoding: message[..<max(0, min(count, 256) - 1)].map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        self.expression = expression
        self.captureCount = expression.pointee.re_nsub
    }

    deinit {
        regfree(self.expression)
        self.expression.deallocate()
    }

    package enum Outcome: Hashable, Sendable {
        case matched
        case unmatched
        /// There was no memory, or the beginning of a long subject does not tell.
        case undecided(reason: String)
    }

    /// - Parameter captures: gets where the groups stand in the subject, the whole at 0, as many as there is room for;
    ///   nil for a group that took no part.
    package func match(_ octets: UnsafeRawBufferPointer, captures: inout [Range<Int>?]) -> Outcome {
        var places = [regmatch_t](repeating: regmatch_t(), count: max(1, captures.count))
        // With REG_STARTEND the subject need not end with a NUL, and may hold some.
        let count = min(octets.count, Self.longestSubject)
        let isCut = count < octets.count
        places[0] = regmatch_t(rm_so: 0, rm_eo: regoff_t(count))
        var nothing: CChar = 0
        let code = withUnsafeBytes(of: &nothing) { empty in
            let start = octets.baseAddress ?? empty.baseAddress
            return start.map {
                regexec(
                    self.expression, $0.assumingMemoryBound(to: CChar.self), captures.count, &places,
                    isCut ? REG_STARTEND | REG_NOTEOL : REG_STARTEND)
            }
        }
        if code == _REG_NOMATCH.rawValue { return isCut ? Self.tooLong : .unmatched }
        guard code == 0 else { return .undecided(reason: "no memory") }
        for index in captures.indices {
            let place = places[index]
            captures[index] = place.rm_so < 0 ? nil : Int(place.rm_so)..<Int(place.rm_eo)
        }
        // A group that reaches the cut might hold more.
        return isCut && captures.contains { $0?.upperBound == count } ? Self.tooLong : .matched
    }

    private static var tooLong: Outcome {
        .undecided(reason: "longer than \(Self.longestSubject) octets: only its beginning was matched")
    }
}
