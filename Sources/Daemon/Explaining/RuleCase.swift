import Mail
import Receiver
package import Rules

/// The administrator's own tests: files `rules/*.case`, run whenever rules are checked or read anew.
///
///     case "the boss may always write"
///     client 192.0.2.1 mail.example.com     address, and name if it has one
///     helo mail.example.com
///     from boss@example.com                  <> for the null reverse-path
///     to user@example.org                    again for more recipients
///     tls A1:B2:C3 trusted                   encrypted; fingerprint of its certificate, and whether that is trusted
///     ours user@example.org                  taken for a recipient of ours, whatever the tables say
///     dns mail.example.com A 192.0.2.1       FAIL for no answer; what is not named does not exist
///     policy DUNNO                           what every policy service says
///     recipient user@example.org known       known, unknown or undecided; where tables do not say
///     spf fail                               what SPF says: pass, fail, softfail, neutral, none, temperror, permerror
///     greylist refused                       refused or passed; where nothing is said, passed
///     | Subject: hello                       lines of the content
///     expect accept                          or: expect reject 550 part of the text
package struct RuleCase: Sendable {
    package let title: String
    package let line: Int
    package fileprivate(set) var session: HypotheticalSession
    fileprivate var records: [Record] = []
    fileprivate var policy = "DUNNO"
    fileprivate var recipients: [Mailbox: AddressFinding] = [:]
    fileprivate var spf = Judgement.notAsked
    fileprivate var greylist = Judgement.notAsked
    fileprivate var expected: Expectation?

    fileprivate struct Record {
        let name: String
        let type: Lookup.NameType
        /// Nil for no answer at all.
        let value: String?
    }

    fileprivate struct Expectation {
        let verdict: String
        let code: Int?
        let text: String
    }
}

/// A file of cases.
package struct RuleCases: Sendable {
    package private(set) var cases: [RuleCase] = []

    /// - Throws: every line that cannot be read.
    package init(_ text: String) throws(TableProblems) {
        var problems: [TableProblem] = []
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (index, line) in lines.enumerated() {
            let number = index + 1
            do throws(OptionProblem) { try self.read(line, number) } catch {
                problems.append(TableProblem(line: number, message: error.message))
            }
        }
        for one in self.cases where one.expected == nil {
            problems.append(TableProblem(line: one.line, message: "case '\(one.title)' expects nothing"))
        }
        guard problems.isEmpty else { throw TableProblems(list: problems.sorted { $0.line < $1.line }) }
    }

    /// Runs all cases against a generation.
    ///
    /// - Returns: those that came out otherwise, each with its line and why.
    package func failures(_ generation: Generation) -> [TableProblem] {
        let explainer = Explainer(generation)
        return self.cases.compactMap { one in
            let explanation = explainer.explain(one.session) { one.answer(to: $0) }
            return one.problem(with: explanation).map { TableProblem(line: one.line, message: $0) }
        }
    }

    private mutating func read(_ line: Substring, _ number: Int) throws(OptionProblem) {
        let text = line.drop { $0 == " " || $0 == "\t" }
        if text.hasPrefix("|") {
            guard !self.cases.isEmpty else { throw OptionProblem("content before the first 'case'") }
            let content = text.dropFirst().hasPrefix(" ") ? text.dropFirst(2) : text.dropFirst()
            let last = self.cases.count - 1
            self.cases[last].session.content =
                (self.cases[last].session.content ?? []) + Array(content.utf8) + [13, 10]
            return
        }
        guard !text.isEmpty, !text.hasPrefix("#") else { return }
        let keyword = text.prefix { $0 != " " && $0 != "\t" }
        let rest = String(text.dropFirst(keyword.count)).trimmingSpaces
        if keyword == "case" {
            let title =
                rest.hasPrefix("\"") && rest.hasSuffix("\"") && rest.count > 1
                ? String(rest.dropFirst().dropLast()) : rest
            self.cases.append(RuleCase(title: title, line: number))
            return
        }
        guard !self.cases.isEmpty else { throw OptionProblem("'\(keyword)' before the first 'case'") }
        try self.cases[self.cases.count - 1].set(String(keyword), rest)
    }
}

