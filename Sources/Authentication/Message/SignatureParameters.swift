internal import Mail

/// Fields that hold signatures.
enum SignatureKind: Hashable, Sendable {
    case dkim, arcMessage, arcSeal

    /// In lower case.
    var fieldName: String {
        switch self {
        case .dkim: "dkim-signature"
        case .arcMessage: "arc-message-signature"
        case .arcSeal: "arc-seal"
        }
    }
}

/// How a signature is made (RFC 8301, RFC 8463).
package enum SignatureAlgorithm: String, Hashable, Sendable {
    case rsaSHA256 = "rsa-sha256"
    case ed25519SHA256 = "ed25519-sha256"

    /// As key records write it.
    var keyType: String {
        switch self {
        case .rsaSHA256: "rsa"
        case .ed25519SHA256: "ed25519"
        }
    }
}

/// Why a signature cannot be verified, or is not one to be believed. The text is for people.
package struct SignatureProblem: Error, Hashable, Sendable {
    package let outcome: DKIMResult.Outcome
    package let reason: String

    init(_ reason: String, _ outcome: DKIMResult.Outcome = .permerror) {
        self.outcome = outcome
        self.reason = reason
    }
}

/// What all three kinds of signatures say: who signed, how, and the signature.
struct SignatureParameters: Hashable, Sendable {
    let algorithm: SignatureAlgorithm
    /// `d=`, lower case, A-labels.
    let domain: String
    /// `s=`, lower case.
    let selector: String
    /// `b=`.
    let signature: [UInt8]
    /// Of the value of `b=` in the field.
    let signatureRange: Range<Int>
    /// `t=`, seconds since 1970.
    let timestamp: Int64?

    /// Where the key is.
    var keyName: String { "\(self.selector)._domainkey.\(self.domain)" }

    init(_ tags: TagList) throws(SignatureProblem) {
        self.algorithm = try tags.algorithm()
        self.domain = try tags.domainName("d")
        self.selector = try tags.domainName("s")
        guard let signature = tags.tag("b") else { throw SignatureProblem("no b= tag") }
        self.signatureRange = signature.range
        self.signature = try tags.base64("b")
        self.timestamp = try tags.integer("t", maximumDigits: 18)
        guard self.keyName.utf8.count <= DomainName.maximumBytes else {
            throw SignatureProblem("the name of the key is too long")
        }
    }
}

/// What a signature over header and body says on top: a DKIM-Signature or an ARC-Message-Signature.
struct MessageSignature: Hashable, Sendable {
    let common: SignatureParameters
    let headerForm: Canonicalization
    /// `c=` and `l=`.
    let hashing: BodyHashing
    /// `bh=`.
    let bodyDigest: [UInt8]
    /// `h=`, lower case.
    let names: [String]

    init(_ tags: TagList, _ kind: SignatureKind) throws(SignatureProblem) {
        self.common = try SignatureParameters(tags)
        self.headerForm = try tags.canonicalization().header
        self.hashing = try tags.bodyHashing()
        self.bodyDigest = try tags.base64("bh")
        self.names = try tags.fieldNames(kind)
    }

    /// A hash can only be missing by our own doing: this one is beyond ``MessageLimits/bodyHashes``. That is not the
    /// signer's fault, and would be the same at the next try.
    ///
    /// - Throws: if the body is not the one that was signed, or longer or shorter than it may be.
    func checkBody(_ message: DigestedMessage) throws(SignatureProblem) {
        guard let hash = message.bodyHashes[self.hashing] else {
            throw SignatureProblem("too many body hashes are asked for", .neutral)
        }
        if let limit = self.hashing.limitBytes, limit > hash.bodyBytes {
            throw SignatureProblem("l= is more than the body has")
        }
        guard hash.digest == self.bodyDigest else { throw SignatureProblem("the body hash differs", .fail) }
    }

    /// Octets of the body that anybody could have added.
    func unsignedBodyBytes(of message: DigestedMessage) -> Int {
        guard let limit = self.hashing.limitBytes, let hash = message.bodyHashes[self.hashing] else { return 0 }
        return max(0, hash.bodyBytes - limit)
    }
}

