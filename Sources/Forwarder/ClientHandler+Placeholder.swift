import TLS

/// As they will be in TLS; gone when they are there.
final class TLSClientContext: Sendable {}

struct TLSClientRequest: Hashable, Sendable {
    /// For SNI.
    let serverName: String?
    let verification: TLSVerification
}
