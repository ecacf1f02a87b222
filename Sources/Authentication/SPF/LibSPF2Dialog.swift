import LibSPF2
import Mail

/// What libspf2 is told of the world: records that it reads as they are meant, and names that are only numbers.
///
/// Every record is read by our own parser first, and handed on anew: its macros, with which libspf2 damages names
/// (`%{d2}`) or its memory, are replaced by what they stand for; each domain by a name such as `t7.spf.invalid`, of
/// which only this dialog knows what it means; `exp` and unknown modifiers are left out; `/0`, which libspf2 takes for
/// the whole address, is replaced by what matches; `redirect`, which libspf2 follows where it stands, comes last; and a
/// record that libspf2 would forget the end of goes on in another. So what libspf2 asks tells which term it is at, and terms are
/// counted here: libspf2 counts those of each record alone.
struct LibSPF2Dialog {
    /// What a name stands for.
    private enum Item {
        /// - Parameter isMain: reached without `include`.
        case policy(domain: String, isMain: Bool)
        /// Nil: there can be no such name.
        case addresses(String?, SPFPrefixLengths)
        case exchanges(String?, SPFPrefixLengths)
        /// What did not fit into the record before.
        case rest(ArraySlice<String>)
        /// An exchange of the term of this number.
        case exchange(String, SPFPrefixLengths, term: Int)
    }

    static let firstName = Self.name(0)

    private var evaluation: SPFEvaluation
    private var items: [Item]
    /// The terms for which something did not exist.
    private var voidTerms: Set<Int> = []
    /// What the result is, whatever libspf2 makes of it.
    private var failure: SPFEvaluation.Failure?
    /// Where `redirect` has led to.
    private var main: SPFEvaluation.Policy?

    init(_ evaluation: SPFEvaluation) {
        self.evaluation = evaluation
        self.items = [.policy(domain: evaluation.values.domain, isMain: true)]
    }

    mutating func result(
        _ verdict: PolicyVerdict?, _ domain: String, _ identity: SPFCheck.Identity
    ) async -> SPFResult {
        var result = SPFResult(.none, domain: domain, identity: identity)
        if let failure = self.failure {
            result.fail(failure)
        } else if let verdict {
            result.result = verdict.result.kind
            if verdict.isDefault, verdict.result == .neutral { result.mechanism = "default" }
            if verdict.code != 0 { result.why = "libspf2 says \(verdict.code)" }
            if result.result == .fail, let main { result.explanation = await self.evaluation.explanation(of: main) }
        } else {
            result.fail(.temporary("all threads are busy"))
        }
        self.evaluation.writeCounts(to: &result)
        return result
    }

    mutating func answer(to question: PolicyQuestion) async -> PolicyAnswer {
        guard self.failure == nil else { return .failed }
        do throws(SPFEvaluation.Failure) {
            if question.kind == .ptr { return try await self.hosts() }
            guard let number = Self.number(of: question.name), self.items.indices.contains(number) else {
                return await self.reverseAddresses(question)
            }
            return try await self.answer(to: question.kind, number)
        } catch {
            self.failure = error
            return .failed
        }
    }
}

// MARK: - Answers

extension LibSPF2Dialog {
    private mutating func answer(
        to kind: PolicyQuestion.Kind, _ number: Int
    ) async throws(SPFEvaluation.Failure) -> PolicyAnswer {
        switch (self.items[number], kind) {
        case (.policy(let domain, let isMain), .txt):
            if number > 0 { try self.evaluation.countLookup(domain) }
            return try await self.policy(of: domain, isMain: isMain)
        case (.rest(let words), .txt): return self.record(words)
        case (.addresses(let name, let lengths), .a), (.addresses(let name, let lengths), .aaaa):
            try self.evaluation.countLookup(name ?? "a name that cannot be")
            return try await self.addresses(of: name, kind, lengths, term: number)
        case (.exchange(let name, let lengths, let term), .a), (.exchange(let name, let lengths, let term), .aaaa):
            return try await self.addresses(of: name, kind, lengths, term: term)
        case (.exchanges(let name, let lengths), .mx):
            try self.evaluation.countLookup(name ?? "a name that cannot be")
            return try await self.exchanges(of: name, lengths, term: number)
        case (.policy, _), (.rest, _), (.addresses, _), (.exchange, _), (.exchanges, _): return .noRecords
        }
    }

