import Mail

/// What is to be said of a restriction, or of several that differ only in a word of their names.
package struct RestrictionReference: Sendable {
    /// How it refuses.
    package enum Refusal: Sendable {
        /// The code is an option of `reply_codes`; the numbers are the last two of the enhanced code.
        case code(option: String, detail: String)
        /// Code and enhanced code, `503 5.5.0`.
        case fixed(String)
    }

    /// The first is the usual one. `{a,mx}` stands for one of these words; see ``names``.
    package let patterns: [String]
    package let argument: String?
    private let explanation: String
    package let refusal: Refusal?
    /// What is not as in Postfix.
    private let difference: String?

    init(
        _ pattern: String, also others: [String] = [], argument: String? = nil, refusal: Refusal? = nil,
        _ explanation: String, difference: String? = nil
    ) {
        self.patterns = [pattern] + others
        self.argument = argument
        self.refusal = refusal
        self.explanation = explanation
        self.difference = difference
    }

    /// Every name that it is about.
    package var names: [String] { self.patterns.flatMap { Self.expanded($0[...]) } }

    private static func expanded(_ pattern: Substring) -> [String] {
        guard let open = pattern.firstIndex(of: "{"), let close = pattern[open...].firstIndex(of: "}") else {
            return [String(pattern)]
        }
        let words = pattern[open..<close].dropFirst().split(separator: ",")
        let ends = self.expanded(pattern[pattern.index(after: close)...])
        return words.flatMap { word in ends.map { "\(pattern[..<open])\(word)\($0)" } }
    }

    package var entry: ReferenceEntry {
        ReferenceEntry(
            self.patterns, argument: self.argument,
            [self.explanation, self.refusal?.text, self.difference.map { "Postfix: \($0)" }])
    }
}

extension RestrictionReference.Refusal {
    fileprivate var text: String {
        switch self {
        case .fixed: "Reply: `\(self.usualReply)`."
        case .code(let option, _): "Reply: `\(self.usualReply)`, or as `reply_codes.\(option)` says."
        }
    }

    /// Code and enhanced code where the configuration does not say otherwise.
    package var usualReply: String {
        switch self {
        case .fixed(let reply): return reply
        case .code(let option, let detail):
            let code = Self.usualCode(option) ?? ""
            return "\(code) \(code.prefix(1)).\(detail)"
        }
    }

    /// Nil if there is no such option.
    package static func usualCode(_ option: String) -> String? {
        OptionReference(RestrictionOptions.self).lines.first { $0.key == option }?.defaultText
    }
}
