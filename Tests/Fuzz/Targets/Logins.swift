import Crypto
import Mail
import SMTP

/// The dialog of RFC 7677 §3, whose key is used whatever a server says; computing others would take its time.
private enum SampleDialog {
    static let nonce = "rOprNGfwEbeRWgbNEkqO"
    static let key = try? PBKDF2.key(
        password: Array("pencil".utf8), salt: Base64.decode("W22ZaJ0SNY7soEsUEjb6gQ==") ?? [], iterations: 4096)
}

/// The messages of a server, each on a line: what is answered can be said, and a server is believed only if it has
/// shown the right signature.
func checkSCRAM(_ bytes: [UInt8]) throws(Violation) {
    let messages = bytes.split(separator: 10, omittingEmptySubsequences: false).prefix(4).map(Array.init)
    try checkChallenges(messages)
    guard let key = SampleDialog.key else { throw Violation(description: "no key") }
    var exchange = SCRAMExchange(user: "user", password: "pencil", nonce: SampleDialog.nonce)
    var expected: [UInt8]?
    for message in messages {
        let wasProved = exchange.isServerProved
        guard let derivation = try? exchange.handle(message) else {
            guard exchange.isServerProved, !wasProved else { continue }
            let shown = Base64.decode(String(decoding: message, as: UTF8.self).dropFirst(2).prefix { $0 != "," })
            try require(shown == expected && expected != nil, "\(shown ?? []) is taken for \(expected ?? [])")
            continue
        }
        try require(SCRAMExchange.iterations.contains(derivation.iterations), "\(derivation)")
        try require(!derivation.salt.isEmpty, "no salt")
        guard let answer = try? exchange.derived(key), let end = answer.range(of: ",p=") else {
            throw Violation(description: "no answer to \(shown(message))")
        }
        try require(answer.hasPrefix("c=biws,r=\(SampleDialog.nonce)"), "answer \(answer)")
        try require(answer.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "answer \(answer)")
        let authentication =
            Array("n=user,r=\(SampleDialog.nonce),".utf8) + message + Array(",\(answer[..<end])".utf8)
        expected = try? HMACSHA256.code(
            of: authentication, key: HMACSHA256.code(of: Array("Server Key".utf8), key: key))
    }
}

/// Whatever a server asks, no mechanism says more than one line at a time.
private func checkChallenges(_ messages: [[UInt8]]) throws(Violation) {
    for mechanism in SASLMechanism.allCases {
        let credentials = SASLCredentials(
            user: "user", password: "pencil", mechanisms: [mechanism], nonce: { SampleDialog.nonce })
        guard let credentials, var exchange = SASLExchange(credentials, announced: [mechanism.rawValue]) else {
            throw Violation(description: "no exchange of \(mechanism)")
        }
        try require(!exchange.command().contains { $0 < 0x20 }, "command of \(mechanism)")
        for message in messages {
            guard case .answer(let line)? = try? exchange.handle(challenge: message) else { continue }
            try require(line.allSatisfy { (0x21...0x7E).contains($0) }, "answer \(shown(line))")
        }
    }
}

extension String {
    /// The place where a text begins, without what Foundation thinks of characters.
    fileprivate func range(of text: String) -> Index? {
        self.utf8.indices.first { self.utf8[$0...].starts(with: text.utf8) }
    }
}
