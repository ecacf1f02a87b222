package import Mail

/// Whether what a DNS list says can be believed.
///
/// It is judged by two things that know nothing of each other, and the worse counts: the rate of clients it lists,
/// against its own history, and a self-test (RFC 5782 §5). A list that is demoted is still asked, because nothing else
/// shows when it is sane again.
package struct ListHealth: Sendable {
    package enum Standing: String, CaseIterable, Hashable, Sendable, Codable {
        case trusted
        /// A failure that rests on it is answered 4yz.
        case suspect
        /// What it says does not count.
        case demoted

        fileprivate func worse(_ other: Standing) -> Standing {
            switch (self, other) {
            case (.demoted, _), (_, .demoted): .demoted
            case (.suspect, _), (_, .suspect): .suspect
            case (.trusted, .trusted): .trusted
            }
        }
    }

    /// What came of asking it about a client.
    package enum Outcome: Hashable, Sendable {
        case listed
        case notListed
        /// An error code, or no answer. The text must not hold the zone, which can be a key.
        case unavailable(String)
    }

    /// What is to be logged as an alarm.
    package struct Change: Hashable, Sendable {
        package let list: String
        package let from: Standing
        /// The same as before if the self-test found something that does not change what the list counts.
        package let to: Standing
        package let reason: String

        package init(list: String, from: Standing, to: Standing, reason: String) {
            (self.list, self.from, self.to, self.reason) = (list, from, to, reason)
        }
    }

    private enum SelfTest: Hashable {
        case good
        /// Worth an alarm, and no reason not to believe its hits.
        case problem(String)
        /// 127.0.0.1 is listed.
        case listsEverything
    }

    /// What the list is called: zones of paid lists hold a key, so the zone stands in no text.
    package var name: String
    package private(set) var queries = 0
    package private(set) var hits = 0
    package private(set) var unavailable = 0
    /// Queries without an answer since the last that had one.
    package private(set) var unavailableInARow = 0
    /// Why there was no answer, the last time there was none.
    package private(set) var lastProblem: String?
    package private(set) var history: HitRateHistory

    private var recentClients = RecentClients()
    private var window = (clients: 0, hits: 0)
    /// Windows that jumped, without one between them that did not.
    private var jumps = 0
    /// What the last window was like.
    private var windowText = ""
    private var selfTest = SelfTest.good

    package init(name: String, history: HitRateHistory = HitRateHistory()) {
        self.name = name
        self.history = history
    }

    package var standing: Standing { self.hitRateStanding.worse(self.selfTestStanding) }

    private var hitRateStanding: Standing { self.jumps == 0 ? .trusted : self.jumps == 1 ? .suspect : .demoted }

    private var selfTestStanding: Standing { self.selfTest == .listsEverything ? .demoted : .trusted }

    /// Whether the last self-test left something to wish for, so that the next should come soon.
    package var isSelfTestBad: Bool { self.selfTest != .good }

    /// What is wrong now, for status; nil if nothing is.
    package var alarm: String? {
        let reasons = [self.jumps > 0 ? self.windowText : nil, self.selfTestText].compactMap { $0 }
        return reasons.isEmpty ? nil : "\(self.name) is \(self.standing.rawValue): \(reasons.joined(separator: "; "))"
    }

    private var selfTestText: String? {
        switch self.selfTest {
        case .good: nil
        case .problem(let text): text
        case .listsEverything: "it lists 127.0.0.1, so it seems to list everything"
        }
    }

    // MARK: What happens to it

    /// A client was looked up.
    package mutating func record(_ client: IPAddress, _ outcome: Outcome) -> Change? {
        self.queries += 1
        switch outcome {
        case .unavailable(let problem):
            self.unavailable += 1
            self.unavailableInARow += 1
            self.lastProblem = problem
            return nil
        case .listed: self.hits += 1
        case .notListed: break
        }
        self.unavailableInARow = 0
        guard self.recentClients.isNew(client) else { return nil }
        self.window.clients += 1
        self.window.hits += outcome == .listed ? 1 : 0
        return self.window.clients == HitRateHistory.windowClients ? self.endWindow() : nil
    }

    private mutating func endWindow() -> Change? {
        let usual = self.history.isKnown ? ", usual are \(Int((self.history.mean * 100).rounded()))" : ""
        self.windowText = "it listed \(self.window.hits) of \(self.window.clients) clients\(usual)"
        let before = self.standing
        self.jumps = self.history.take(hits: self.window.hits) ? self.jumps + 1 : 0
        self.window = (0, 0)
        return self.change(from: before, self.windowText)
    }

    /// The self-test was made. Demotion for listing everything ends when 127.0.0.1 is not listed any more; no answer
    /// leaves it as it is.
    ///
    /// - Parameters:
    ///   - present: what 127.0.0.2 is, which must be listed.
    ///   - absent: what 127.0.0.1 is, which must not be.
    package mutating func selfTested(present: Outcome, absent: Outcome) -> Change? {
        let (before, textBefore) = (self.standing, self.selfTestText)
        switch (absent, present) {
        case (.listed, _): self.selfTest = .listsEverything
        case (.unavailable(let problem), _), (.notListed, .unavailable(let problem)):
            self.lastProblem = problem
            if self.selfTest != .listsEverything { self.selfTest = .problem("its self-test had no answer: \(problem)") }
        case (.notListed, .notListed):
            // Its hits still count: RFC 5782 §5 asks every list for that entry, but a private one may do without.
            self.selfTest = .problem("it does not list 127.0.0.2: it is empty, or without the entry for tests")
        case (.notListed, .listed): self.selfTest = .good
        }
        guard self.selfTestText != textBefore else { return nil }
        let reason = self.selfTestText ?? "its self-test is good"
        return self.change(from: before, reason)
            ?? Change(list: self.name, from: before, to: before, reason: reason)
    }

    private func change(from before: Standing, _ reason: String) -> Change? {
        let after = self.standing
        return before == after ? nil : Change(list: self.name, from: before, to: after, reason: reason)
    }
}

extension ListHealth.Change: CustomStringConvertible {
    /// `zen.example is demoted, was suspect: it listed 100 of 100 clients, usual are 31`
    package var description: String {
        let was = self.from == self.to ? "" : ", was \(self.from.rawValue)"
        return "\(self.list) is \(self.to.rawValue)\(was): \(self.reason)"
    }
}

/// Who was looked up lately, so that a client that comes again and again counts once.
private struct RecentClients {
    /// More than a window has: no client is in one twice.
    private static let count = HitRateHistory.windowClients + 28

    private var known: Set<IPNetwork> = []
    /// In the order in which they came, from `oldest` on and around.
    private var clients: [IPNetwork] = []
    private var oldest = 0

    /// Of IPv6 the /64, of which every host can have any address.
    mutating func isNew(_ address: IPAddress) -> Bool {
        let client = address.network(prefixLength: address.width == 32 ? 32 : 64)
        guard self.known.insert(client).inserted else { return false }
        if self.clients.count < Self.count {
            self.clients.append(client)
        } else {
            self.known.remove(self.clients[self.oldest])
            self.clients[self.oldest] = client
            self.oldest = (self.oldest + 1) % Self.count
        }
        return true
    }
}
