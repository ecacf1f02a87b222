/// Why a request has no answer.
package enum HTTPSError: Error, Hashable, Sendable {
    /// No address, no connection, or one that broke off. The text is for the log.
    case unreachable(String)
    case timeout
    /// The server's certificate is not good for its name.
    case untrusted(String)
    /// Longer than was asked for.
    case tooLarge
    /// Any answer but 200, redirections included: those are not followed.
    case status(Int)
    case malformed(String)
}
