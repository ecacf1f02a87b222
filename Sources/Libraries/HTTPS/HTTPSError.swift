/// Why a request has no answer, or not the one that was wanted.
package enum HTTPSError: Error, Hashable, Sendable {
    /// No address, no connection, or one that broke off. The text is for the log.
    case unreachable(String)
    case timeout
    /// The server's certificate is not good for its name. The text is for the log.
    case untrusted(String)
    /// Longer than was asked for, or a header without end.
    case tooLarge
    /// For whoever wanted another. The client itself hands on every answer; redirections are not followed.
    case status(Int)
    case malformed(String)
}

extension HTTPSError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let why): why
        case .timeout: "timeout"
        case .untrusted(let why): "certificate: \(why)"
        case .tooLarge: "answer too large"
        case .status(let status): "HTTP status \(status)"
        case .malformed(let why): "malformed answer: \(why)"
        }
    }
}
