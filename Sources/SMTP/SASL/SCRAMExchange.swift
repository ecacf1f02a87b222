package import Crypto
import Mail

/// Why an exchange of SASL is given up. The text is for log and notices; it holds nothing secret.
package struct SASLFailure: Error, Hashable, Sendable {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }
}

/// The slow part of SCRAM, to be computed where it keeps nobody waiting (RFC 5802 §3, `Hi`).
package struct KeyDerivation: Hashable, Sendable {
    let password: [UInt8]
    package let salt: [UInt8]
    package let iterations: Int

    /// Takes 0.3 s for a million iterations.
    package func key() throws(CryptoError) -> [UInt8] {
        try PBKDF2.key(password: self.password, salt: self.salt, iterations: self.iterations)
    }
}

/// No way of printing shows the password.
extension KeyDerivation: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "key of \(self.iterations) iterations" }

    package var debugDescription: String { self.description }

    package var customMirror: Mirror { Mirror(self, children: ["iterations": self.iterations]) }
}

/// The client's side of SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677).
///
/// User and password are used octet by octet. For ASCII that is what SASLprep (RFC 4013) makes of them; what is not
/// ASCII must be stored in its normal form (NFKC), as nearly all input methods write it.
package struct SCRAMExchange: Sendable {
    private enum State {
        /// The client has spoken. Next: `deriving`.
        case begun
        /// The key is being computed. Next: `proving`.
        case deriving(authentication: [UInt8], withoutProof: String)
        /// The client has proved itself. Next: `proved`.
        case proving(serverSignature: [UInt8])
        /// The server has proved itself. Next: none.
        case proved
    }

    /// RFC 7677 §4 has 4096 as the least. The most is what takes about as long as a session's other steps.
    package static let iterations = 4096...1_000_000
    /// RFC 5802 knows no limits; no server needs more.
    private static let maximumSaltBytes = 1024

    private let password: [UInt8]
    private let nonce: String
    private let firstBare: String
    private var state = State.begun

    /// - Parameter nonce: new for each exchange, printable ASCII without a comma.
    package init(user: String, password: String, nonce: String) {
        self.password = Array(password.utf8)
        self.nonce = nonce
        self.firstBare = "n=\(Self.escape(user)),r=\(nonce)"
    }

    /// `n,,`: no channel binding, and we speak for nobody else.
    package var first: String { "n,,\(self.firstBare)" }

    package var isServerProved: Bool {
        if case .proved = self.state { true } else { false }
    }

    /// Takes the server's first message, or its last.
    ///
    /// - Returns: what is to be derived next; nil if the server has proved itself.
    package mutating func handle(_ message: [UInt8]) throws(SASLFailure) -> KeyDerivation? {
        switch self.state {
        case .begun: return try self.begin(message)
        case .proving(let signature):
            try Self.check(message, signature)
            self.state = .proved
            return nil
        case .deriving, .proved: throw SASLFailure("the server sent a message too many")
        }
    }

    private mutating func begin(_ message: [UInt8]) throws(SASLFailure) -> KeyDerivation {
        // The order is fixed, and extensions may follow; a mandatory one, m=, would stand in front (RFC 5802 §5.1).
        let attributes = try Self.attributes(of: message)
        guard attributes.count >= 3, attributes[0].name == "r", attributes[1].name == "s", attributes[2].name == "i"
        else { throw SASLFailure("the server's first message is none of SCRAM") }
        let nonce = attributes[0].value
        guard nonce.hasPrefix(self.nonce), nonce.utf8.count > self.nonce.utf8.count,
            nonce.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw SASLFailure("the server's nonce does not go on from ours") }
        guard let salt = Base64.decode(attributes[1].value), (1...Self.maximumSaltBytes).contains(salt.count) else {
            throw SASLFailure("the server's salt cannot be read")
        }
        let digits = attributes[2].value
        guard digits.utf8.allSatisfy(ASCII.isDigit), let count = Int(digits), Self.iterations.contains(count) else {
            throw SASLFailure("the server wants \(digits.printable(maximumBytes: 20)) iterations")
        }
        let withoutProof = "c=biws,r=\(nonce)"  // n,, in base64
        self.state = .deriving(
            authentication: Array("\(self.firstBare),".utf8) + message + Array(",\(withoutProof)".utf8),
            withoutProof: withoutProof)
        return KeyDerivation(password: self.password, salt: salt, iterations: count)
    }

    /// - Parameter key: what the derivation came to.
    /// - Returns: the client's last message.
    package mutating func derived(_ key: [UInt8]) throws(SASLFailure) -> String {
        guard case .deriving(let authentication, let withoutProof) = self.state else {
            throw SASLFailure("a key that nobody asked for")
        }
        do {
            let clientKey = try HMACSHA256.code(of: Array("Client Key".utf8), key: key)
            var digest = try Digest(.sha256)
            clientKey.withUnsafeBytes { digest.update($0) }
            let signature = try HMACSHA256.code(of: authentication, key: digest.finish())
            let serverKey = try HMACSHA256.code(of: Array("Server Key".utf8), key: key)
            self.state = .proving(serverSignature: try HMACSHA256.code(of: authentication, key: serverKey))
            return "\(withoutProof),p=\(Base64.encode(zip(clientKey, signature).map { $0 ^ $1 }))"
        } catch {
            throw SASLFailure("\(error)")
        }
    }

    private static func check(_ message: [UInt8], _ signature: [UInt8]) throws(SASLFailure) {
        let attributes = try Self.attributes(of: message)
        switch attributes.first?.name {
        case "e": throw SASLFailure("the server says \(attributes[0].value.printable(maximumBytes: 100))")
        case "v":
            guard let shown = Base64.decode(attributes[0].value), shown.equalsInConstantTime(signature) else {
                throw SASLFailure("the server does not know our password")
            }
        default: throw SASLFailure("the server's last message is none of SCRAM")
        }
    }

    private static func attributes(
        of message: [UInt8]
    ) throws(SASLFailure) -> [(name: Substring, value: String)] {
        guard let text = String(validating: message, as: UTF8.self) else {
            throw SASLFailure("the server's message is no text")
        }
        var attributes: [(name: Substring, value: String)] = []
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let first = item.utf8.first, ASCII.isLetter(first), item.dropFirst().first == "=" else {
                throw SASLFailure("the server's message is none of SCRAM")
            }
            attributes.append((item.prefix(1), String(item.dropFirst(2))))
        }
        return attributes
    }

    /// `saslname` of RFC 5802 §7.
    private static func escape(_ user: String) -> String {
        String(
            decoding: user.utf8.flatMap { byte -> [UInt8] in
                switch byte {
                case UInt8(ascii: "="): Array("=3D".utf8)
                case UInt8(ascii: ","): Array("=2C".utf8)
                default: [byte]
                }
            }, as: UTF8.self)
    }
}
