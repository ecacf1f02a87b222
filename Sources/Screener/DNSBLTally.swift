import Mail
package import Resolver

/// The lists of a generation, each zone once.
package struct DNSBLRules: Sendable {
    package struct Zone: Sendable {
        package let name: DNSName
        /// What people see of it.
        package let displayName: String
        let sites: [DNSBLSite]
        /// The least and the most that it can add to a score.
        let lowest: Int
        let highest: Int
    }

    package let zones: [Zone]
    let threshold: Int
    /// Below 0; nil if no score allows everything.
    let allowThreshold: Int?

    package init(_ options: ScreenerOptions) {
        var order: [DNSName] = []
        var sites: [DNSName: [DNSBLSite]] = [:]
        for site in options.dnsbl {
            if sites[site.zone] == nil { order.append(site.zone) }
            sites[site.zone, default: []].append(site)
        }
        let names = options.dnsblNames.values.map { (DNSName($0.key), $0.value) }
        self.zones = order.map { name in
            let sites = sites[name] ?? []
            return Zone(
                name: name, displayName: names.first { $0.0 == name }?.1 ?? name.text, sites: sites,
                lowest: sites.reduce(0) { $0 + min($1.weight, 0) }, highest: sites.reduce(0) { $0 + max($1.weight, 0) })
        }
        self.threshold = options.dnsblThreshold.value
        self.allowThreshold = options.dnsblAllowThreshold.value < 0 ? options.dnsblAllowThreshold.value : nil
    }
}

/// What a list says of a client.
package enum DNSBLOutcome: Hashable, Sendable {
    /// IPv4 addresses in host order, and how long they hold.
    case listed([UInt32], ttl: Duration)
    case notListed(ttl: Duration)
    /// It does not answer, or not us. The text is for people.
    case unavailable(String)

    package init(_ result: DNSResult, zone: DNSName) {
        switch result {
        case .success(let answer):
            let addresses = answer.records.compactMap { if case .a(let value) = $0 { value } else { nil } }
            if let reason = addresses.lazy.compactMap({ DNSBLReturn.unavailability(of: $0, zone: zone) }).first {
                self = .unavailable(reason)
            } else {
                self = addresses.isEmpty ? .notListed(ttl: answer.ttl) : .listed(addresses, ttl: answer.ttl)
            }
        case .failure(.noSuchName(let negative)), .failure(.noData(let negative)): self = .notListed(ttl: negative.ttl)
        case .failure(.timeout): self = .unavailable("no answer in time")
        // What the resolver says more may hold the zone, and that a key.
        case .failure(.serverFailure): self = .unavailable("its servers fail")
        case .failure(.bogus): self = .unavailable("DNSSEC validation fails")
        case .failure(.invalidName): self = .unavailable("its zone is too long")
        case .failure(.tooManyQueries): self = .unavailable("too many questions are under way")
        case .failure(.closed), .failure(.cancelled): self = .unavailable("the resolver is closed")
        }
    }
}

/// The score of a client while the answers of the lists come in. A value.
///
/// Each zone is asked once, and each of its entries counts once, however many addresses match it (SEMANTICS §1).
struct DNSBLTally: Sendable {
    enum Decision: Hashable, Sendable {
        /// It failed, whatever still comes. `list` is that with the largest single weight.
        case listed(list: String)
        /// It failed, but only by the word of a list that is suspect now.
        case listedBySuspects(list: String)
        /// It need not be tested at all.
        case allowed
        case passed
    }

    private struct Part {
        let score: Int
        /// The largest weight of one entry.
        let largest: Int
        let isSuspect: Bool
    }

    private let rules: DNSBLRules
    private var parts: [Part?]
    /// The time for which all answers hold; nil before the first.
    private var ttl: Duration?
    private(set) var pending: Int
    /// Some list did not answer.
    private(set) var isIncomplete = false

    init(_ rules: DNSBLRules) {
        self.rules = rules
        self.parts = Array(repeating: nil, count: rules.zones.count)
        self.pending = rules.zones.count
    }