    private mutating func policy(
        of domain: String, isMain: Bool
    ) async throws(SPFEvaluation.Failure) -> PolicyAnswer {
        guard let record = try await self.evaluation.record(of: domain) else { return .noSuchName }
        if isMain {
            self.main = SPFEvaluation.Policy(
                result: .fail, mechanism: "", explanation: record.explanation, domain: domain)
        }
        var values = self.evaluation.values
        values.domain = domain
        var words: [String] = []
        for case .directive(let directive) in record.terms {
            guard let word = await self.word(for: directive, values) else { continue }
            words.append(word)
            if directive.mechanism == .all { return self.record(words[...]) }
        }
        if let redirect = record.redirect, self.evaluation.canExpand(redirect) {
            let target = await self.evaluation.name(redirect, values)
            words.append("redirect=\(self.name(for: .policy(domain: target, isMain: isMain)))")
        }
        return self.record(words[...])
    }

    /// As much as libspf2 has room for, and where to find the rest.
    private mutating func record(_ words: ArraySlice<String>) -> PolicyAnswer {
        var room = Self.recordBytes
        let part = words.prefix { word in
            room -= Self.room(for: word)
            return room >= 0
        }
        var text = "v=spf1 " + part.joined(separator: " ")
        let rest = words[part.endIndex...]
        if !rest.isEmpty { text += " redirect=\(self.name(for: .rest(rest)))" }
        return .texts([Array(text.utf8)])
    }

    /// Octets that libspf2 has for the mechanisms of a record, in a form of its own. It says nothing if they are not
    /// enough. Less than the 511 there are: what it needs for a name is an estimate.
    private static let recordBytes = 480

    private static func room(for word: String) -> Int {
        if word.contains("ip4:") { return 12 }
        return word.contains("ip6:") ? 24 : 32 + word.utf8.count
    }

    private mutating func addresses(
        of name: String?, _ kind: PolicyQuestion.Kind, _ lengths: SPFPrefixLengths, term: Int
    ) async throws(SPFEvaluation.Failure) -> PolicyAnswer {
        guard let name else { return .noRecords }
        let reply = await self.evaluation.ask(name, kind == .a ? .a : .aaaa)
        switch reply {
        case .addresses(let list) where !list.isEmpty:
            // A prefix of no bits matches if there is any address; the client's own then does without a prefix.
            let matchesAny = (kind == .a ? lengths.v4 : lengths.v6) == 0
            return Self.answer(matchesAny ? [self.evaluation.values.client] : list)
        case .failed(let why): throw .temporary("\(name): \(why)")
        case .addresses, .hosts, .texts, .noSuchName, .noRecords:
            try self.countVoid(term, name)
            return .noRecords
        }
    }

    private mutating func exchanges(
        of name: String?, _ lengths: SPFPrefixLengths, term: Int
    ) async throws(SPFEvaluation.Failure) -> PolicyAnswer {
        guard let name else { return .noRecords }
        let reply = await self.evaluation.ask(name, .mx)
        switch reply {
        case .hosts(let hosts) where !hosts.isEmpty:
            guard hosts.count <= self.evaluation.limits.exchanges else {
                throw .permanent("mx: \(name) has \(hosts.count) exchanges")
            }
            return .names(
                hosts.filter { !$0.isEmpty && $0 != "." }.map {
                    self.name(for: .exchange($0, lengths, term: term))
                })
        case .failed(let why): throw .temporary("\(name) MX: \(why)")
        case .hosts, .addresses, .texts, .noSuchName, .noRecords:
            try self.countVoid(term, name)
            return .noRecords
        }
    }

    /// For `ptr`: only names that have the client's address, of which libspf2 makes sure again. Each question is a
    /// term: macros ask none.
    private mutating func hosts() async throws(SPFEvaluation.Failure) -> PolicyAnswer {
        try self.evaluation.countLookup("ptr")
        let names = await self.evaluation.reverseNames()
        if names.isVoid { try self.evaluation.countVoidLookup("ptr") }
        return .names(names.validated.filter(Self.isPlain))
    }

