import Mail

/// Looking names and addresses up in access tables (SEMANTICS §3).
extension Evaluation {
    /// What a table said, and to which key.
    private struct Found {
        let match: TableMatch
        let key: String
    }

    mutating func access(
        _ subject: Restriction.NameSubject, _ table: RuleTable, _ context: Context
    ) throws(Halt) -> Step {
        switch subject {
        case .client:
            let name = try self.clientName().verified ?? "unknown"
            return try self.clientAccess(name, table, Context(client: name, self.facts.client.address, context.stage))
        case .reverseClient:
            let name = try self.clientName().reverse ?? "unknown"
            let step = try self.clientAccess(name, table, Context(reverseClient: name, context.stage))
            return try self.withoutPermit(step, name)
        case .helo:
            guard let helo = self.facts.helo else { return .dunno }
            let found = self.find(domain: helo, in: table)
            return try self.apply(found, table, Context(stage: context.stage, subject: helo, label: "Helo command"))
        case .sender:
            guard let path = self.facts.reversePath else { return .dunno }
            let found = path.mailbox.map { self.find(mailbox: $0, in: table) } ?? self.find("<>", in: table)
            return try self.apply(found, table, Context(address: .sender, path.description, context.stage))
        case .recipient:
            guard let mailbox = self.facts.recipient else { return .dunno }
            let words = Context(address: .recipient, mailbox.description, context.stage)
            let step = try self.apply(self.find(mailbox: mailbox, in: table), table, words)
            // `user%other@here`: an OK for here must not send it there.
            return step == .permit && mailbox.localPart.routesOnward ? .dunno : step
        }
    }

    /// The name and its parents come before the address and its networks.
    private mutating func clientAccess(_ name: String, _ table: RuleTable, _ words: Context) throws(Halt) -> Step {
        let found = self.find(domain: name, in: table) ?? self.find(address: self.facts.client.address, in: table)
        return try self.apply(found, table, words)
    }

    /// By the certificate, then by its key, which stays when the certificate is renewed. Whether it leads to an
    /// authority does not matter: only who has the key can show it.
    mutating func certificateAccess(_ table: RuleTable, _ context: Context) throws(Halt) -> Step {
        guard let certificate = self.facts.tls?.certificate else { return .dunno }
        let words = Context(
            stage: context.stage, subject: certificate.subject.printable(maximumBytes: 64), label: "Client certificate")
        for key in [certificate.fingerprintText, certificate.publicKeyFingerprintText] where !key.isEmpty {
            let step = try self.apply(self.find(key, in: table), table, words)
            if step != .dunno { return step }
        }
        return .dunno
    }

    mutating func listedCertificate() -> Step {
        guard let table = self.policy.clientCertificates, let certificate = self.facts.tls?.certificate,
            let found = self.find(
                firstOf: [certificate.publicKeyFingerprintText, certificate.fingerprintText].filter { !$0.isEmpty },
                in: table)
        else { return .dunno }
        self.note(found, in: table)
        return .permit
    }

    private mutating func note(_ found: Found, in table: RuleTable) {
        self.current.table = table.name
        if let file = table.file { (self.current.file, self.current.line) = (file, found.match.line) }
        self.current.key = found.key
        self.current.value = found.match.value
    }

    private mutating func apply(_ found: Found?, _ table: RuleTable, _ words: Context) throws(Halt) -> Step {
        guard let found else { return .dunno }
        self.note(found, in: table)
        return try self.act(on: found.match.value, words)
    }
}

// MARK: - Keys

extension Evaluation {
    private mutating func find(_ key: String, in table: RuleTable) -> Found? {
        var faults: [TableFault] = []
        let match = table.lookup(key, faults: &faults)
        for fault in faults { self.note(.fault, "\(table.name), line \(fault.line): \(fault.message)") }
        return match.map { Found(match: $0, key: key) }
    }

    private mutating func find(firstOf keys: [String], in table: RuleTable) -> Found? {
        for key in keys { if let found = self.find(key, in: table) { return found } }
        return nil
    }

    /// A table with patterns is asked for the whole only.
    private mutating func find(domain: String, in table: RuleTable) -> Found? {
        self.find(firstOf: table.isIndexed ? AddressKeys.access(domain: domain) : [domain], in: table)
    }

    private mutating func find(address: IPAddress, in table: RuleTable) -> Found? {
        self.find(firstOf: table.isIndexed ? AddressKeys.access(address: address) : [address.description], in: table)
    }

    /// All in small letters, for patterns too (Postfix's `smtpd_resolve_addr`), whose right-hand sides may repeat what
    /// they found.
    private mutating func find(mailbox: Mailbox, in table: RuleTable) -> Found? {
        guard table.isIndexed else { return self.find(TextTable.fold(mailbox.description), in: table) }
        return self.find(firstOf: self.policy.relay.keys.access(mailbox), in: table)
    }
}

