internal import Crypto
package import Mail

/// Verifies the DKIM signatures of a message (RFC 6376 §6).
package struct DKIMVerifier: Sendable {
    private let names: NameSource
    private let now: Timestamp

    /// How far a signer's clock may be ahead.
    private static let clockSkew = Duration.seconds(300)

    package init(names: NameSource, now: Timestamp) {
        self.names = names
        self.now = now
    }

    /// - Returns: one result for each DKIM-Signature, from the top.
    package func results(for message: DigestedMessage) async -> [DKIMResult] {
        if message.isHeaderTooLarge {
            return [DKIMResult(outcome: .permerror, reason: "the header is too large")]
        }
        let places = message.header.indices(of: SignatureKind.dkim.fieldName)
        let signatures = places.enumerated().map { number, place in
            Signature(message, place: place, isTooMany: number >= message.limits.signatures, now: self.now)
        }
        var keys = KeyAnswers(message.limits)
        await keys.add(signatures.compactMap(\.keyName), from: self.names)
        return signatures.map { $0.result(message, &keys) }
    }

    /// A signature on its way to its result.
    private struct Signature {
        private let place: Int
        private let tags: TagList?
        /// What is left to verify; a problem that needed no key otherwise.
        private let parsed: Result<DKIMSignature, SignatureProblem>

        init(_ message: DigestedMessage, place: Int, isTooMany: Bool, now: Timestamp) {
            let field = message.header.fields[place]
            self.place = place
            // What is wrong with it is found again below.
            self.tags = try? TagList(field.value)
            do throws(SignatureProblem) {
                guard !isTooMany else { throw SignatureProblem("too many signatures", .neutral) }
                let signature = try DKIMSignature(field)
                try signature.checkTimes(now, skew: DKIMVerifier.clockSkew)
                try signature.message.checkBody(message)
                self.parsed = .success(signature)
            } catch {
                self.parsed = .failure(error)
            }
        }

        var keyName: String? { (try? self.parsed.get())?.message.common.keyName }

        func result(_ message: DigestedMessage, _ keys: inout KeyAnswers) -> DKIMResult {
            var result = DKIMResult(outcome: .permerror)
            if let tags { result.describe(tags) }
            do throws(SignatureProblem) {
                let signature = try self.parsed.get()
                let digest = try signature.digest(message.header, place: self.place)
                let common = signature.message.common
                let check = keys.check(common, digest: digest) { signature.problem(with: $0) }
                result.keyBits = check.record?.key.bits
                result.isTesting = check.record?.isTesting ?? false
                if let problem = check.problem { throw problem }
                result.outcome = .pass
                result.unsignedBodyBytes = signature.message.unsignedBodyBytes(of: message)
                if result.unsignedBodyBytes > 0 {
                    result.reason = "\(result.unsignedBodyBytes) octets of the body are not signed"
                }
            } catch {
                result.outcome = error.outcome
                result.reason = error.reason
            }
            return result
        }
    }
}

/// A DKIM-Signature field that follows the rules (RFC 6376 §3.5, §6.1.1).
struct DKIMSignature: Hashable, Sendable {
    let message: MessageSignature
    /// Of `i=`, lower case with A-labels.
    let identityDomain: String
    /// `x=`, seconds since 1970.
    let expiration: Int64?

    init(_ field: HeaderField) throws(SignatureProblem) {
        let tags = try field.tags()
        guard let version = tags["v"] else { throw SignatureProblem("no v= tag") }
        guard version == "1" else { throw SignatureProblem("the version is not known") }
        self.message = try MessageSignature(tags, .dkim)
        self.identityDomain = try Self.identityDomain(tags, domain: self.message.common.domain)
        self.expiration = try tags.integer("x", maximumDigits: 18)
        if let queries = tags.list("q"), !queries.contains(where: { $0.equalsIgnoringCase("dns/txt") }) {
            throw SignatureProblem("no query method is known")
        }
    }

    /// `i=` must lie in the signing domain. Its local part means nothing to us; its domain is never encoded.
    private static func identityDomain(_ tags: TagList, domain: String) throws(SignatureProblem) -> String {
        guard let identity = tags.compact("i") else { return domain }
        guard let at = identity.lastIndex(of: "@"), let name = DomainName(identity[identity.index(after: at)...]),
            name.ascii == domain || name.ascii.hasSuffix(".\(domain)")
        else { throw SignatureProblem("i= is not in the domain of d=") }
        return name.ascii
    }

    /// A signature from the future is neither right nor wrong yet.
    func checkTimes(_ now: Timestamp, skew: Duration) throws(SignatureProblem) {
        if let expiration {
            if let timestamp = self.message.common.timestamp, expiration <= timestamp {
                throw SignatureProblem("x= is not behind t=")
            }
            guard expiration >= now.seconds else { throw SignatureProblem("the signature has expired", .fail) }
        }
        if let timestamp = self.message.common.timestamp, timestamp > (now + skew).seconds {
            throw SignatureProblem("the signature is from the future", .neutral)
        }
    }

    func digest(_ header: MessageHeader, place: Int) throws(SignatureProblem) -> [UInt8] {
        let last = header.fields[place].removing(self.message.common.signatureRange)
        do {
            return try headerHash(
                of: header.selected(by: self.message.names, except: place), last: last, form: self.message.headerForm)
        } catch {
            throw SignatureProblem("the header could not be hashed", .temperror)
        }
    }

    func problem(with record: KeyRecord) -> SignatureProblem? {
        guard record.isStrict, self.identityDomain != self.message.common.domain else { return nil }
        return SignatureProblem("the key is not for subdomains")
    }
}

extension DKIMResult {
    private static let prefixCharacters = 8

    /// Takes over what a signature says of itself, if it can be believed to be what it should be.
    fileprivate mutating func describe(_ tags: TagList) {
        self.domain = tags["d"].flatMap { DomainName($0)?.ascii }
        self.selector = tags["s"].flatMap { DomainName($0)?.ascii }
        if let domain { self.identity = tags.compact("i") ?? "@\(domain)" }
        self.algorithm = tags["a"].flatMap { SignatureAlgorithm(rawValue: $0.asciiLowercased) }
        self.signedFields = (tags.list("h") ?? []).map(\.asciiLowercased)
        if let signature = tags.compact("b"),
            signature.utf8.allSatisfy({ ASCII.isAlphanumeric($0) || "+/=".utf8.contains($0) })
        {
            self.signaturePrefix = String(signature.prefix(Self.prefixCharacters))
        }
    }
}
