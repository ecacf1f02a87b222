import Mail
import Rules
import Testing

/// A policy of a few lines and one session to ask it about.
struct RestrictionFixture {
    var lists: [Stage: [String]] = [:]
    var classes: [String: [String]] = [:]
    /// Texts of tables by the names that lists have for them.
    var tables: [String: String] = [:]
    var answers: [Lookup: LookupAnswer] = [:]
    var facts = SessionFacts(client: Endpoint(.v4(0xC000_0263), port: 40000))
    var options = RestrictionOptions()
    var delays = true
    var before = Effects()
    /// Recipients are known elsewhere too.
    var asksElsewhere = false
    /// The table of `permit_tls_clientcerts`; nil for none.
    var certificates: String?

    init(_ lists: [Stage: [String]] = [:]) {
        self.lists = lists
        self.facts.givenName = ClientName("mail.client.example")
        self.facts.helo = "mail.client.example"
        self.facts.proto = "ESMTP"
        self.facts.reversePath = Mailbox("sender@client.example").map { .mailbox($0) }
        self.facts.forwardPath = Mailbox("user@example.test").map { .mailbox($0) }
    }

    static let relay = RelayPolicy(
        relayDomains: DomainSet(keys: ["example.test"]),
        relayNetworks: [IPAddress.v4(0x0A00_0000).network(prefixLength: 8)],
        recipients: (try? TextTable("user@example.test x\nother@example.test x\n")).map { [$0] } ?? [],
        unverified: .refused,
        postmaster: Mailbox("postmaster@example.test"), delimiter: "+")

    func policy() throws -> RestrictionPolicy {
        let tables = self.tables
        func reader(_ classes: [String: RestrictionList]) -> RestrictionReader {
            RestrictionReader(
                classes: classes,
                table: { name throws(OptionProblem) in
                    guard let text = tables[name] else { throw OptionProblem("no table \(name)") }
                    do {
                        let content: RuleTable.Content =
                            switch name.prefix(while: { $0 != ":" }) {
                            case "cidr": .cidr(try CIDRTable(text: text))
                            case "pcre": .pattern(try PatternTable(text: text, kind: .pcre))
                            default: .text(try TextTable(text))
                            }
                        return RuleTable(name: name, file: "/rules/\(name)", content: content)
                    } catch { throw OptionProblem("\(error)") }
                }, serviceProblem: { _ in nil })
        }
        var classes: [String: RestrictionList] = [:]
        for (name, words) in self.classes.sorted(by: { $0.key > $1.key }) {
            classes[name] = try reader(classes).list(name, words: Self.words(words), file: "c", line: 1)
        }
        var lists: [Stage: RestrictionList] = [:]
        for (stage, words) in self.lists {
            lists[stage] = try reader(classes).list(stage.rawValue, words: Self.words(words), file: "c", line: 1)
        }
        let asks = self.asksElsewhere
        let certificates = try self.certificates.map {
            RuleTable(name: "hash:certs", file: "/rules/certs", content: .text(try TextTable($0)))
        }
        return RestrictionPolicy(
            lists: lists, classes: classes, relay: Self.relay, options: self.options,
            asksElsewhere: { _ in asks }, clientCertificates: certificates, delaysRefusals: self.delays)
    }

    private static func words(_ lines: [String]) -> [String] {
        lines.flatMap { $0.split(separator: " ").map(String.init) }
    }

    /// What comes of it; an error where something is asked that has no answer.
    func outcome(_ command: Evaluation.Command = .recipient) throws -> Outcome {
        var carried = Evaluation.Carried()
        return try self.outcome(command, &carried)
    }

    func outcome(_ command: Evaluation.Command, _ carried: inout Evaluation.Carried) throws -> Outcome {
        let result = Evaluation.run(
            command, policy: try self.policy(), facts: self.facts, answers: self.answers, before: self.before,
            carried: &carried, delaysRefusals: self.delays, isTracing: true)
        switch result {
        case .decided(let outcome): return outcome
        case .needs(let lookup): throw Asked(lookup: lookup)
        }
    }

    struct Asked: Error, Equatable {
        let lookup: Lookup
    }

    /// The reply in one line, or `accept`.
    func reply(_ command: Evaluation.Command = .recipient) throws -> String {
        try self.outcome(command).refusal?.reply.oneLine ?? "accept"
    }
}
