import Mail

/// One run of `check_host` with everything it includes (RFC 7208 §4).
struct SPFEvaluation {
    /// Ends the whole check.
    enum Failure: Error {
        case temporary(String)
        case permanent(String)
    }

    /// What a policy says of the client.
    struct Policy {
        var result: SPFResult.Kind
        var mechanism: String
        var explanation: SPFMacroString?
        /// Whose record it came from: `redirect` leads to another.
        var domain: String
    }

    let limits: SPFLimits
    let names: NameSource
    let values: SPFMacroValues
    var lookups = 0
    var voidLookups = 0
    var questions = 0
    /// The names that the client's address leads to and that lead back to it, once they were asked for.
    private var reverse: SPFReverseNames?
    /// Whether the term under evaluation has been told of something that does not exist.
    private var isVoid = false

    init(limits: SPFLimits, names: NameSource, values: SPFMacroValues) {
        self.limits = limits
        self.names = names
        self.values = values
    }

    mutating func run(_ domain: String, _ identity: SPFCheck.Identity) async -> SPFResult {
        var result = SPFResult(.none, domain: domain, identity: identity)
        do throws(Failure) {
            if let policy = try await self.policy(of: domain) {
                result.result = policy.result
                result.mechanism = policy.mechanism
                if policy.result == .fail { result.explanation = await self.explanation(of: policy) }
            } else {
                result.why = "no policy"
            }
        } catch {
            result.fail(error)
        }
        self.writeCounts(to: &result)
        return result
    }

    func writeCounts(to result: inout SPFResult) {
        (result.lookups, result.voidLookups, result.questions) = (self.lookups, self.voidLookups, self.questions)
    }

    /// `check_host` for one domain; nil for `none`.
    private mutating func policy(of domain: String) async throws(Failure) -> Policy? {
        guard let record = try await self.record(of: domain) else { return nil }
        var values = self.values
        values.domain = domain
        for case .directive(let directive) in record.terms where try await self.matches(directive.mechanism, values) {
            return Policy(
                result: directive.qualifier.result, mechanism: "\(directive.mechanism)",
                explanation: record.explanation, domain: domain)
        }
        guard let redirect = record.redirect, self.canExpand(redirect) else {
            return Policy(
                result: .neutral, mechanism: "default", explanation: record.explanation, domain: domain)
        }
        try self.countLookup("redirect=\(redirect)")
        let target = await self.name(redirect, values)
        guard let policy = try await self.policy(of: target) else {
            throw .permanent("redirect=\(redirect): \(target) has no policy")
        }
        return policy
    }

    /// Nil if there is none (RFC 7208 §4.3 to §4.5).
    mutating func record(of domain: String) async throws(Failure) -> SPFRecord? {
        guard let name = SPFName.domain(domain).flatMap(SPFName.query) else { return nil }
        let texts: [[UInt8]]
        switch await self.ask(name, .txt) {
        case .texts(let found): texts = found.filter(SPFRecord.isRecord)
        case .failed(let why): throw .temporary("\(domain) TXT: \(why)")
        case .addresses, .hosts, .noSuchName, .noRecords: return nil
        }
        guard let text = texts.first else { return nil }
        guard texts.count == 1 else { throw .permanent("\(domain) has \(texts.count) records") }
        guard text.count <= self.limits.recordBytes else {
            throw .permanent("the record of \(domain) has \(text.count) octets")
        }
        do throws(SPFSyntaxError) { return try SPFRecord(text) } catch {
            throw .permanent("the record of \(domain) is wrong: \(error)")
        }
    }

    /// Counts a term that causes look-ups (RFC 7208 §4.6.4).
    mutating func countLookup(_ term: @autoclosure () -> String) throws(Failure) {
        guard self.lookups < self.limits.lookups else {
            throw .permanent("\(term()) is one look-up more than \(self.limits.lookups)")
        }
        self.lookups += 1
    }

    /// Counts such a term for which something did not exist; once, however much it was.
    mutating func countVoidLookup(_ term: @autoclosure () -> String) throws(Failure) {
        self.voidLookups += 1
        guard self.voidLookups <= self.limits.voidLookups else {
            throw .permanent("\(term()): more than \(self.limits.voidLookups) look-ups found nothing")
        }
    }

    mutating func ask(_ name: String, _ kind: NameQuery.Kind) async -> NameReply {
        self.questions += 1
        return await self.names.ask(NameQuery(name, kind))
    }
}

// MARK: - Mechanisms

extension SPFEvaluation {
    private mutating func matches(
        _ mechanism: SPFMechanism, _ values: SPFMacroValues
    ) async throws(Failure) -> Bool {
        if let domain = mechanism.domain, !self.canExpand(domain) { return false }
        guard mechanism.causesLookup else {
            return switch mechanism {
            case .address(let address, let length):
                SPFPrefixLengths(v4: length, v6: length).matches(address, self.values.client)
            case .all: true
            case .include, .a, .mx, .ptr, .exists: false
            }
        }
        try self.countLookup("\(mechanism)")
        let target: String
        if let domain = mechanism.domain { target = await self.name(domain, values) } else { target = values.domain }
        self.isVoid = false
        let isMatch = try await self.lookUp(mechanism, target)
        if self.isVoid { try self.countVoidLookup("\(mechanism)") }
        return isMatch
    }

