import Mail

// As they are kept: a format number, then the fields in the order of their declaration. Texts are cut, because a peer
// chose many of them; what is too long to be a domain is one only to a peer that plays.

extension DMARCObservation.PublishedPolicy {
    static let format: UInt8 = 1
    /// URIs that are kept of a record; RFC 7489 §6.2 wants two. Each costs a message.
    static let maximumDestinations = 3

    package func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.byte(Self.format)
        writer.text(self.domain)
        writer.byte(self.dkimAlignment.rawValue)
        writer.byte(self.spfAlignment.rawValue)
        writer.byte(self.policy.rawValue)
        writer.byte(self.subdomainPolicy.rawValue)
        writer.byte(self.nonexistentPolicy.map { $0.rawValue + 1 } ?? 0)
        writer.byte(UInt8(clamping: min(self.percent, 100)))
        writer.text(self.failureOptions.cut(to: 16))
        let destinations = self.destinations.filter { $0.text.utf8.count <= 1000 }.prefix(Self.maximumDestinations)
        writer.list(Array(destinations)) { uri, writer in
            writer.text(uri.text)
            writer.number(Int64(uri.limitBytes ?? -1))
        }
        return writer.bytes
    }

    package init?(record bytes: [UInt8]) {
        var reader = RecordReader(bytes)
        guard reader.byte() == Self.format, let domain = reader.text(),
            let dkim = reader.byte().flatMap(Alignment.init), let spf = reader.byte().flatMap(Alignment.init),
            let policy = reader.byte().flatMap(Action.init), let subdomain = reader.byte().flatMap(Action.init),
            let nonexistent = reader.byte(), let percent = reader.byte(), percent <= 100,
            let options = reader.text(),
            let destinations = reader.list({ reader -> ReportURI? in
                guard let text = reader.text(), let limit = reader.number(Int64.self) else { return nil }
                return ReportURI(text, limitBytes: limit < 0 ? nil : Int(limit))
            }), reader.isAtEnd
        else { return nil }
        self.init(
            domain: domain, policy: policy, subdomainPolicy: subdomain,
            destinations: Array(destinations.prefix(Self.maximumDestinations)))
        (self.dkimAlignment, self.spfAlignment) = (dkim, spf)
        if nonexistent > 0 {
            guard let action = Action(rawValue: nonexistent - 1) else { return nil }
            self.nonexistentPolicy = action
        }
        self.percent = Int(percent)
        self.failureOptions = options
    }
}

extension DMARCObservation.Result {
    static let format: UInt8 = 1
    private static let maximumNameBytes = 255
    private static let maximumTextBytes = 200
    /// Of signatures, SPF results and reasons.
    private static let maximumResults = 10

    package func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.byte(Self.format)
        writer.address(self.source)
        writer.byte(self.disposition.rawValue)
        writer.byte((self.isDKIMAligned ? 1 : 0) | (self.isSPFAligned ? 2 : 0))
        writer.list(Array(self.overrides.prefix(Self.maximumResults))) { override, writer in
            writer.byte(override.kind.rawValue)
            writer.optional(override.comment?.cut(to: Self.maximumTextBytes))
        }
        writer.text(self.headerFrom.cut(to: Self.maximumNameBytes))
        writer.text(self.envelopeFrom.cut(to: Self.maximumNameBytes))
        writer.optional(self.envelopeTo?.cut(to: Self.maximumNameBytes))
        writer.list(Array(self.dkim.prefix(Self.maximumResults))) { signature, writer in
            writer.text(signature.domain.cut(to: Self.maximumNameBytes))
            writer.optional(signature.selector?.cut(to: Self.maximumNameBytes))
            writer.byte(signature.outcome.rawValue)
            writer.optional(signature.human?.cut(to: Self.maximumTextBytes))
        }
        writer.list(Array(self.spf.prefix(Self.maximumResults))) { check, writer in
            writer.text(check.domain.cut(to: Self.maximumNameBytes))
            writer.byte(check.scope.rawValue)
            writer.byte(check.outcome.rawValue)
        }
        return writer.bytes
    }

    package init?(record bytes: [UInt8]) {
        var reader = RecordReader(bytes)
        guard reader.byte() == Self.format, let source = reader.address(),
            let disposition = reader.byte().flatMap(DMARCObservation.PublishedPolicy.Action.init),
            let aligned = reader.byte(), aligned < 4, let overrides = reader.list({ $0.override() }),
            let headerFrom = reader.text(), let envelopeFrom = reader.text(), let envelopeTo = reader.optional(),
            let dkim = reader.list({ $0.signature() }), let spf = reader.list({ $0.check() }), reader.isAtEnd
        else { return nil }
        self.init(
            source: source, disposition: disposition, isDKIMAligned: aligned & 1 != 0, isSPFAligned: aligned & 2 != 0,
            headerFrom: headerFrom, envelopeFrom: envelopeFrom)
        (self.overrides, self.envelopeTo, self.dkim, self.spf) = (overrides, envelopeTo, dkim, spf)
    }
}

extension RecordReader {
    fileprivate mutating func override() -> DMARCObservation.Override? {
        guard let kind = self.byte().flatMap(DMARCObservation.Override.Kind.init), let comment = self.optional() else {
            return nil
        }
        return DMARCObservation.Override(kind, comment: comment)
    }

    fileprivate mutating func signature() -> DMARCObservation.DKIM? {
        guard let domain = self.text(), let selector = self.optional(),
            let outcome = self.byte().flatMap(DMARCObservation.DKIM.Outcome.init), let human = self.optional()
        else { return nil }
        return DMARCObservation.DKIM(domain: domain, selector: selector, outcome: outcome, human: human)
    }

    fileprivate mutating func check() -> DMARCObservation.SPF? {
        guard let domain = self.text(), let scope = self.byte().flatMap(DMARCObservation.SPF.Scope.init),
            let outcome = self.byte().flatMap(DMARCObservation.SPF.Outcome.init)
        else { return nil }
        return DMARCObservation.SPF(domain: domain, scope: scope, outcome: outcome)
    }
}

extension String {
    /// To so many octets, not within a character.
    func cut(to count: Int) -> String {
        guard self.utf8.count > count else { return self }
        var result = String.UnicodeScalarView()
        var bytes = 0
        for scalar in self.unicodeScalars {
            bytes += UTF8.width(scalar)
            guard bytes <= count else { break }
            result.append(scalar)
        }
        return String(result)
    }
}