    /// An answer that came already is not counted again.
    mutating func record(_ outcome: DNSBLOutcome, zone: Int, standing: ListHealth.Standing) {
        guard self.parts.indices.contains(zone), self.parts[zone] == nil else { return }
        self.pending -= 1
        var (score, largest) = (0, 0)
        switch outcome {
        case .listed(let addresses, let ttl):
            self.hold(ttl)
            for site in self.rules.zones[zone].sites where addresses.contains(where: { site.matches($0) }) {
                score += site.weight
                largest = max(largest, site.weight)
            }
        case .notListed(let ttl): self.hold(ttl)
        case .unavailable: self.isIncomplete = true
        }
        let counts = standing == .trusted || standing == .suspect && score > 0
        self.parts[zone] = Part(
            score: counts ? score : 0, largest: counts ? largest : 0, isSuspect: standing == .suspect)
    }

    private mutating func hold(_ ttl: Duration) { self.ttl = min(self.ttl ?? ttl, ttl) }

    /// All that is known now, suspects included.
    var score: Int { self.parts.reduce(0) { $0 + ($1?.score ?? 0) } }

    private var firmScore: Int { self.parts.reduce(0) { $0 + ($1.map { $0.isSuspect ? 0 : $0.score } ?? 0) } }

    var isPartial: Bool { self.pending > 0 || self.isIncomplete }

    /// What can be said now, even if answers are missing; nil if they could still change it.
    var decision: Decision? {
        let missing = self.rules.zones.indices.filter { self.parts[$0] == nil }.map { self.rules.zones[$0] }
        let (lowest, highest) = missing.reduce((0, 0)) { ($0.0 + $1.lowest, $0.1 + $1.highest) }
        if self.firmScore + lowest >= self.rules.threshold {
            return .listed(list: self.largestList(withSuspects: false))
        }
        if let limit = self.rules.allowThreshold, self.score + highest <= limit { return .allowed }
        // Nothing that is missing can lead to a failure, and nothing could allow more than passing does.
        let couldAllow = self.rules.allowThreshold.map { self.score + lowest <= $0 } ?? false
        if self.score + highest < self.rules.threshold, !couldAllow { return .passed }
        return missing.isEmpty ? self.decisionNow : nil
    }

    /// The decision on what is known.
    var decisionNow: Decision {
        if self.firmScore >= self.rules.threshold { return .listed(list: self.largestList(withSuspects: false)) }
        if self.score >= self.rules.threshold { return .listedBySuspects(list: self.largestList(withSuspects: true)) }
        if let limit = self.rules.allowThreshold, self.score <= limit { return .allowed }
        return .passed
    }

    private func largestList(withSuspects: Bool) -> String {
        let weights = self.parts.map { $0.map { !$0.isSuspect || withSuspects ? $0.largest : 0 } ?? 0 }
        let best = weights.indices.max { weights[$0] < weights[$1] }
        return best.map { self.rules.zones[$0].displayName } ?? ""
    }

    /// What each list that counts has added, for the log: `zen.spamhaus.org:3`.
    var lists: [String] {
        self.parts.indices.compactMap { index in
            guard let part = self.parts[index], part.score != 0 else { return nil }
            return "\(self.rules.zones[index].displayName):\(part.score)"
        }
    }

    /// How long the result holds: what DNS says, within bounds, and the shortest time if something is missing.
    func ttl(_ options: ScreenerOptions) -> Duration {
        guard !self.isPartial, let ttl = self.ttl else { return options.dnsblMinimumTTL }
        return min(max(ttl, options.dnsblMinimumTTL), options.dnsblMaximumTTL)
    }
}

extension DNSBLSite {
    func matches(_ address: UInt32) -> Bool { self.filter?.matches(address) ?? true }
}

extension ListHealth.Outcome {
    init(_ outcome: DNSBLOutcome) {
        switch outcome {
        case .listed: self = .listed
        case .notListed: self = .notListed
        case .unavailable(let reason): self = .unavailable(reason)
        }
    }
}
