import Mail
import TLS

extension TLSPolicy {
    /// Reads `level name=value…`, separated by blanks or commas; `{name = value}` may hold blanks.
    ///
    /// What could make a connection less secure than it was meant to be is an error; what has no effect here and takes
    /// nothing away is a warning.
    package static func parse(_ text: String) throws(TLSPolicyError) -> (policy: TLSPolicy, warnings: [String]) {
        var words = try Self.words(of: text)[...]
        guard let name = words.popFirst() else { throw TLSPolicyError("no level") }
        guard let level = TLSLevel(rawValue: name.asciiLowercased) else {
            throw TLSPolicyError("'\(name)' is not \(TLSLevel.optionSyntax)")
        }
        var reader = AttributeReader(level)
        for word in words { try reader.read(word) }
        return (try reader.finish(), reader.warnings)
    }

    private static func words(of text: String) throws(TLSPolicyError) -> [String] {
        var words: [String] = []
        var scanner = ByteScanner(text)
        func isSeparator(_ byte: UInt8) -> Bool {
            ASCII.isBlank(byte) || byte == UInt8(ascii: ",") || byte == ASCII.carriageReturn
                || byte == ASCII.lineFeed
        }
        while true {
            _ = scanner.read(while: isSeparator)
            guard let first = scanner.peek else { return words }
            guard first == UInt8(ascii: "{") else {
                words.append(String(decoding: scanner.read { !isSeparator($0) }, as: UTF8.self))
                continue
            }
            let inside = scanner.read { $0 != UInt8(ascii: "}") }.dropFirst()
            guard scanner.skip("}") else { throw TLSPolicyError("a brace is not closed") }
            words.append(String(decoding: inside, as: UTF8.self))
        }
    }
}

/// Takes the attributes of a policy, one after the other.
private struct AttributeReader {
    private var policy: TLSPolicy
    private var names: [TLSPolicy.Name] = []
    private var seen: Set<String> = []
    private(set) var warnings: [String] = []

    init(_ level: TLSLevel) { self.policy = TLSPolicy(level) }

    mutating func read(_ word: String) throws(TLSPolicyError) {
        guard let equals = word.firstIndex(of: "=") else {
            throw TLSPolicyError("'\(word)' is not an attribute such as match=nexthop")
        }
        let name = word[..<equals].trimmingBlanks.asciiLowercased
        let value = word[word.index(after: equals)...].trimmingBlanks
        if self.policy.level == .none {
            return self.warnings.append("\(name)= has no effect at level none")
        }
        // Those that may come several times, as with Postfix.
        if !["match", "connection_reuse", "enable_rpk"].contains(name), !self.seen.insert(name).inserted {
            throw TLSPolicyError("\(name)= is repeated")
        }
        try self.read(name, value)
    }

    private mutating func read(_ name: String, _ value: String) throws(TLSPolicyError) {
        switch name {
        case "match": try self.readMatch(value)
        case "servername":
            guard let domain = DomainName(value) else { throw TLSPolicyError("servername='\(value)' is not a name") }
            self.policy.serverName = domain.ascii
        case "protocols": self.policy.minimumVersion = try ProtocolList.minimum(value)
        case "ciphers", "exclude", "connection_reuse", "enable_rpk":
            self.warnings.append("\(name)= has no effect: it is left to OpenSSL's and our own defaults")
        case "tafile":
            throw TLSPolicyError("tafile= is not supported: name the key with level fingerprint, or use authorities")
        case "policy_ttl", "policy_type", "policy_domain", "policy_string", "mx_host_pattern", "policy_failure":
            throw TLSPolicyError("\(name)= is for plug-ins of Postfix: MTA-STS is built in, see mta_sts")
        default: throw TLSPolicyError("unknown attribute '\(name)'")
        }
    }

    private mutating func readMatch(_ value: String) throws(TLSPolicyError) {
        guard value.contains(where: { $0 != ":" && $0 != "|" }) else { throw TLSPolicyError("match= names nothing") }
        switch self.policy.level {
        case .fingerprint:
            for part in value.split(separator: "|") { self.policy.fingerprints.append(try Self.fingerprint(part)) }
        case .verify, .secure:
            for part in value.split(separator: ":") { self.names.append(try Self.name(part.trimmingBlanks[...])) }
        case .none, .may, .encrypt, .dane, .daneOnly:
            throw TLSPolicyError("match= has no meaning at level \(self.policy.level.rawValue)")
        }
    }

