import Mail

/// One attempt to log in with SMTP's AUTH (RFC 4954), as a value.
package struct SASLExchange: Sendable {
    /// What comes next.
    package enum Step: Hashable, Sendable {
        /// Octets of a line, without its end.
        case answer([UInt8])
        /// A key is to be computed; then ``SASLExchange/derived(_:)``.
        case derive(KeyDerivation)
    }

    private enum State {
        /// Everything is said with AUTH. Next: none.
        case plain
        /// Next: `loginPassword`.
        case loginUser
        /// Next: `loginDone`.
        case loginPassword
        /// Next: none.
        case loginDone
        case scram(SCRAMExchange)
    }

    /// The longest challenge, in base64 (RFC 4954 §4).
    package static let maximumChallengeBytes = 12_288
    /// The longest command line with its end (RFC 5321 §4.5.3.1.4): where the initial response does not fit in, it
    /// waits for an empty challenge.
    private static let maximumCommandBytes = 512

    package let mechanism: SASLMechanism
    private let credentials: SASLCredentials
    private var state: State
    /// The initial response, if it did not go with the command.
    private var unsaid: [UInt8]?
    /// The lines that went out, without verbs.
    private var said: [[UInt8]] = []

    /// - Parameter announced: in upper case.
    /// - Returns: nil if the server has none of the mechanisms.
    package init?(_ credentials: SASLCredentials, announced: Set<String>) {
        guard let mechanism = credentials.mechanisms.first(where: { announced.contains($0.rawValue) }) else {
            return nil
        }
        self.mechanism = mechanism
        self.credentials = credentials
        switch mechanism {
        case .plain: self.state = .plain
        case .login: self.state = .loginUser
        case .scramSHA256:
            self.state = .scram(
                SCRAMExchange(user: credentials.user, password: credentials.password, nonce: credentials.nonce()))
        }
    }

    /// What no log may have.
    var secrets: [[UInt8]] { self.said + [Array(self.credentials.password.utf8)] }

    /// Whether the server may say 235 now. One that has to prove itself must have done so.
    package var isComplete: Bool {
        switch self.state {
        case .plain, .loginUser, .loginPassword, .loginDone: true
        case .scram(let exchange): exchange.isServerProved
        }
    }

    /// The command that begins it, without its line end.
    package mutating func command() -> [UInt8] {
        let verb = Array("AUTH \(self.mechanism.rawValue)".utf8)
        guard let initial = self.initialResponse else { return verb }
        let command = verb + [ASCII.space] + Self.line(initial)
        if command.count + 2 <= Self.maximumCommandBytes {
            self.said.append(Self.line(initial))
            return command
        }
        self.unsaid = initial
        return verb
    }

    private var initialResponse: [UInt8]? {
        switch self.state {
        // RFC 4616: authorization identity, which is none of its own, NUL, user, NUL, password.
        case .plain: Array("\0\(self.credentials.user)\0\(self.credentials.password)".utf8)
        case .scram(let exchange): Array(exchange.first.utf8)
        case .loginUser, .loginPassword, .loginDone: nil
        }
    }

    /// - Parameter challenge: what stands behind 334, in base64.
    package mutating func handle(challenge: [UInt8]) throws(SASLFailure) -> Step {
        guard challenge.count <= Self.maximumChallengeBytes else {
            throw SASLFailure("the server's challenge is longer than \(Self.maximumChallengeBytes) octets")
        }
        if let unsaid = self.unsaid {
            // There is nothing to ask for yet, whatever stands there.
            self.unsaid = nil
            return .answer(self.say(unsaid))
        }
        switch self.state {
        // What stands in the challenges of LOGIN was never agreed on: they are counted.
        case .loginUser:
            self.state = .loginPassword
            return .answer(self.say(Array(self.credentials.user.utf8)))
        case .loginPassword:
            self.state = .loginDone
            return .answer(self.say(Array(self.credentials.password.utf8)))
        case .plain, .loginDone: throw SASLFailure("the server sent a challenge too many")
        case .scram(var exchange):
            guard let message = Base64.decode(String(decoding: challenge, as: UTF8.self)) else {
                throw SASLFailure("the server's challenge is not base64")
            }
            let derivation = try exchange.handle(message)
            self.state = .scram(exchange)
            // Its last message is answered by nothing (RFC 4954 §4).
            return derivation.map { .derive($0) } ?? .answer([])
        }
    }

    /// - Returns: the line that answers.
    package mutating func derived(_ key: [UInt8]) throws(SASLFailure) -> [UInt8] {
        guard case .scram(var exchange) = self.state else { throw SASLFailure("a key that nobody asked for") }
        let message = try exchange.derived(key)
        self.state = .scram(exchange)
        return self.say(Array(message.utf8))
    }

    private mutating func say(_ bytes: [UInt8]) -> [UInt8] {
        let line = Self.line(bytes)
        self.said.append(line)
        return line
    }

    private static func line(_ bytes: [UInt8]) -> [UInt8] { Array(Base64.encode(bytes).utf8) }
}

/// No way of printing shows the password.
extension SASLExchange: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "exchange of \(self.mechanism.rawValue)" }

    package var debugDescription: String { self.description }

    package var customMirror: Mirror { Mirror(self, children: ["mechanism": self.mechanism]) }
}
