package import Crypto
internal import Mail

/// A key record (RFC 6376 §3.6.1), as far as it may be used for mail.
package struct KeyRecord: Sendable {
    package let key: PublicKey
    /// `t=y`: the domain tries DKIM out.
    package let isTesting: Bool
    /// `t=s`: `i=` may not be in a subdomain.
    package let isStrict: Bool

    /// RFC 8301 §3.2 wants shorter RSA keys refused. Longer ones than the maximum take the time of many.
    package static let rsaBits = 1024...8192
    /// Everybody's exponent has 17 bits. A verification takes time in proportion to them, and OpenSSL takes as many as
    /// the modulus has, which would be hundreds of times as long.
    package static let maximumExponentBits = 32

    /// - Throws: why the record holds no key for this algorithm.
    package init(_ bytes: [UInt8], for algorithm: SignatureAlgorithm) throws(SignatureProblem) {
        guard let tags = try? TagList(bytes[...]) else { throw SignatureProblem("the key record is no list of tags") }
        if let version = tags["v"] {
            guard version == "DKIM1", tags.tags.first?.name == "v" else {
                throw SignatureProblem("the record is not one of DKIM1")
            }
        }
        guard let data = tags.compact("p") else { throw SignatureProblem("the key record has no p= tag") }
        let type = tags["k"]?.asciiLowercased ?? "rsa"
        guard type == algorithm.keyType else { throw SignatureProblem("the key is not one of \(algorithm.keyType)") }
        try Self.checkUse(tags)
        guard !data.isEmpty else { throw SignatureProblem("the key is revoked") }
        guard let octets = Base64.decode(data) else { throw SignatureProblem("p= is not base64") }
        self.key = try Self.key(octets, algorithm)
        let flags = tags.list("t") ?? []
        self.isTesting = flags.contains("y")
        self.isStrict = flags.contains("s")
    }

    /// The hashes (`h=`) and services (`s=`) that the key is for.
    private static func checkUse(_ tags: TagList) throws(SignatureProblem) {
        if let hashes = tags.list("h"), !hashes.contains(where: { $0.equalsIgnoringCase("sha256") }) {
            throw SignatureProblem("the key is not for SHA-256")
        }
        if let services = tags.list("s"), !services.contains(where: { $0 == "*" || $0.equalsIgnoringCase("email") }) {
            throw SignatureProblem("the key is not for mail")
        }
    }

    private static func key(
        _ octets: [UInt8], _ algorithm: SignatureAlgorithm
    ) throws(SignatureProblem) -> PublicKey {
        switch algorithm {
        case .ed25519SHA256:
            guard let key = try? PublicKey(ed25519: octets) else { throw SignatureProblem("p= is no key") }
            return key
        case .rsaSHA256:
            // RFC 6376 speaks of RSAPublicKey, shows SubjectPublicKeyInfo, and both are in use (erratum 3017).
            let key = (try? PublicKey(subjectPublicKeyInfo: octets)) ?? (try? PublicKey(rsaPublicKey: octets))
            guard let key, key.kind == .rsa else { throw SignatureProblem("p= is no key") }
            guard Self.rsaBits.contains(key.bits) else { throw SignatureProblem("the key has \(key.bits) bits") }
            guard key.exponentBits <= Self.maximumExponentBits else {
                throw SignatureProblem("the key's exponent is too large")
            }
            return key
        }
    }
}

/// Keys of one name.
struct KeyAnswer: Sendable {
    let reply: NameReply

    /// A name should have one record (RFC 6376 §3.6.2.2). Domains that have several, such as an old and a new key, should
    /// not be worse off for it, but each costs a verification.
    static let maximumRecords = 3

    /// What checking a signature led to, and the record that it was checked with last.
    struct Check {
        let problem: SignatureProblem?
        let record: KeyRecord?
    }

    /// Looks for a record whose key made the signature.
    ///
    /// - Parameters:
    ///   - left: how many verifications the message may still cost.
    ///   - allows: what else is asked of a record.
    fileprivate func check(
        _ signature: SignatureParameters, digest: [UInt8], left: inout Int, allows: (KeyRecord) -> SignatureProblem?
    ) -> Check {
        switch self.reply {
        case .texts(let texts):
            var last = Check(problem: SignatureProblem("no key"), record: nil)
            for text in texts.prefix(Self.maximumRecords) {
                let check = Self.check(signature, digest, text, &left, allows)
                if check.problem == nil { return check }
                // A key that did not fit says more than a record that has none.
                if check.record != nil || last.record == nil { last = check }
            }
            return last
        case .failed: return Check(problem: SignatureProblem("the key could not be looked up", .temperror), record: nil)
        case .noSuchName, .noRecords, .addresses, .hosts:
            return Check(problem: SignatureProblem("no key"), record: nil)
        }
    }

    private static func check(
        _ signature: SignatureParameters, _ digest: [UInt8], _ text: [UInt8], _ left: inout Int,
        _ allows: (KeyRecord) -> SignatureProblem?
    ) -> Check {
        do throws(SignatureProblem) {
            let record = try KeyRecord(text, for: signature.algorithm)
            if let problem = allows(record) { return Check(problem: problem, record: record) }
            guard left > 0 else {
                return Check(problem: SignatureProblem("too many keys were tried", .neutral), record: record)
            }
            left -= 1
            let isValid = record.key.verifies(signature.signature, digest: digest)
            return Check(
                problem: isValid ? nil : SignatureProblem("the signature does not match", .fail), record: record)
        } catch {
            return Check(problem: error, record: nil)
        }
    }
}

/// Keys that were asked for, each once a message, and what they may still cost.
struct KeyAnswers: Sendable {
    private var answers: [String: KeyAnswer] = [:]
    private var verificationsLeft: Int

    init(_ limits: MessageLimits) {
        self.verificationsLeft = limits.verifications
    }

    /// How many questions a message may have before the resolver at the same time.
    static let window = 8

    /// Asks for all of them, ``window`` at a time.
    mutating func add(_ names: some Sequence<String>, from source: NameSource) async {
        var missing = Set(names).subtracting(self.answers.keys)
        await withTaskGroup(of: (String, NameReply).self) { group in
            func ask() {
                guard let name = missing.popFirst() else { return }
                group.addTask { (name, await source.ask(NameQuery(name, .txt))) }
            }
            for _ in 0..<Self.window { ask() }
            for await (name, reply) in group {
                self.answers[name] = KeyAnswer(reply: reply)
                ask()
            }
        }
    }

    /// Looks for a record whose key made the signature.
    ///
    /// - Parameter allows: what else is asked of a record.
    mutating func check(
        _ signature: SignatureParameters, digest: [UInt8],
        allows: (KeyRecord) -> SignatureProblem? = { _ in nil }
    ) -> KeyAnswer.Check {
        let answer = self.answers[signature.keyName] ?? KeyAnswer(reply: .failed("not asked"))
        return answer.check(signature, digest: digest, left: &self.verificationsLeft, allows: allows)
    }
}
