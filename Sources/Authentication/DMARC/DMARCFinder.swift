import Mail

/// Finds the record that applies to an author domain. It remembers what it asked for one message.
struct DMARCFinder {
    /// A record that applies.
    struct Published {
        let record: DMARCRecord
        /// Where it stands.
        let domain: DomainName
        let organizationalDomain: DomainName
    }

    enum Found {
        case record(Published)
        case none
        /// There are records, but DMARC is not applied: several, or none with a policy (RFC 7489 §6.6.3).
        case notApplicable(String)
        case malformed(DomainName, DMARCRecord.SyntaxError)
        case failed(String)
    }

    /// DNS did not answer.
    struct Failed: Error {
        let reason: String
    }

    /// What stands at `_dmarc` below a domain.
    enum Answer {
        case none, several
        case record(DMARCRecord)
        case malformed(DMARCRecord.SyntaxError)
        case failed(String)
    }

    private let discovery: DMARCEvaluation.Discovery
    private let names: NameSource
    private var answers: [DomainName: Answer] = [:]

    init(_ discovery: DMARCEvaluation.Discovery, _ names: NameSource) {
        self.discovery = discovery
        self.names = names
    }

    mutating func find(_ author: DomainName) async -> Found {
        let found: Found
        switch self.discovery {
        case .publicSuffixes(let list): found = await self.find(author, list)
        case .treeWalk: found = await self.findByWalk(author)
        }
        guard case .record(let published) = found else { return found }
        return self.settled(published).map { .record($0) } ?? .notApplicable("no valid policy in the record")
    }

    /// RFC 7489 §6.6.3: the author domain, then its organizational domain.
    private mutating func find(_ author: DomainName, _ list: PublicSuffixList) async -> Found {
        let organizational = list.organizationalDomain(of: author)
        for domain in author == organizational ? [author] : [author, organizational] {
            switch await self.answer(at: domain) {
            case .none: continue
            case .several: return .notApplicable("several records at \(domain.ascii)")
            case .malformed(let error): return .malformed(domain, error)
            case .failed(let reason): return .failed(reason)
            case .record(let record):
                return .record(Published(record: record, domain: domain, organizationalDomain: organizational))
            }
        }
        return .none
    }

    mutating func answer(at domain: DomainName) async -> Answer {
        if let known = self.answers[domain] { return known }
        let answer: Answer
        switch await self.names.ask(NameQuery("_dmarc." + domain.ascii, .txt)) {
        case .texts(let texts): answer = Self.answer(texts)
        case .addresses, .hosts, .noSuchName, .noRecords: answer = .none
        case .failed(let reason): answer = .failed("_dmarc.\(domain.ascii): \(reason)")
        }
        self.answers[domain] = answer
        return answer
    }

    private static func answer(_ texts: [[UInt8]]) -> Answer {
        let claiming = texts.filter(DMARCRecord.claims)
        guard let text = claiming.first else { return .none }
        guard claiming.count == 1 else { return .several }
        do {
            return .record(try DMARCRecord(text))
        } catch {
            return .malformed(error)
        }
    }

    /// A policy that is missing or wrong (RFC 7489 §6.6.3 step 6, RFC 9989 §4.7 and §4.10.1): monitored if anybody wants
    /// reports, and otherwise no policy at all. RFC 9989 takes a missing `p` for `none`.
    ///
    /// - Returns: nil if the record does not apply.
    private func settled(_ published: Published) -> Published? {
        var record = published.record
        var hasInvalid = record.policy == .invalid || record.subdomainPolicy == .invalid
        switch self.discovery {
        case .publicSuffixes: hasInvalid = hasInvalid || record.policy == .absent
        case .treeWalk:
            hasInvalid = hasInvalid || record.nonexistentPolicy == .invalid
            if record.policy == .absent { record.policy = .policy(.none) }
        }
        if hasInvalid {
            guard !record.aggregateReports.isEmpty else { return nil }
            record.policy = .policy(.none)
            record.subdomainPolicy = .absent
            record.nonexistentPolicy = .absent
        }
        return Published(
            record: record, domain: published.domain, organizationalDomain: published.organizationalDomain)
    }

