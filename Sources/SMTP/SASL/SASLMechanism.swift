import Mail

/// How a client proves who it is (RFC 4422, RFC 4954).
package enum SASLMechanism: String, CaseIterable, Hashable, Sendable, OptionValue {
    /// RFC 7677: the server does not learn the password, and proves that it knows it.
    case scramSHA256 = "SCRAM-SHA-256"
    /// RFC 4616.
    case plain = "PLAIN"
    /// draft-murchison-sasl-login-00, which became no RFC: for servers that know nothing else.
    case login = "LOGIN"
}
