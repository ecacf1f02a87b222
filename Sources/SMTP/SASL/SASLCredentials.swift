/// Who we are to a server that asks, and how that may be proved.
///
/// They are said inside TLS only. A session that has them goes to a server without TLS under no ``SecurityLevel``.
package struct SASLCredentials: Sendable {
    package let user: String
    let password: String
    /// In order of preference.
    package let mechanisms: [SASLMechanism]
    /// Gives a new nonce for each exchange: printable ASCII without a comma (RFC 5802 §7).
    let nonce: @Sendable () -> String

    /// - Returns: nil if there is no user, or one of both cannot be said: they must not hold NUL, CR or LF.
    package init?(
        user: String, password: String, mechanisms: [SASLMechanism] = SASLMechanism.allCases,
        nonce: @escaping @Sendable () -> String = Self.randomNonce
    ) {
        guard !user.isEmpty, !(user + password).utf8.contains(where: { $0 == 0 || $0 == 13 || $0 == 10 }) else {
            return nil
        }
        self.user = user
        self.password = password
        self.mechanisms = mechanisms
        self.nonce = nonce
    }

    /// 144 bits of the system's randomness.
    package static func randomNonce() -> String {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let letters = (0..<24).compactMap { _ in alphabet.randomElement(using: &generator) }
        return String(decoding: letters, as: UTF8.self)
    }
}

extension SASLCredentials: Hashable {
    package static func == (one: Self, other: Self) -> Bool {
        one.user == other.user && one.password == other.password && one.mechanisms == other.mechanisms
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(self.user)
        hasher.combine(self.password)
        hasher.combine(self.mechanisms)
    }
}

/// No way of printing shows the password.
extension SASLCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "credentials of \(self.user)" }

    package var debugDescription: String { self.description }

    package var customMirror: Mirror { Mirror(self, children: ["user": self.user]) }
}