extension HeaderField {
    /// The body hash that a signature in this field needs; nil if nobody could tell.
    var bodyHashing: BodyHashing? {
        // What is wrong with the field is said when it is verified.
        try? self.tags().bodyHashing()
    }

    /// The tags of this field's value.
    func tags() throws(SignatureProblem) -> TagList {
        do throws(TagList.Problem) {
            return try TagList(self.value)
        } catch {
            switch error {
            case .malformed: throw SignatureProblem("the signature is no list of tags")
            case .duplicate(let name): throw SignatureProblem("\(name)= stands twice")
            }
        }
    }
}

extension TagList {
    fileprivate func required(_ name: String) throws(SignatureProblem) -> String {
        guard let value = self[name] else { throw SignatureProblem("no \(name)= tag") }
        return value
    }

    /// RFC 8301 §3.1 took rsa-sha1 away: such signatures have failed whatever they sign.
    fileprivate func algorithm() throws(SignatureProblem) -> SignatureAlgorithm {
        let name = try self.required("a").asciiLowercased
        guard name != "rsa-sha1" else { throw SignatureProblem("rsa-sha1 is not secure") }
        guard let algorithm = SignatureAlgorithm(rawValue: name) else {
            throw SignatureProblem("the algorithm is not known")
        }
        return algorithm
    }

    /// A domain, or a selector, whose syntax is the same.
    fileprivate func domainName(_ name: String) throws(SignatureProblem) -> String {
        guard let domain = DomainName(try self.required(name)) else {
            throw SignatureProblem("\(name)= is no domain name")
        }
        return domain.ascii
    }

    fileprivate func base64(_ name: String) throws(SignatureProblem) -> [UInt8] {
        _ = try self.required(name)
        guard let bytes = self.compact(name).flatMap({ Base64.decode($0) }), !bytes.isEmpty else {
            throw SignatureProblem("\(name)= is not base64")
        }
        return bytes
    }

    /// - Returns: nil if there is no such tag.
    func integer(_ name: String, maximumDigits: Int) throws(SignatureProblem) -> Int64? {
        guard let number = self.number(name, maximumDigits: maximumDigits) else { return nil }
        guard let number else { throw SignatureProblem("\(name)= is no number") }
        return number
    }

    fileprivate func bodyHashing() throws(SignatureProblem) -> BodyHashing {
        let length = try self.integer("l", maximumDigits: 76)
        return BodyHashing(try self.canonicalization().body, limitBytes: length.map { Int(clamping: $0) })
    }

    /// `c=`: the header's form, and the body's behind a slash. Both are simple by default.
    fileprivate func canonicalization() throws(SignatureProblem) -> (header: Canonicalization, body: Canonicalization) {
        guard let value = self["c"] else { return (.simple, .simple) }
        let parts = value.asciiLowercased.split(separator: "/", omittingEmptySubsequences: false).map {
            Canonicalization(rawValue: String($0))
        }
        guard (1...2).contains(parts.count), let header = parts[0], let body = parts.count == 2 ? parts[1] : .simple
        else { throw SignatureProblem("c= is not known") }
        return (header, body)
    }

    /// `h=` in lower case. A DKIM signature must sign `From` (RFC 6376 §5.4); ARC asks for nothing, and lets names be
    /// missing.
    fileprivate func fieldNames(_ kind: SignatureKind) throws(SignatureProblem) -> [String] {
        _ = try self.required("h")
        let names = (self.list("h") ?? []).map(\.asciiLowercased)
        guard names.allSatisfy({ $0.utf8.allSatisfy { (33...126).contains($0) } }) else {
            throw SignatureProblem("h= is no list of field names")
        }
        switch kind {
        case .dkim:
            guard !names.contains("") else { throw SignatureProblem("h= is no list of field names") }
            guard names.contains("from") else { throw SignatureProblem("From is not signed") }
        case .arcMessage, .arcSeal:
            guard !names.contains(SignatureKind.arcSeal.fieldName) else {
                throw SignatureProblem("h= names ARC-Seal")
            }
        }
        return names.filter { !$0.isEmpty }
    }
}