extension RuleCase {
    fileprivate init(title: String, line: Int) {
        self.title = title
        self.line = line
        self.session = HypotheticalSession(
            client: .v4(0xC000_0201), clientName: ClientName("client.example"), helo: "client.example",
            reversePath: .null, forwardPaths: [])
    }

    fileprivate mutating func set(_ keyword: String, _ value: String) throws(OptionProblem) {
        let words = value.split { $0 == " " || $0 == "\t" }.map(String.init)
        switch keyword {
        case "client":
            guard let first = words.first, let address = IPAddress(first), words.count < 3 else {
                throw OptionProblem("'client' takes an address, and its name if it has one")
            }
            self.session.client = address
            self.session.clientName =
                words.count == 2 && words[1] == "?" ? nil : ClientName(words.count == 2 ? words[1] : nil)
        case "helo": self.session.helo = value
        case "tls": self.session.tls = try Self.tls(words)
        case "from": self.session.reversePath = try ExplainRequest.reversePath(value)
        case "to": self.session.forwardPaths.append(try ExplainRequest.forwardPath(value))
        case "ours":
            guard case .mailbox(let mailbox) = try ExplainRequest.forwardPath(value) else {
                throw OptionProblem("'ours' takes an address with a domain")
            }
            self.session.assumedRecipients.append(mailbox)
        case "dns": self.records.append(try Self.record(words))
        case "policy": self.policy = value
        case "recipient": try self.setRecipient(words)
        case "spf": self.spf = try Self.judgement(ofSPF: value)
        case "greylist": self.greylist = try Self.judgement(ofGreylist: value)
        case "expect": self.expected = try Self.expectation(words)
        default:
            throw OptionProblem(
                "'\(keyword)' is none of case, client, helo, tls, from, to, ours, dns, policy, recipient, spf, greylist, expect and |"
            )
        }
    }

    /// What nobody asks for by name is what is usual.
    private static func tls(_ words: [String]) throws(OptionProblem) -> TLSSummary {
        var summary = TLSSummary(
            version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256, keyBits: 256)
        guard let first = words.first else { return summary }
        let octets = first.split(separator: ":", omittingEmptySubsequences: false).map { UInt8($0, radix: 16) }
        let digest = octets.compactMap(\.self)
        guard digest.count == octets.count, words.count == 1 || words.dropFirst() == ["trusted"] else {
            throw OptionProblem("'tls' takes nothing, or the fingerprint of a certificate, and 'trusted' if it is")
        }
        summary.certificate = CertificateFacts(
            subject: "case", issuer: "case", fingerprint: digest, publicKeyFingerprint: [],
            isTrusted: words.count > 1)
        return summary
    }

    private static func record(_ words: [String]) throws(OptionProblem) -> Record {
        guard words.count > 2, let type = Lookup.NameType(rawValue: words[1].uppercased()) else {
            throw OptionProblem("'dns' takes a name, a type (A, AAAA, MX, NS, PTR, TXT) and what it says, or FAIL")
        }
        let value = words[2...].joined(separator: " ")
        if type == .a || type == .aaaa, value != "FAIL", IPAddress(value) == nil {
            throw OptionProblem("'\(value)' is no address")
        }
        return Record(name: words[0].asciiLowercased, type: type, value: value == "FAIL" ? nil : value)
    }

    private mutating func setRecipient(_ words: [String]) throws(OptionProblem) {
        guard words.count == 2, let mailbox = Mailbox(words[0]) else {
            throw OptionProblem("'recipient' takes an address, and known, unknown or undecided")
        }
        switch words[1] {
        case "known": self.recipients[mailbox] = .known
        case "unknown":
            self.recipients[mailbox] = .unknown(
                Reply(550, .init(1, 1), "Recipient address rejected: unknown"), why: "the case says so")
        case "undecided":
            self.recipients[mailbox] = .undecided(
                Reply(450, .init(1, 1), "Recipient address rejected: unverified"), why: "the case says so")
        default: throw OptionProblem("'\(words[1])' is not known, unknown or undecided")
        }
    }