    private static func name(_ text: Substring) throws(TLSPolicyError) -> TLSPolicy.Name {
        switch text.asciiLowercased {
        case "hostname": return .hostname
        case "nexthop": return .nextHop
        case "dot-nexthop": return .belowNextHop
        case let other:
            guard let name = DomainName(other.hasPrefix(".") ? other.dropFirst() : other[...]) else {
                throw TLSPolicyError("match: '\(text)' is neither hostname, nexthop, dot-nexthop nor a name")
            }
            return .fixed((other.hasPrefix(".") ? "." : "") + name.ascii)
        }
    }

    /// Of SHA-256, the one digest that we compare: 32 octets, with or without colons between them.
    private static func fingerprint(_ text: Substring) throws(TLSPolicyError) -> [UInt8] {
        let digits = text.utf8.filter { $0 != UInt8(ascii: ":") }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: digits.count - digits.count % 2, by: 2) {
            let pair = String(decoding: digits[start..<start + 2], as: UTF8.self)
            guard pair.utf8.allSatisfy(ASCII.isAlphanumeric), let byte = UInt8(pair, radix: 16) else { break }
            bytes.append(byte)
        }
        guard bytes.count == 32, digits.count == 64 else {
            throw TLSPolicyError("match: '\(text)' is not a fingerprint: SHA-256, 32 octets in hexadecimal digits")
        }
        return bytes
    }

    mutating func finish() throws(TLSPolicyError) -> TLSPolicy {
        if !self.names.isEmpty { self.policy.names = self.names }
        guard self.policy.level != .fingerprint || !self.policy.fingerprints.isEmpty else {
            throw TLSPolicyError("level fingerprint needs match=")
        }
        return self.policy
    }
}

/// Postfix's lists of protocols (postconf(5), smtp_tls_mandatory_protocols): of them a lowest version can be honoured.
private enum ProtocolList {
    private static let versions: [TLSVersion] = [.v1_0, .v1_1, .v1_2, .v1_3]

    static func minimum(_ text: String) throws(TLSPolicyError) -> TLSVersion {
        var allowed = Set(Self.versions)
        var included: Set<TLSVersion> = []
        for part in text.split(separator: ":") {
            if part.hasPrefix(">=") {
                let least = try Self.version(part.dropFirst(2))
                allowed = allowed.filter { Self.rank($0) >= Self.rank(least) }
            } else if part.hasPrefix("<=") {
                let most = try Self.version(part.dropFirst(2))
                allowed = allowed.filter { Self.rank($0) <= Self.rank(most) }
            } else if part.hasPrefix("!") {
                if Self.isObsolete(part.dropFirst()) { continue }
                allowed.remove(try Self.version(part.dropFirst()))
            } else {
                included.insert(try Self.version(part))
            }
        }
        if !included.isEmpty { allowed.formIntersection(included) }
        guard let least = Self.versions.first(where: allowed.contains), allowed.contains(.v1_3),
            Self.versions.allSatisfy({ Self.rank($0) < Self.rank(least) || allowed.contains($0) })
        else { throw TLSPolicyError("protocols='\(text)': only a lowest version can be set, such as >=TLSv1.2") }
        return least
    }

    private static func rank(_ version: TLSVersion) -> Int {
        switch version {
        case .v1_0: 0
        case .v1_1: 1
        case .v1_2: 2
        case .v1_3: 3
        }
    }

    /// What no OpenSSL of today speaks.
    private static func isObsolete(_ name: Substring) -> Bool {
        name.equalsIgnoringCase("SSLv2") || name.equalsIgnoringCase("SSLv3")
    }

    /// By name, or by the number of the protocol: `TLSv1.2`, `0303`, `0x0303`.
    private static func version(_ name: Substring) throws(TLSPolicyError) -> TLSVersion {
        if let version = Self.versions.first(where: { name.equalsIgnoringCase($0.rawValue) }) { return version }
        let digits = name.hasPrefix("0x") ? name.dropFirst(2) : name
        switch Int(digits, radix: 16) {
        case 0x301: return .v1_0
        case 0x302: return .v1_1
        case 0x303: return .v1_2
        case 0x304: return .v1_3
        default: throw TLSPolicyError("protocols: '\(name)' is not a version of TLS")
        }
    }
}
