import Authentication
import Dispatch
import Mail
import Synchronization

/// Records are read or refused, and written so that they are read as the same; what they make us ask has limits,
/// whatever the rest of the world says.
func checkSPFRecord(_ bytes: [UInt8]) throws(Violation) {
    for record in [bytes, Array("v=spf1 ".utf8) + bytes] {
        if let read = try? SPFRecord(record) {
            let again = try? SPFRecord(Array("\(read)".utf8))
            try require(again == read, "\(read) becomes \(again.map { "\($0)" } ?? "none")")
            try require("\(read)".isASCII && holdsNoLineEnd("\(read)"), "\(read)")
        }
    }
    for client in [IPAddress.v4(0xC000_0201), .v6(high: 0x2001_0DB8_0000_0000, low: 1)] {
        // Its own text is what the world says of every name, and whom it includes.
        let names = SyntheticNames(policy: Array("v=spf1 ".utf8) + bytes, explanation: bytes)
        try checkEvaluation(names, client, helo: "mail.example.test")
    }
}

/// Macro strings are read or refused, and written so that they are read as the same; what they make is asked for only
/// if it is a name.
func checkSPFMacros(_ bytes: [UInt8]) throws(Violation) {
    for use in [SPFMacroString.Use.record, .explanation] {
        guard let read = try? SPFMacroString(bytes, for: use) else { continue }
        let again = try? SPFMacroString(Array("\(read)".utf8), for: use)
        try require(again == read, "\(read) becomes \(again.map { "\($0)" } ?? "none")")
    }
    if let read = try? SPFMacroString(domainSpec: bytes) {
        try require(!read.pieces.isEmpty && (try? SPFMacroString(bytes, for: .record)) == read, "\(read)")
    }
    let policy =
        Array("v=spf1 exists:".utf8) + bytes + Array(".test -a:".utf8) + bytes + Array(" -all exp=e.test.test".utf8)
    let names = SyntheticNames(policy: policy, explanation: bytes)
    try checkEvaluation(names, .v4(0xC000_0201), helo: String(decoding: bytes, as: UTF8.self))
}

private func checkEvaluation(_ names: SyntheticNames, _ client: IPAddress, helo: String) throws(Violation) {
    let check = SPFCheck(
        client: client, helo: helo, reversePath: "a+b-c@mail.example.test", receiver: "mx.test",
        time: Timestamp(seconds: 1))
    let result = try waitFor { await check.check(identity: .mailFrom, names: names.source) }
    if names.policy.count <= 512 { try checkAgainstLibSPF2(result, of: check, names) }
    try require(result.lookups <= 10 && result.voidLookups <= 3, "\(result)")
    // Its policy; ten terms with a question and ten exchanges each; a reverse name and ten names; an explanation.
    try require(result.questions <= 1 + 10 * 11 + 11 + 1, "\(result)")
    for question in names.questions {
        let labels = question.name.split(separator: ".", omittingEmptySubsequences: false)
        try require(labels.allSatisfy { !$0.isEmpty && $0.utf8.count <= 4 * 63 }, "asked for \(question.name)")
        try require(question.name.utf8.allSatisfy { 0x21...0x7E ~= $0 }, "asked for \(question.name)")
    }
    if let explanation = result.explanation {
        let isLine = explanation.utf8.allSatisfy { 0x20...0x7E ~= $0 }
        try require(isLine && explanation.utf8.count <= 400, "\(explanation)")
        try require(result.result == .fail, "\(result)")
    }
    let field = ReceivedSPFField(result, of: check).text
    try require(hasOnlyWholeLineEnds(Array(field.utf8)) && field.isASCII && !field.contains("\r\n\r\n"), field)
}

/// Whatever a record says, libspf2 behind our parser makes the same of it. It gets long ones in pieces, and ends where
/// those and includes lead twenty deep.
private func checkAgainstLibSPF2(
    _ result: SPFResult, of check: SPFCheck, _ names: SyntheticNames
) throws(Violation) {
    guard let engine = libspf2 else { throw Violation(description: "no thread for libspf2") }
    let again = SyntheticNames(policy: names.policy, explanation: names.explanation)
    let theirs = try waitFor { await engine.check(check, identity: .mailFrom, names: again.source) }
    try require(
        theirs.result == result.result && theirs.explanation == result.explanation, "\(result), of libspf2 \(theirs)")
}

/// Lives as long as the process.
private let libspf2 = try? SPFEngine.libspf2(threads: 1)

/// A world in which every name has every record, or none, or fails, by what it is called.
private final class SyntheticNames: Sendable {
    let policy: [UInt8]
    let explanation: [UInt8]
    private let asked = Mutex<[NameQuery]>([])

    init(policy: [UInt8], explanation: [UInt8]) {
        self.policy = policy
        self.explanation = explanation
    }

    var questions: [NameQuery] { self.asked.withLock { $0 } }

    var source: NameSource {
        NameSource { query in
            self.asked.withLock { $0.append(query) }
            return self.reply(to: query)
        }
    }

    private func reply(to query: NameQuery) -> NameReply {
        switch fingerprint(of: Array(query.name.utf8)) % 16 {
        case 0 where query.name != "mail.example.test": return .noSuchName
        case 1 where query.name != "mail.example.test": return .failed("timeout")
        default: break
        }
        switch query.kind {
        case .a: return .addresses([.v4(1), .v4(0xC000_0202)])
        case .aaaa: return .addresses([.v6(high: 1, low: 1)])
        case .mx: return .hosts((0..<9).map { "m\($0).test" })
        case .ptr: return .hosts((0..<20).map { "p\($0).example.test" })
        case .txt: return .texts([query.name.hasPrefix("e.") ? self.explanation : self.policy])
        }
    }
}

/// Blocks the thread, which is none of those that tasks run on.
private func waitFor(_ body: @escaping @Sendable () async -> SPFResult) throws(Violation) -> SPFResult {
    let result = SharedResult()
    Task { result.set(await body()) }
    guard let value = result.wait() else { throw Violation(description: "no result") }
    return value
}

private final class SharedResult: Sendable {
    private let result = Mutex<SPFResult?>(nil)
    private let done = DispatchSemaphore(value: 0)

    func set(_ value: SPFResult) {
        self.result.withLock { $0 = value }
        self.done.signal()
    }

    func wait() -> SPFResult? {
        self.done.wait()
        return self.result.withLock { $0 }
    }
}