    // MARK: The policy

    /// `p` at the author domain itself; above it `sp`, or `np` for names that do not exist.
    ///
    /// - Returns: nil if that must be known and is not.
    mutating func policy(of published: Published, for author: DomainName?) async -> DMARCPolicy? {
        let record = published.record
        var policy = record.policy.policy ?? .none
        if let author, author != published.domain {
            policy = record.subdomainPolicy.policy ?? policy
            if let other = record.nonexistentPolicy.policy, other != policy {
                guard let exists = await self.exists(author) else { return nil }
                if !exists { policy = other }
            }
        }
        guard case .treeWalk = self.discovery, record.isTest else { return policy }
        return policy.milder
    }

    /// Whether there is such a name: anything but NXDOMAIN (RFC 8020, RFC 9989 §3.2.13).
    ///
    /// One question would do; the others are for name servers that deny what they have.
    private func exists(_ domain: DomainName) async -> Bool? {
        var isKnown = true
        for kind in [NameQuery.Kind.a, .aaaa, .mx] {
            switch await self.names.ask(NameQuery(domain.ascii, kind)) {
            case .texts, .addresses, .hosts, .noRecords: return true
            case .noSuchName: break
            case .failed: isKnown = false
            }
        }
        return isKnown ? false : nil
    }
}

// MARK: - The tree walk

extension DMARCFinder {
    /// The records on the way up, the longest name first (RFC 9989 §4.10). At most eight questions.
    private mutating func walk(_ start: DomainName) async -> Result<[(domain: DomainName, record: DMARCRecord)], Failed>
    {
        var found: [(domain: DomainName, record: DMARCRecord)] = []
        var labels = start.labelCount
        while labels > 0 {
            let domain = start.keepingLabels(labels)
            switch await self.answer(at: domain) {
            case .none, .several, .malformed: break
            case .failed(let reason): return .failure(Failed(reason: reason))
            case .record(let record):
                found.append((domain, record))
                if record.publicSuffix != .unknown { return .success(found) }
            }
            labels = labels >= 8 ? 7 : labels - 1
        }
        return .success(found)
    }

    /// RFC 9989 §4.10.2.
    private static func organizationalDomain(
        of start: DomainName, _ walk: [(domain: DomainName, record: DMARCRecord)]
    ) -> DomainName {
        for (domain, record) in walk {
            switch record.publicSuffix {
            case .no: return domain
            case .yes where domain != start: return start.keepingLabels(domain.labelCount + 1)
            case .yes, .unknown: break
            }
        }
        return walk.last?.domain ?? start
    }

    /// The author domain's record, its organizational domain's, or the one of the public suffix (RFC 9989 §4.10.1).
    private mutating func findByWalk(_ author: DomainName) async -> Found {
        switch await self.walk(author) {
        case .failure(let failed): return .failed(failed.reason)
        case .success(let walk):
            let organizational = Self.organizationalDomain(of: author, walk)
            let chosen =
                walk.first { $0.domain == author } ?? walk.first { $0.domain == organizational } ?? walk.last
            guard let chosen else { return self.malformedRecord(of: author) }
            return .record(
                Published(record: chosen.record, domain: chosen.domain, organizationalDomain: organizational))
        }
    }

    /// A record that cannot be read is as none on the walk, but its owner should see why nothing applies.
    private func malformedRecord(of author: DomainName) -> Found {
        switch self.answers[author] ?? Answer.none {
        case .malformed(let error): .malformed(author, error)
        case .several: .notApplicable("several records at \(author.ascii)")
        case .record, .failed, .none: .none
        }
    }

    mutating func organizationalDomain(of domain: DomainName) async -> Result<DomainName, Failed> {
        switch self.discovery {
        case .publicSuffixes(let list): return .success(list.organizationalDomain(of: domain))
        case .treeWalk: return await self.walk(domain).map { Self.organizationalDomain(of: domain, $0) }
        }
    }
}
