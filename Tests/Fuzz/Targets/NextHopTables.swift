import Forwarder
import Mail

/// The right-hand side of a table of TLS levels: what is read can be written and read again, and cannot mean less than it
/// must.
func checkTLSPolicy(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let (policy, warnings) = try? TLSPolicy.parse(text) else { return }
    try require(warnings.allSatisfy { !$0.isEmpty }, "a warning without a text")
    switch policy.level {
    case .none, .may, .encrypt, .dane, .daneOnly:
        try require(policy.names.isEmpty && policy.fingerprints.isEmpty, "\(policy)")
    case .fingerprint:
        try require(
            policy.names.isEmpty && !policy.fingerprints.isEmpty && policy.fingerprints.allSatisfy { $0.count == 32 },
            "\(policy)")
    case .verify, .secure:
        try require(!policy.names.isEmpty && policy.fingerprints.isEmpty, "\(policy)")
        let names = policy.names(of: "mx.example.test", behind: nil)
        try require(
            names.allSatisfy {
                $0.isASCII && $0 == $0.asciiLowercased && !$0.isEmpty && $0 != "." && holdsNoLineEnd($0)
            },
            "\(names)")
    }
    let again = try? TLSPolicy.parse(policy.written)
    try require(again?.policy == policy, "\(shown(bytes)) is written as \(policy.written)")
}

extension TLSPolicy {
    fileprivate var written: String {
        var words = [self.level.rawValue]
        for name in self.names {
            switch name {
            case .hostname: words.append("match=hostname")
            case .nextHop: words.append("match=nexthop")
            case .belowNextHop: words.append("match=dot-nexthop")
            case .fixed(let text): words.append("match=\(text)")
            }
        }
        for fingerprint in self.fingerprints {
            let digits = fingerprint.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            words.append("match=\(digits.joined(separator: ":"))")
        }
        if let serverName { words.append("servername=\(serverName)") }
        if let minimumVersion { words.append("protocols=>=\(minimumVersion.rawValue)") }
        return words.joined(separator: " ")
    }
}
