import Resolver

/// The records of one zone by their owners, and how a server answers from them (RFC 1034 §4.3.2, RFC 4592).
struct Zone {
    enum Answer {
        case records([ZoneFile.Record])
        case alias(DNSName, ttl: Duration)
        case noData
        case noSuchName
    }

    let security: DNSSecurity
    let apex: DNSName
    /// How long a negative answer may be kept.
    let negativeTTL: Duration
    private let records: [DNSName: [ZoneFile.Record]]
    /// All owners and everything between them and the apex.
    private let names: Set<DNSName>

    init(_ file: ZoneFile, security: DNSSecurity) throws(ZoneFileError) {
        var authority: (owner: DNSName, ttl: Duration)?
        for record in file.records {
            if case .soa(let data) = record.data { authority = (record.owner, min(record.ttl, data.minimum)) }
        }
        guard let authority else { throw ZoneFileError(line: 1, problem: "no SOA record") }
        self.security = security
        self.apex = authority.owner
        self.negativeTTL = authority.ttl
        self.records = Dictionary(grouping: file.records, by: \.owner)
        self.names = Set(self.records.keys.flatMap { Self.enclosers(of: $0, upTo: authority.owner) })
    }

    func contains(_ name: DNSName) -> Bool {
        self.apex == .root || name == self.apex || name.text.hasSuffix(".\(self.apex)")
    }

    func answer(_ question: DNSQuestion) -> Answer {
        if self.names.contains(question.name) { return self.answer(question, from: question.name) }
        let encloser = Self.enclosers(of: question.name, upTo: self.apex).first { self.names.contains($0) }
        guard let wildcard = DNSName("*.\(encloser ?? self.apex)"), self.names.contains(wildcard) else {
            return .noSuchName
        }
        return self.answer(question, from: wildcard)
    }

    private func answer(_ question: DNSQuestion, from owner: DNSName) -> Answer {
        let all = self.records[owner] ?? []
        let wanted = all.filter { $0.data.type == question.type }
        if !wanted.isEmpty { return .records(wanted) }
        for record in all {
            if case .cname(let target) = record.data { return .alias(target, ttl: record.ttl) }
        }
        return .noData
    }

    /// The name and those above it, up to the apex. Names with an escaped dot are not for these tests.
    private static func enclosers(of name: DNSName, upTo apex: DNSName) -> [DNSName] {
        var names = [name]
        while let last = names.last, last != apex, let dot = last.text.firstIndex(of: "."),
            let parent = DNSName(last.text[last.text.index(after: dot)...])
        {
            names.append(parent)
        }
        return names
    }
}
