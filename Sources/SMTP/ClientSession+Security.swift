/// What TLS a client's session is to have.
package enum SecurityLevel: Hashable, Sendable {
    /// STARTTLS is never said.
    case none
    /// If it is offered; whoever the server is.
    case opportunistic
    /// Needed; whoever the server is.
    case encrypted
    /// Needed, and the server must be who it should be.
    case authenticated
}

/// Whether the server is who it should be.
package enum TLSAuthentication: Hashable, Sendable {
    /// Nothing was asked of it.
    case notAsked
    case passed
    /// Why not, for log and notices.
    case failed(String)
}

/// Why a session does not have the security that it must have.
package enum SecurityProblem: Hashable, Sendable {
    /// STARTTLS was not offered.
    case notOffered
    /// STARTTLS was offered and then refused.
    case refused
    /// TLS did not come about, or the server sent in plain text where the handshake had to be.
    case handshakeFailed
    /// The server is not who it should be.
    case notAuthenticated
    /// The server does not promise to keep what REQUIRETLS asks for.
    case requireTLSNotOffered
    /// The server did not take our credentials, or did not prove that it knows them.
    case authenticationRefused
    /// The server offers no mechanism of SASL that we may use.
    case mechanismMissing
}
