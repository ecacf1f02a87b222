package import Crypto
package import Mail

/// Adds a set to a message's ARC chain (RFC 8617 §5.1).
///
/// It must be given the message as it will be stored: what is added or changed later, but for trace fields on top,
/// breaks its signature.
package struct ARCSealer: Sendable {
    package struct Options: Hashable, Sendable {
        /// Fields that are signed, each as often as it is there.
        package var signed = Self.standardSigned
        /// `h=` as it is to be, instead of the above.
        package var names: [String]?

        package init() {}

        /// What DKIM's signers sign (RFC 6376 §5.4.1), and their signatures (RFC 8617 §4.1.2).
        package static let standardSigned =
            DKIMSigner.Options.standardSealed + DKIMSigner.Options.standardSealedIfThere + ["dkim-signature"]
    }

    private let key: SigningKey
    private let authservID: String
    private let options: Options

    /// - Parameter authservID: the name of this administration in Authentication-Results.
    package init(key: SigningKey, authservID: DomainName, options: Options = Options()) {
        self.key = key
        self.authservID = authservID.ascii
        self.options = options
    }

    /// What a ``MessageDigester`` must be told for ``fields(for:chain:results:at:)``.
    package var hashing: BodyHashing { BodyHashing(.relaxed) }

    /// The three fields to put above the message, each with its CRLF; empty if nothing may be added: the chain was
    /// found broken by somebody before, or is as long as it may be.
    ///
    /// - Parameters:
    ///   - chain: what an ``ARCVerifier`` made of the message.
    ///   - results: what was found out about the message, such as `spf=pass smtp.mailfrom=a@b`; line ends are taken
    ///     out.
    /// - Throws: if the library fails, or the message was digested without ``hashing`` or has a header that is too
    ///   large.
    package func fields(
        for message: DigestedMessage, chain: ARCResult, results: [String], at now: Timestamp
    ) throws(CryptoError) -> String {
        guard let body = message.bodyHashes[self.hashing], !message.isHeaderTooLarge else {
            throw CryptoError("the message cannot be sealed")
        }
        let instance = Self.highestInstance(message.header) + 1
        guard instance <= ARCChain.maximumInstance, !Self.isClosed(message.header, instance - 1) else { return "" }
        let resultsField = self.resultsField(instance, results)
        let messageField = try self.messageField(instance, message.header, body, now)
        let added = [HeaderField(Array(resultsField.utf8)), HeaderField(Array(messageField.utf8))]
        let seal = try self.sealField(instance, message.header, added, chain.outcome, now)
        return [seal, messageField, resultsField].map { "\($0)\r\n" }.joined()
    }

    private static func highestInstance(_ header: MessageHeader) -> Int {
        let instances = ARCField.allCases.flatMap { field in
            header.fields(named: field.rawValue).compactMap { field.instance(of: $0) }
        }
        return instances.max() ?? 0
    }

    /// Whether the newest seal says already that the chain is broken.
    private static func isClosed(_ header: MessageHeader, _ instance: Int) -> Bool {
        header.fields(named: ARCField.seal.rawValue).contains { field in
            guard ARCField.seal.instance(of: field) == instance, let tags = try? TagList(field.value) else {
                return false
            }
            return tags["cv"]?.equalsIgnoringCase("fail") ?? false
        }
    }

    private func resultsField(_ instance: Int, _ results: [String]) -> String {
        var field = FieldFolder(name: "ARC-Authentication-Results")
        field.append("i=\(instance)")
        field.append(self.authservID)
        for result in results.isEmpty ? ["none"] : results { field.append(words: result) }
        return field.text
    }

    private func messageField(
        _ instance: Int, _ header: MessageHeader, _ body: BodyHash, _ now: Timestamp
    ) throws(CryptoError) -> String {
        let names = self.names(for: header)
        return try self.signed(header.selected(by: names)) { signature in
            var field = FieldFolder(name: "ARC-Message-Signature")
            field.append("a=\(self.key.algorithm.rawValue)")
            // Seals cover it with its folds, and those of ValiMail's suite cover signatures that have none.
            field.append("b", base64: signature, columns: FieldFolder.maximumColumns - 2)
            field.append("bh=\(Base64.encode(body.digest))")
            field.append("c=relaxed/relaxed")
            field.append("d=\(self.key.domain.ascii)")
            field.append("h", list: names)
            field.append("i=\(instance)")
            field.append("s=\(self.key.selector.ascii)")
            field.append("t=\(now.seconds)")
            return field.text
        }
    }

    /// ARC-Seal may not be signed by message signatures, and other ARC fields need not (RFC 8617 §4.1.2).
    private func names(for header: MessageHeader) -> [String] {
        if let names = self.options.names {
            return names.map(\.asciiLowercased).filter { $0 != ARCField.seal.rawValue }
        }
        let names = self.options.signed.flatMap { Array(repeating: $0, count: header.indices(of: $0).count) }
        return names.contains("from") ? names : ["from"] + names
    }

    /// A seal covers all sets; one that says the chain is broken covers its own only (RFC 8617 §5.1.2).
    private func sealField(
        _ instance: Int, _ header: MessageHeader, _ added: [HeaderField], _ validation: ARCResult.Outcome,
        _ now: Timestamp
    ) throws(CryptoError) -> String {
        // A chain that passed is a chain that can be read.
        let sets = validation == .pass ? (try? ARCChain(header))?.sets ?? [] : []
        let fields = sets.flatMap { [$0.results, $0.message, $0.seal] }.map { header.fields[$0] }
        return try self.signed(fields + added) { signature in
            var field = FieldFolder(name: "ARC-Seal")
            field.append("a=\(self.key.algorithm.rawValue)")
            field.append("b", base64: signature)
            field.append("cv=\(validation.rawValue)")
            field.append("d=\(self.key.domain.ascii)")
            field.append("i=\(instance)")
            field.append("s=\(self.key.selector.ascii)")
            field.append("t=\(now.seconds)")
            return field.text
        }
    }

    /// A field with a signature over others and itself. Its form is relaxed, to which it is the same where it folds.
    private func signed(_ fields: [HeaderField], _ make: (String) -> String) throws(CryptoError) -> String {
        let unsigned = HeaderField(Array(make("").utf8))
        let digest = try headerHash(of: fields, last: unsigned, form: .relaxed)
        return make(Base64.encode(try self.key.key.sign(digest: digest)))
    }
}
