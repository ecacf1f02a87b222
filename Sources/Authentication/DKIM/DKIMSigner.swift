package import Crypto
package import Mail

/// Signs messages (RFC 6376 §5).
package struct DKIMSigner: Sendable {
    package struct Options: Hashable, Sendable {
        package var headerForm = Canonicalization.relaxed
        package var bodyForm = Canonicalization.relaxed
        /// Fields that are signed as often as they are there, and once more, so that nobody can add another one.
        package var sealed = Self.standardSealed
        /// The same, but not if there is none: servers on the way may add them.
        package var sealedIfThere = Self.standardSealedIfThere
        /// `h=` as it is to be, instead of the above; `from` is added if it is not in it.
        package var names: [String]?
        /// From signing to `x=`; nil for none.
        package var lifetime: Duration?

        package init() {}

        /// What mail clients show of a message and answer to (RFC 6376 §5.4.1, §8.15).
        package static let standardSealed = [
            "from", "reply-to", "to", "cc", "subject", "in-reply-to", "references",
        ]
        /// A server adds `Date` and `Message-ID` to a message that has none (RFC 6409 §8), which must not break its
        /// signature.
        package static let standardSealedIfThere = [
            "date", "message-id", "sender", "mime-version", "content-type", "content-transfer-encoding", "list-id",
            "list-unsubscribe",
            "list-unsubscribe-post", "list-post", "autocrypt",
        ]
    }

    private let keys: [SigningKey]
    private let options: Options

    /// - Parameter keys: one signature is made with each, in this order.
    package init(keys: [SigningKey], options: Options = Options()) {
        self.keys = keys
        self.options = options
    }

    /// What a ``MessageDigester`` must be told for ``fields(for:at:)``.
    package var hashing: BodyHashing { BodyHashing(self.options.bodyForm) }

    /// The fields to put above the message, each with its CRLF.
    ///
    /// - Throws: if the library fails, or the message was not digested for this signer or has a header that is too
    ///   large.
    package func fields(for message: DigestedMessage, at now: Timestamp) throws(CryptoError) -> String {
        guard let body = message.bodyHashes[self.hashing], !message.isHeaderTooLarge else {
            throw CryptoError(
                "the message cannot be signed: \(message.isHeaderTooLarge ? "header too large" : "no hash")")
        }
        let names = self.names(for: message.header)
        var text = ""
        for key in self.keys { text += try self.field(key, message.header, names, body, now) }
        return text
    }

    /// The fields to put above a message that is in memory, with lines ending in CRLF.
    package func fields(for content: [UInt8], at now: Timestamp) throws(CryptoError) -> String {
        try self.fields(for: MessageDigester.digest(content, needing: [self.hashing]), at: now)
    }

    /// `h=`. `From` is always in it, and by default once more than there are.
    private func names(for header: MessageHeader) -> [String] {
        if let names = self.options.names?.map(\.asciiLowercased) {
            return names.contains("from") ? names : ["from"] + names
        }
        let sealed = self.options.sealed.contains("from") ? self.options.sealed : ["from"] + self.options.sealed
        return (sealed + self.options.sealedIfThere.filter { !header.indices(of: $0).isEmpty }).flatMap {
            Array(repeating: $0, count: header.indices(of: $0).count + 1)
        }
    }

    private func field(
        _ key: SigningKey, _ header: MessageHeader, _ names: [String], _ body: BodyHash, _ now: Timestamp
    ) throws(CryptoError) -> String {
        var field = FieldFolder(name: "DKIM-Signature")
        field.append("v=1")
        field.append("a=\(key.algorithm.rawValue)")
        field.append("c=\(self.options.headerForm)/\(self.options.bodyForm)")
        field.append("d=\(key.domain.ascii)")
        field.append("s=\(key.selector.ascii)")
        field.append("t=\(now.seconds)")
        if let lifetime = self.options.lifetime { field.append("x=\((now + lifetime).seconds)") }
        field.append("h", list: names)
        field.append("bh=\(Base64.encode(body.digest))")
        var unsigned = field
        unsigned.append("b", base64: "")
        let digest = try headerHash(
            of: header.selected(by: names), last: HeaderField(Array(unsigned.text.utf8)), form: self.options.headerForm)
        field.append("b", base64: Base64.encode(try key.key.sign(digest: digest)))
        return field.text + "\r\n"
    }
}
