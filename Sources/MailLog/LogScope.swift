/// Where in a log something can be: anywhere, or in lines in which a key has some value. The journal finds those without
/// reading the others.
package enum LogScope: Hashable, Sendable {
    package struct Pair: Hashable, Sendable {
        package let key: String
        package let value: String
    }

    case everything
    /// One pair at least is in each line.
    case pairs(Set<Pair>)

    /// So many are looked up faster than everything is read, and are no longer than a command line may be.
    package static let mostPairs = 300

    init(_ value: String, of keys: [String]) {
        self = .pairs(Set(keys.map { Pair(key: $0, value: value) }))
    }

    /// What is in one of two scopes.
    package func union(_ other: LogScope) -> LogScope {
        guard case .pairs(let mine) = self, case .pairs(let others) = other else { return .everything }
        let both = mine.union(others)
        return both.count <= Self.mostPairs ? .pairs(both) : .everything
    }
}

extension LogTerm {
    /// Where lines that match can be.
    fileprivate var scope: LogScope {
        switch self {
        case .address, .domain, .client: .everything  // Parts of a value, or without regard to the case of letters.
        case .id(let id): LogScope(id, of: LogStory.messageKeys)
        case .reference(let reference): LogScope(reference, of: ["ref"])
        case .session(let session): LogScope(session, of: [LogStory.sessionKey])
        case .idOrSession(let id): LogScope(id, of: [LogStory.sessionKey] + LogStory.messageKeys)
        }
    }
}

extension LogQuery {
    /// Where lines that match can be.
    package var scope: LogScope { self.terms.lazy.map(\.scope).first { $0 != .everything } ?? .everything }
}

extension LogStory {
    /// Where lines of the story can be, those from which it was taken among them.
    ///
    /// - Parameter query: where those can be of which no session and no message is told.
    package func scope(besides query: LogScope) -> LogScope {
        guard !self.hasOtherNames, self.count <= LogScope.mostPairs else { return .everything }
        var scope = self.hasNameless ? query : .pairs([])
        for session in self.sessions { scope = scope.union(LogScope(session, of: [LogStory.sessionKey])) }
        for message in self.messages { scope = scope.union(LogScope(message, of: LogStory.messageKeys)) }
        return scope
    }
}
