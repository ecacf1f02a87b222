internal import Crypto
package import Mail

/// What is found out about messages and done about it, of one generation of the configuration.
package struct AuthenticationPolicy: Sendable {
    package let options: AuthenticationOptions
    /// Our name in what we tell (RFC 8601 §2.5).
    package let authservID: String
    package let spf: SPFPolicy
    package let discovery: DMARCEvaluation.Discovery
    package let keys: SigningKeys
    package let sealer: ARCSealer?
    /// For whom nothing is refused because of what is found.
    package let isExempt: @Sendable (IPAddress) -> Bool

    package init(
        options: AuthenticationOptions, authservID: String, spf: SPFPolicy, discovery: DMARCEvaluation.Discovery,
        keys: SigningKeys = SigningKeys([]), sealer: ARCSealer? = nil,
        isExempt: @escaping @Sendable (IPAddress) -> Bool = { _ in false }
    ) {
        self.options = options
        self.authservID = authservID
        self.spf = spf
        self.discovery = discovery
        self.keys = keys
        self.sealer = sealer
        self.isExempt = isExempt
    }
}

/// Who signs for which domain.
package struct SigningKeys: Sendable {
    private let signers: [String: [DKIMSigner]]

    /// - Parameter signers: with the domain of each. All of a domain sign, in this order.
    package init(_ signers: [(domain: DomainName, signer: DKIMSigner)]) {
        self.signers = Dictionary(grouping: signers) { $0.domain.ascii }.mapValues { $0.map(\.signer) }
    }

    package var isEmpty: Bool { self.signers.isEmpty }

    /// What all signers ask of a body.
    var hashings: [BodyHashing] {
        self.signers.values.joined().map(\.hashing).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// For the author's domain, or the nearest above it, which DMARC aligns as well; none for several domains, of which
    /// none is ours to answer for alone.
    func signers(for header: MessageHeader) -> [DKIMSigner] {
        let from = FromField(fields: header.fields(named: "from").map { Array($0.value) })
        guard from.domains.count == 1, var name = from.domains.first?.ascii else { return [] }
        while !name.isEmpty {
            if let signers = self.signers[name] { return signers }
            name = name.firstIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? ""
        }
        return []
    }

    /// The fields to put in front of a message that is in memory; empty if no key is for it.
    ///
    /// - Throws: if the library fails, or the header is too large.
    package func sign(_ content: [UInt8], at now: Timestamp) throws -> [UInt8] {
        guard !self.isEmpty else { return [] }
        let message = MessageDigester(needing: self.hashings, isVerifying: false)
        content.withUnsafeBytes { message.feed($0) }
        return try self.fields(for: message.finish(), at: now)
    }

    func fields(for message: DigestedMessage, at now: Timestamp) throws -> [UInt8] {
        guard !message.isHeaderTooLarge else { throw CryptoError("the message cannot be signed: header too large") }
        return try self.signers(for: message.header).flatMap { Array(try $0.fields(for: message, at: now).utf8) }
    }
}
