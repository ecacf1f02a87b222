import Daemon
import Mail
import Rules

/// Cases are read whole, or each problem has its line.
func checkCases(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let lineCount = text.utf8.count { $0 == ASCII.lineFeed } + 1
    let cases: RuleCases
    do throws(TableProblems) { cases = try RuleCases(text) } catch {
        try require(!error.list.isEmpty, "an error without a problem")
        for problem in error.list { try requireLine(problem.line, of: lineCount) }
        return
    }
    for one in cases.cases { try requireLine(one.line, of: lineCount) }
}

private func requireLine(_ line: Int, of count: Int) throws(Violation) {
    try require((1...count).contains(line), "line \(line) of \(count)")
}

/// A line for each list: its name, then restrictions; `table WORDS` is the right-hand side of every table. A session is
/// judged by them, whatever is answered to what they ask: in bounded time, with replies that are refusals.
func checkRestrictions(_ bytes: [UInt8]) throws(Violation) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
        $0.split(separator: " ").map(String.init)
    }
    let value = lines.last { $0.first == "table" }?.dropFirst().joined(separator: " ") ?? "DUNNO"
    checkAction(value)
    let reader = RestrictionReader(
        classes: [:],
        table: { (name: String) throws(OptionProblem) in RuleTable(name: name, file: nil, content: .fixed(value)) },
        serviceProblem: { _ in nil })
    var lists: [Stage: RestrictionList] = [:]
    for line in lines {
        guard let first = line.first, let stage = Stage(rawValue: first) else { continue }
        guard let list = try? reader.list(first, words: Array(line.dropFirst()), file: nil, line: nil) else { continue }
        lists[stage] = list
    }
    for command in [Evaluation.Command.helo, .mail, .recipient, .data, .endOfData] {
        try judge(lists, command, isDelayed: bytes.count % 2 == 0)
    }
}

private func checkAction(_ value: String) {
    // Reading must not trap; what is wrong has a text.
    _ = try? AccessAction(value)
    _ = ContentRules.problem(inValue: value)
}

private func judge(
    _ lists: [Stage: RestrictionList], _ command: Evaluation.Command, isDelayed: Bool
) throws(Violation) {
    let relay = RelayPolicy(
        relayDomains: DomainSet(keys: ["example.test"]), relayNetworks: [], recipients: [], unverified: .refused,
        postmaster: nil, delimiter: "+")
    let policy = RestrictionPolicy(lists: lists, relay: relay, delaysRefusals: isDelayed)
    var facts = SessionFacts(client: Endpoint(.v4(0xC000_0201), port: 1))
    facts.helo = "mail.client.test"
    facts.reversePath = Mailbox("sender@client.test").map { .mailbox($0) }
    facts.forwardPath = Mailbox("user+ext@example.test").map { .mailbox($0) }
    var answers: [Lookup: LookupAnswer] = [:]
    var carried = Evaluation.Carried()
    while true {
        let result = Evaluation.run(
            command, policy: policy, facts: facts, answers: answers, carried: &carried, delaysRefusals: isDelayed,
            isTracing: true)
        switch result {
        case .needs(let lookup):
            try require(answers[lookup] == nil, "\(lookup) is asked again")
            try require(answers.count < 2000, "it asks without an end")
            answers[lookup] = answer(to: lookup)
        case .decided(let outcome):
            guard let refusal = outcome.refusal else { return }
            try require((400...599).contains(refusal.reply.code), "\(refusal.reply)")
            try require(!refusal.reason.stage.isEmpty, "a refusal without a reason: \(refusal)")
            return
        }
    }
}

/// Some answer, always the same to the same question.
private func answer(to lookup: Lookup) -> LookupAnswer {
    let number = fingerprint(of: Array("\(lookup)".utf8))
    switch lookup {
    case .names(_, .a), .names(_, .aaaa):
        return number % 3 == 0 ? .names(.none) : .names(.addresses([.v4(0x7F00_0002), .v4(UInt32(number & 0xFFFF))]))
    case .names(let name, .txt): return .names(number % 2 == 0 ? .texts([name]) : .failed("x"))
    case .names(let name, _): return .names(number % 3 == 0 ? .failed("x") : .hosts(["mx.\(name)"]))
    case .policy: return .action(number % 2 == 0 ? "DUNNO" : "DEFER_IF_PERMIT later")
    case .recipient, .verification: return .address(number % 2 == 0 ? .known : .acceptAndHold("x"))
    case .spf, .greylist:
        switch number % 3 {
        case 0: return .judged(.passed("x"))
        case 1: return .judged(.refused(Reply(450, .init(2, 0), "x"), why: "x"))
        default: return .judged(.fault("x"))
        }
    case .pause: return .passed
    }
}
