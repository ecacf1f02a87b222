internal import Crypto
internal import Mail

/// What authentication and signing must know of a message: its header, and hashes of its body.
package struct DigestedMessage: Hashable, Sendable {
    package let header: MessageHeader
    /// The header went over ``MessageLimits``; ``header`` is empty then.
    package let isHeaderTooLarge: Bool
    package let bodyHashes: [BodyHashing: BodyHash]
    package let limits: MessageLimits

    /// The same body below another header.
    package func with(headerOf other: DigestedMessage) -> DigestedMessage {
        DigestedMessage(
            header: other.header, isHeaderTooLarge: self.isHeaderTooLarge || other.isHeaderTooLarge,
            bodyHashes: self.bodyHashes, limits: self.limits)
    }
}

/// Takes a message in as it arrives, in pieces of any size, and keeps no more of it than its header.
///
/// Once the header is complete it is known which hashes its signatures ask for; all are made in one pass. Lines end in
/// CRLF. Used by one thread at a time.
package final class MessageDigester {
    private let limits: MessageLimits
    private let asked: [BodyHashing]
    private let isVerifying: Bool
    private var collector: HeaderCollector
    private var header: MessageHeader?
    private var simple: BodyCanonicalizer?
    private var relaxed: BodyCanonicalizer?

    /// - Parameters:
    ///   - needing: hashes for signatures that are still to be made.
    ///   - isVerifying: whether hashes are made for the signatures that the message has.
    package init(needing asked: [BodyHashing] = [], isVerifying: Bool = true, limits: MessageLimits = MessageLimits()) {
        self.isVerifying = isVerifying
        self.limits = limits
        self.asked = asked
        self.collector = HeaderCollector(limits: limits)
    }

    package func feed(_ piece: UnsafeRawBufferPointer) {
        var start = 0
        if self.header == nil {
            start = self.collector.feed(piece)
            guard self.collector.isComplete else { return }
            self.endHeader()
        }
        let body = UnsafeRawBufferPointer(rebasing: piece[start...])
        self.simple?.feed(body)
        self.relaxed?.feed(body)
    }

    /// To be called once, at the end of the message.
    package func finish() -> DigestedMessage {
        if self.header == nil { self.endHeader() }
        var hashes: [BodyHashing: BodyHash] = [:]
        if let found = self.simple?.finish() { hashes.merge(found) { first, _ in first } }
        if let found = self.relaxed?.finish() { hashes.merge(found) { first, _ in first } }
        return DigestedMessage(
            header: self.header ?? MessageHeader(), isHeaderTooLarge: self.collector.isTooLarge,
            bodyHashes: hashes, limits: self.limits)
    }

    /// A message that is in memory.
    package static func digest(
        _ content: [UInt8], needing asked: [BodyHashing] = [], limits: MessageLimits = MessageLimits()
    ) -> DigestedMessage {
        let digester = MessageDigester(needing: asked, limits: limits)
        content.withUnsafeBytes { digester.feed($0) }
        return digester.finish()
    }

    private func endHeader() {
        let header = self.collector.finish()
        self.header = header
        let wanted = self.wantedHashes(header)
        self.simple = Self.canonicalizer(.simple, wanted)
        self.relaxed = Self.canonicalizer(.relaxed, wanted)
    }

    /// Without a digest a hash is missing, and its signatures are neutral.
    private static func canonicalizer(_ form: Canonicalization, _ wanted: [BodyHashing]) -> BodyCanonicalizer? {
        // A digest fails for want of memory only, or in a library without SHA-256.
        let digests = wanted.filter { $0.form == form }.compactMap { try? LimitedDigest(limitBytes: $0.limitBytes) }
        return digests.isEmpty ? nil : BodyCanonicalizer(form, digests)
    }

    /// Each once: what is asked for, what DKIM signatures need, and what ARC's need.
    private func wantedHashes(_ header: MessageHeader) -> [BodyHashing] {
        guard self.isVerifying else { return self.asked }
        let signatures =
            header.fields(named: SignatureKind.dkim.fieldName).prefix(self.limits.signatures)
            + header.fields(named: SignatureKind.arcMessage.fieldName)
        var wanted: [BodyHashing] = []
        for hashing in self.asked + signatures.compactMap(\.bodyHashing) where !wanted.contains(hashing) {
            guard wanted.count < self.asked.count + self.limits.bodyHashes else { break }
            wanted.append(hashing)
        }
        return wanted
    }
}