// MARK: - Tables of servers

extension Evaluation {
    /// Servers, and addresses of them, that are looked up (Postfix's `dns_rr_list_limit` is the same).
    private static let mostAddresses = 100

    mutating func serverAccess(
        _ subject: Restriction.NameSubject, _ record: Restriction.ServerRecord, _ table: RuleTable, _ context: Context
    ) throws(Halt) -> Step {
        guard let (name, words) = try self.serverSubject(subject, context.stage) else { return .dunno }
        let domain = name.lastIndex(of: "@").map { name[name.index(after: $0)...] } ?? name[...]
        if domain.hasPrefix("[") {
            guard record != .ns, let literal = AddressLiteral(domain) else { return .dunno }
            let step = try self.apply(self.find(address: literal.address, in: table), table, words)
            return try self.withoutPermit(step, name)
        }
        let step = try self.serverAccess(servers: try self.servers(of: domain, record), record, table, words)
        return try self.withoutPermit(step, name)
    }

    private mutating func serverSubject(
        _ subject: Restriction.NameSubject, _ stage: Stage
    ) throws(Halt) -> (name: String, words: Context)? {
        switch subject {
        case .client:
            guard let name = try self.clientName().verified else { return nil }
            return (name, Context(client: name, self.facts.client.address, stage))
        case .reverseClient:
            guard let name = try self.clientName().reverse else { return nil }
            return (name, Context(reverseClient: name, stage))
        case .helo: return self.facts.helo.map { ($0, Context(stage: stage, subject: $0, label: "Helo command")) }
        case .sender:
            return self.facts.sender.map { ("\($0)", Context(address: .sender, "\($0)", stage)) }
        case .recipient:
            return self.facts.recipient.map { ("\($0)", Context(address: .recipient, "\($0)", stage)) }
        }
    }

    /// A domain without MX records is its own server; name servers are those of the closest parent that has any.
    private mutating func servers(
        of domain: Substring, _ record: Restriction.ServerRecord
    ) throws(Halt) -> [String] {
        switch record {
        case .a: return [String(domain)]
        case .mx:
            let answer = try self.names(domain, .mx)
            if answer.isNullMX || answer.hasFailed { return [] }
            return answer.isFound ? answer.hosts : [String(domain)]
        case .ns:
            var rest = domain
            while true {
                let answer = try self.names(rest, .ns)
                if answer.isFound || answer.hasFailed { return answer.hosts }
                guard let dot = rest.firstIndex(of: "."), rest.index(after: dot) < rest.endIndex else { return [] }
                rest = rest[rest.index(after: dot)...]
            }
        }
    }

    private mutating func serverAccess(
        servers: [String], _ record: Restriction.ServerRecord, _ table: RuleTable, _ words: Context
    ) throws(Halt) -> Step {
        var count = 0
        for server in servers.prefix(Self.mostAddresses) {
            if let address = IPAddress(server) {
                if let found = self.find(address: address, in: table) { return try self.apply(found, table, words) }
                continue
            }
            if record != .a, let found = self.find(domain: server, in: table) {
                return try self.apply(found, table, words)
            }
            let addresses = try self.names(server, .a).addresses + self.names(server, .aaaa).addresses
            for address in addresses {
                count += 1
                guard count <= Self.mostAddresses else { return .dunno }
                if let found = self.find(address: address, in: table) { return try self.apply(found, table, words) }
            }
        }
        return .dunno
    }

    /// Whoever sets up a name must not permit himself by it: OK is a fault there (SEMANTICS §2).
    private mutating func withoutPermit(_ step: Step, _ name: String) throws(Halt) -> Step {
        guard step == .permit, !self.isDiscarded else { return step }
        throw self.fault(
            "\(self.current.restriction) permits \(name), which whoever owns the name could bring about: use DUNNO")
    }
}

extension CertificateFacts {
    /// As Postfix writes them: `A1:B2:...`
    package var fingerprintText: String { Self.text(self.fingerprint) }
    package var publicKeyFingerprintText: String { Self.text(self.publicKeyFingerprint) }

    private static func text(_ digest: [UInt8]) -> String {
        let digits = Array("0123456789ABCDEF")
        return digest.map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined(separator: ":")
    }
}

extension Evaluation.Context {
    fileprivate init(client name: String, _ address: IPAddress, _ stage: Stage) {
        self.init(stage: stage, subject: "\(name)[\(address)]", label: "Client host")
    }

    fileprivate init(reverseClient name: String, _ stage: Stage) {
        self.init(stage: stage, subject: name, label: "Unverified Client host")
    }

    fileprivate init(address: AddressClass, _ text: String, _ stage: Stage) {
        self.init(stage: stage, subject: text, label: address.label)
    }

    /// Whose address a refusal is about; nil if it is about something else.
    var address: AddressClass? {
        [AddressClass.sender, .recipient].first { $0.label == self.label }
    }
}
