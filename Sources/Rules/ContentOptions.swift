package import Mail

/// Rules for the content of messages (header_checks(5), SEMANTICS §4).
package struct ContentOptions: Options, OptionValue {
    package var headerChecks: [String] = []
    package var mimeHeaderChecks: [String]?
    package var nestedHeaderChecks: [String]?
    package var bodyChecks: [String] = []
    package var bodyChecksSizeLimit = ByteCount(51_200)
    package var decoded = false

    package init() {}

    package static let summary =
        "Tables of patterns for header fields and lines of text, with Postfix's names, meanings and actions."

    package static let fields: [OptionField<Self>] = [
        .init(
            "header_checks", \.headerChecks, "Tables for fields of the message's header, such as pcre:header_checks."),
        .init("mime_header_checks", \.mimeHeaderChecks, "For MIME fields; by default those for the header."),
        .init(
            "nested_header_checks", \.nestedHeaderChecks,
            "For the headers of attached messages; by default those for the header."),
        .init("body_checks", \.bodyChecks, "For lines of text."),
        .init("body_checks_size_limit", \.bodyChecksSizeLimit, "How much of each part of a message they see."),
        .init(
            "decoded", \.decoded,
            "Whether fields with encoded words or parameters (RFC 2047, RFC 2231) are tried decoded as well. Postfix "
                + "does not, and is evaded so."),
    ]
}