    private static func judgement(ofGreylist text: String) throws(OptionProblem) -> Judgement {
        switch text {
        case "passed": .passed("the case says so")
        case "refused": .refused(Reply(450, .init(2, 0), "Greylisted, try again later"), why: "the case says so")
        default: throw OptionProblem("'greylist' takes passed or refused")
        }
    }

    /// The codes of RFC 7372 §3.2.
    private static func judgement(ofSPF text: String) throws(OptionProblem) -> Judgement {
        let why = "the case says \(text)"
        switch text {
        case "pass", "softfail", "neutral", "none": return .passed(why)
        case "fail": return .refused(Reply(550, .init(7, 23), "SPF fail"), why: why)
        case "temperror": return .refused(Reply(451, .init(7, 24), "SPF temperror"), why: why)
        case "permerror": return .refused(Reply(550, .init(7, 24), "SPF permerror"), why: why)
        default:
            throw OptionProblem("'spf' takes pass, fail, softfail, neutral, none, temperror or permerror")
        }
    }

    private static func expectation(_ words: [String]) throws(OptionProblem) -> Expectation {
        guard let verdict = words.first, ["accept", "defer", "reject", "discard", "hold"].contains(verdict) else {
            throw OptionProblem("'expect' takes accept, defer, reject, discard or hold, then a code and a text")
        }
        let code = words.count > 1 ? Int(words[1]) : nil
        return Expectation(
            verdict: verdict, code: code, text: words.dropFirst(code == nil ? 1 : 2).joined(separator: " "))
    }

    // MARK: Running

    fileprivate func answer(to lookup: Lookup) -> LookupAnswer {
        switch lookup {
        case .names(let name, let type): return .names(self.names(name, type))
        case .policy: return .action(self.policy)
        case .recipient(let mailbox), .verification(let mailbox, _):
            return .address(self.recipients[mailbox] ?? .known)
        case .spf: return .judged(self.spf)
        case .greylist: return .judged(self.greylist)
        case .pause: return .passed
        }
    }

    private func names(_ name: String, _ type: Lookup.NameType) -> NameAnswer {
        let records = self.records.filter { $0.name == name && $0.type == type }
        guard !records.isEmpty else { return .none }
        if records.contains(where: { $0.value == nil }) { return .failed("the case says so") }
        let values = records.compactMap(\.value)
        switch type {
        case .a, .aaaa: return .addresses(values.compactMap { IPAddress($0) })
        case .txt: return .texts(values)
        case .mx: return .hosts(values.map { Self.host($0.split(separator: " ").last ?? "") })
        case .ns, .ptr: return .hosts(values.map { Self.host($0[...]) })
        }
    }

    private static func host(_ text: Substring) -> String {
        (text.hasSuffix(".") ? text.dropLast() : text).asciiLowercased
    }

    /// How an explanation differs from what was expected; nil if it does not.
    fileprivate func problem(with explanation: Explanation) -> String? {
        guard let expected else { return nil }
        let reply = explanation.reply
        let isAsExpected =
            explanation.verdict == expected.verdict && (expected.code == nil || expected.code == reply?.code)
            && (expected.text.isEmpty || reply?.text.contains(expected.text) == true)
        guard !isAsExpected else { return nil }
        let found = ([explanation.verdict] + (reply.map { ["\($0.code)", $0.enhanced ?? "", $0.text] } ?? []))
            .filter { !$0.isEmpty }.joined(separator: " ")
        let place = explanation.file.map { file in explanation.line.map { "\(file):\($0)" } ?? file }
        let why = [explanation.stage, explanation.restriction, place].compactMap { $0 }.joined(separator: ", ")
        return "case '\(self.title)': \(found)\(why.isEmpty ? "" : " (\(why))"), and not \(expected.verdict)"
            + (expected.code.map { " \($0)" } ?? "") + (expected.text.isEmpty ? "" : " \(expected.text)")
    }
}

extension String {
    fileprivate var trimmingSpaces: String {
        String(self.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
