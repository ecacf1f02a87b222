import Mail

/// Of what in a message a rule is asked: Postfix's `header_checks`, `mime_header_checks`, `nested_header_checks` and
/// `body_checks` (SEMANTICS §4).
package enum ContentClass: String, Hashable, Sendable, CaseIterable {
    /// A field of the message's own header.
    case header
    /// A field of a part's header, and of any header those that MIME has defined.
    case mimeHeader = "mime_header"
    /// A field in the header of an attached message.
    case nestedHeader = "nested_header"
    /// Anything else: a line of text, a boundary.
    case body

    package var isHeader: Bool { self != .body }
}

/// The rules for the content of messages, from tables whose right-hand sides are actions (``ContentAction``).
package struct ContentRules: Sendable {
    /// What is looked at, and how far.
    package struct Limits: Hashable, Sendable {
        /// Of a field, unfolded. The lines behind it are not matched; they share the field's fate.
        package var headerBytes = 102_400
        /// Of each segment of a body, that is the text of a part; nil for all of it.
        package var bodyBytes: Int? = 51_200
        /// `multipart` within each other; a message with more is refused if there are rules for headers.
        package var nesting = 100
        /// Of a boundary; what stands behind them does not count.
        package var boundaryBytes = 2048
        /// Of a line; longer ones are matched in pieces of this size.
        package var lineBytes = 2048

        package init() {}
    }

    package let header: [RuleTable]
    package let mimeHeader: [RuleTable]
    package let nestedHeader: [RuleTable]
    package let body: [RuleTable]
    package let limits: Limits
    /// Makes text of an unfolded field's encoded words and parameters (RFC 2047, RFC 2231); nil if there is nothing to
    /// decode. With it, rules are also asked of what it makes, if none says anything to the field itself.
    package let decode: (@Sendable ([UInt8]) -> [UInt8]?)?

    /// - Parameters:
    ///   - mimeHeader: nil for the same as `header`, as in Postfix; so is `nestedHeader`.
    ///   - decode: nil for none, as in Postfix.
    package init(
        header: [RuleTable] = [], mimeHeader: [RuleTable]? = nil, nestedHeader: [RuleTable]? = nil,
        body: [RuleTable] = [], limits: Limits = Limits(), decode: (@Sendable ([UInt8]) -> [UInt8]?)? = nil
    ) {
        self.header = header
        self.mimeHeader = mimeHeader ?? header
        self.nestedHeader = nestedHeader ?? header
        self.body = body
        self.limits = limits
        self.decode = decode
    }

    /// There is nothing to ask.
    package var isEmpty: Bool { !self.hasHeaderRules && self.body.isEmpty }

    /// Whether the body may be stored otherwise than it was sent.
    package var changesBody: Bool { self.looksBehindHeader }

    var hasHeaderRules: Bool { ContentClass.allCases.contains { $0.isHeader && !self[$0].isEmpty } }

    /// Headers behind the first matter, or the text of bodies.
    var looksBehindHeader: Bool { !self.mimeHeader.isEmpty || !self.nestedHeader.isEmpty || !self.body.isEmpty }

    subscript(contentClass: ContentClass) -> [RuleTable] {
        switch contentClass {
        case .header: self.header
        case .mimeHeader: self.mimeHeader
        case .nestedHeader: self.nestedHeader
        case .body: self.body
        }
    }

    /// What is wrong with the right-hand side of a rule, for reading tables.
    ///
    /// - Parameters:
    ///   - value: with `$1`, `${1}`, `$(1)` for what a pattern captures: what they stand for is not judged.
    ///   - contentClass: nil if it is not known, or the table serves several.
    /// - Returns: nil if nothing is.
    package static func problem(inValue value: String, for contentClass: ContentClass? = nil) -> String? {
        ContentAction.problem(inValue: value, for: contentClass)
    }
}
