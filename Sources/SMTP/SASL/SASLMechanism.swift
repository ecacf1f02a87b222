package import Mail

/// How a client proves who it is (RFC 4422, RFC 4954).
package enum SASLMechanism: String, CaseIterable, Hashable, Sendable {
    /// RFC 7677: the server does not learn the password, and proves that it knows it.
    case scramSHA256 = "SCRAM-SHA-256"
    /// RFC 4616.
    case plain = "PLAIN"
    /// draft-murchison-sasl-login-00, which became no RFC: for servers that know nothing else.
    case login = "LOGIN"
}

extension SASLMechanism: OptionValue {
    package static var optionSyntax: String { Self.allCases.map(\.rawValue).joined(separator: ", ") }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let mechanism = SASLMechanism(rawValue: text.uppercased()) else {
            throw node.error("expected one of \(Self.optionSyntax)")
        }
        self = mechanism
    }

    package var optionText: String { self.rawValue }
}