    private mutating func reverseAddresses(_ question: PolicyQuestion) async -> PolicyAnswer {
        let isValidated = await self.evaluation.reverseNames().validated.contains(question.name)
        return isValidated ? Self.answer([self.evaluation.values.client]) : .noRecords
    }

    private mutating func countVoid(_ term: Int, _ name: String) throws(SPFEvaluation.Failure) {
        guard self.voidTerms.insert(term).inserted else { return }
        try self.evaluation.countVoidLookup(name)
    }

    private static func answer(_ addresses: [IPAddress]) -> PolicyAnswer {
        if case .v4? = addresses.first {
            return .v4(addresses.compactMap { if case .v4(let value) = $0 { value } else { nil } })
        }
        return .v6(addresses.compactMap(\.v6Octets))
    }
}

// MARK: - Records

extension LibSPF2Dialog {
    /// The directive as libspf2 gets it; nil for what matches nothing.
    private mutating func word(for directive: SPFDirective, _ values: SPFMacroValues) async -> String? {
        guard let mechanism = await self.mechanism(directive.mechanism, values) else { return nil }
        return "\(UnicodeScalar(directive.qualifier.rawValue))\(mechanism)"
    }

    private mutating func mechanism(_ mechanism: SPFMechanism, _ values: SPFMacroValues) async -> String? {
        var target = values.domain
        if let string = mechanism.domain {
            guard self.evaluation.canExpand(string) else { return nil }
            target = await self.evaluation.name(string, values)
        }
        switch mechanism {
        case .all: return "all"
        case .address(let address, let length): return self.network(address, length)
        case .include: return "include:\(self.name(for: .policy(domain: target, isMain: false)))"
        case .exists:
            let none = SPFPrefixLengths(v4: nil, v6: nil)
            return "exists:\(self.name(for: .addresses(SPFName.query(target), none)))"
        case .a(_, let lengths):
            return "a:\(self.name(for: .addresses(SPFName.query(target), lengths)))\(lengths.withoutZero)"
        case .mx(_, let lengths):
            return "mx:\(self.name(for: .exchanges(SPFName.query(target), lengths)))\(lengths.withoutZero)"
        // A name that no host can have keeps the term and its question.
        case .ptr: return "ptr:\(Self.isPlain(target) ? target : "none.spf.invalid")"
        }
    }

    private func network(_ address: IPAddress, _ length: Int?) -> String? {
        guard length != 0 else {
            let client = self.evaluation.values.client
            guard address.width == client.width else { return nil }
            return "\(client.width == 32 ? "ip4" : "ip6"):\(client)"
        }
        let base = address.network(prefixLength: length ?? address.width).base
        return "\(SPFMechanism.address(base, prefixLength: length))"
    }

    /// Letters, digits, hyphens, underscores and dots.
    private static func isPlain(_ name: String) -> Bool {
        (1...SPFName.maximumBytes).contains(name.utf8.count)
            && name.utf8.allSatisfy { ASCII.isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private mutating func name(for item: Item) -> String {
        self.items.append(item)
        return Self.name(self.items.count - 1)
    }

    private static func name(_ number: Int) -> String { "t\(number).spf.invalid" }

    private static func number(of name: String) -> Int? {
        guard name.hasPrefix("t"), name.hasSuffix(".spf.invalid") else { return nil }
        return Int(name.dropFirst().dropLast(12))
    }
}

extension SPFPrefixLengths {
    /// libspf2 takes no bits for all.
    fileprivate var withoutZero: SPFPrefixLengths {
        SPFPrefixLengths(v4: self.v4 == 0 ? nil : self.v4, v6: self.v6 == 0 ? nil : self.v6)
    }
}

extension IPAddress {
    /// Nil for IPv4.
    var v6Octets: [UInt8]? {
        guard case .v6(let high, let low) = self else { return nil }
        return [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
    }
}

extension PolicyVerdict.Result {
    fileprivate var kind: SPFResult.Kind {
        switch self {
        case .none: .none
        case .neutral: .neutral
        case .pass: .pass
        case .fail: .fail
        case .softfail: .softfail
        case .temporaryError: .temperror
        case .permanentError: .permerror
        }
    }
}