    /// About a name that cannot be nobody is asked; it matches nothing (RFC 7208 §4.8).
    private mutating func lookUp(_ mechanism: SPFMechanism, _ target: String) async throws(Failure) -> Bool {
        switch mechanism {
        case .include: return try await self.includes(target)
        case .exists:
            guard let query = SPFName.query(target) else { return false }
            return try await !self.addresses(of: query, .a).isEmpty
        case .a(_, let lengths):
            guard let query = SPFName.query(target) else { return false }
            return try await self.hasAddress(query, lengths)
        case .mx(_, let lengths):
            guard let query = SPFName.query(target) else { return false }
            return try await self.hasExchange(query, lengths)
        case .ptr:
            let names = await self.reverseNames()
            self.isVoid = names.isVoid
            return names.validated.contains { SPFName.isName($0, in: target) }
        case .all, .address: return false
        }
    }

    /// RFC 7208 §5.2. An error in the included record is one of this record.
    private mutating func includes(_ target: String) async throws(Failure) -> Bool {
        guard let policy = try await self.policy(of: target) else {
            throw .permanent("include: \(target) has no policy")
        }
        // What the included terms did not find is counted with them.
        self.isVoid = false
        return policy.result == .pass
    }

    private mutating func hasAddress(_ name: String, _ lengths: SPFPrefixLengths) async throws(Failure) -> Bool {
        let client = self.values.client
        return try await self.addresses(of: name, client.width == 32 ? .a : .aaaa).contains {
            lengths.matches($0, client)
        }
    }

    private mutating func hasExchange(_ name: String, _ lengths: SPFPrefixLengths) async throws(Failure) -> Bool {
        let hosts: [String]
        switch await self.ask(name, .mx) {
        case .hosts(let found): hosts = found
        case .failed(let why): throw .temporary("\(name) MX: \(why)")
        case .texts, .addresses, .noSuchName, .noRecords: hosts = []
        }
        self.isVoid = hosts.isEmpty
        guard hosts.count <= self.limits.exchanges else {
            throw .permanent("mx: \(name) has \(hosts.count) exchanges")
        }
        // The root stands for no host (RFC 7505).
        for host in hosts where !host.isEmpty && host != "." {
            if try await self.hasAddress(host, lengths) { return true }
        }
        return false
    }

    private mutating func addresses(
        of name: String, _ kind: NameQuery.Kind
    ) async throws(Failure) -> [IPAddress] {
        switch await self.ask(name, kind) {
        case .addresses(let found):
            if found.isEmpty { self.isVoid = true }
            return found
        case .failed(let why): throw .temporary("\(name) \(kind.rawValue): \(why)")
        case .texts, .hosts, .noSuchName, .noRecords:
            self.isVoid = true
            return []
        }
    }

    mutating func reverseNames() async -> SPFReverseNames {
        if let known = self.reverse { return known }
        var names = SPFReverseNames()
        await names.find(of: self.values.client, limit: self.limits.reverseNames) { name, kind in
            self.questions += 1
            return await self.names.ask(NameQuery(name, kind))
        }
        self.reverse = names
        return names
    }
}

// MARK: - Macros

extension SPFEvaluation {
    /// A local part in another alphabet can be in no name, so what needs it matches nothing (RFC 8616 §4).
    func canExpand(_ string: SPFMacroString) -> Bool {
        self.values.localPart.isASCII || !string.uses(.sender, .localPart)
    }

    private mutating func completed(
        _ values: SPFMacroValues, for string: SPFMacroString
    ) async -> SPFMacroValues {
        guard string.uses(.validatedName) else { return values }
        var values = values
        values.validatedName = await self.reverseNames().preferred(for: values.domain)
        return values
    }

    mutating func name(_ string: SPFMacroString, _ values: SPFMacroValues) async -> String {
        string.name(await self.completed(values, for: string))
    }

    /// Nil if there is none, or anything about it is wrong (RFC 7208 §6.2). It counts for no limit: it is one look-up
    /// after all others.
    mutating func explanation(of policy: Policy) async -> String? {
        guard let string = policy.explanation, self.canExpand(string) else { return nil }
        var values = self.values
        values.domain = policy.domain
        let target = await self.name(string, values)
        guard let query = SPFName.query(target), case .texts(let texts) = await self.ask(query, .txt),
            texts.count == 1, let text = texts.first,
            let explanation = try? SPFMacroString(text, for: .explanation)  // Else as if there were none.
        else { return nil }
        let line = explanation.explanation(
            await self.completed(values, for: explanation), limitBytes: self.limits.explanationBytes)
        return line.isEmpty ? nil : line
    }
}

extension SPFResult {
    mutating func fail(_ failure: SPFEvaluation.Failure) {
        self.mechanism = nil
        self.explanation = nil
        switch failure {
        case .temporary(let why): (self.result, self.why) = (.temperror, why)
        case .permanent(let why): (self.result, self.why) = (.permerror, why)
        }
    }
}
