import Authentication
import Daemon
import Foundation
import Harness
import Mail
import Rules
import Testing

/// Authentication as it is configured, and as it is explained.
struct AuthenticationConfigurationTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
        try self.folder.make(folder: "rules")
        try self.folder.write("rules/transport", "example.test smtp:[127.0.0.1]:2526\n")
        try self.folder.write("rules/recipients", "user@example.test x\n")
        try self.folder.write("suffixes.dat", "// ===BEGIN ICANN DOMAINS===\nexample\ntest\n")
    }

    private func configure(_ authentication: String) throws {
        try self.folder.write(
            "postern.yaml",
            """
            hostname: mx2.example.test
            rules: \(self.folder.path("rules"))
            relay_domains: texthash:transport
            transport: texthash:transport
            relay_recipients: texthash:recipients
            screener: {enabled: false}
            restrictions: {recipient: [check_spf]}
            authentication: \(authentication)

            """)
    }

    /// Each error without the name of the folder.
    private func errors() -> [String] {
        do {
            _ = try Generation(file: self.folder.path("postern.yaml"), number: 1)
            return []
        } catch { return error.list.map { $0.description.replacing(self.folder.path + "/", with: "") } }
    }

    @Test(arguments: [
        ("{spf: {mail_from: {temperror: reject}}}", "mark or defer"),
        ("{spf: {engine: spf3}}", "'spf3' is not postern or libspf2"),
        ("{dkim: {sign: [{domain: example.test, key: k}]}}", "'selector' is missing"),
        ("{dkim: {sign: [{domain: example.test, selector: s, key: none.pem}]}}", "none.pem: No such file"),
        ("{dkim: {sign: [{domain: example.test, selector: s, key: rules/transport}]}}", "rules/transport"),
        ("{arc: {seal: {domain: example.test, selector: s, key: open.pem}}}", "others can read or change it"),
        ("{dmarc: {overrides: {'not a domain': none}}}", "'not a domain' is not a domain"),
        ("{enabled: true, dmarc: {public_suffixes: /nowhere}}", "/nowhere: cannot be read"),
        ("{exempt: ['cidr:nothing']}", "nothing"),
        ("{authserv_id: 'a b'}", "'a b'"),
    ])
    func `what is wrong is told, and where`(_ text: String, _ expected: String) throws {
        try self.folder.write("open.pem", "x")
        #expect(chmod(self.folder.path("open.pem"), 0o644) == 0)
        try self.configure(text)
        let errors = self.errors()
        #expect(errors.contains { $0.contains(expected) }, "\(errors)")
    }

    @Test func `a line of the public suffix list that is no rule is passed over, and told`() throws {
        let path = try self.folder.write("odd.dat", "// ===BEGIN ICANN DOMAINS===\nexample\ntest\na..b\n")
        try self.configure("{enabled: true, dmarc: {public_suffixes: \(path)}}")
        let warnings = try Generation(file: self.folder.path("postern.yaml"), number: 1).warnings
        #expect(warnings.map(\.description).contains("\(path):4: not a rule, and passed over"), "\(warnings)")
    }

    /// Names as a primary's administrator would find them.
    private static let records: [Lookup: NameAnswer] = [
        .names("bank.example", .txt): .texts(["v=spf1 ip4:192.0.2.1 -all exp=why.bank.example"]),
        .names("why.bank.example", .txt): .texts(["%{i} is not ours"]),
        .names("mail.bank.example", .txt): .texts(["v=spf1 a -all"]),
        .names("_dmarc.bank.example", .txt): .texts(["v=DMARC1; p=reject"]),
    ]

    private func explain(_ client: String, from: String, author: String) async throws -> Explanation {
        let generation = try Generation(file: self.folder.path("postern.yaml"), number: 1)
        let session = HypotheticalSession(
            client: try #require(IPAddress(client)), clientName: ClientName("mail.other.example"),
            helo: "mail.other.example", reversePath: .mailbox(try #require(Mailbox(from))),
            forwardPaths: [.mailbox(try #require(Mailbox("user@example.test")))],
            content: Array("From: \(author)\r\nSubject: x\r\n\r\nhello\r\n".utf8))
        let explainer = Explainer(generation)
        let names = NameSource { .names(Self.records[$0] ?? .none) }
        return await explainer.explain(session) { lookup in
            switch lookup {
            case .names: .names(Self.records[lookup] ?? .none)
            case .spf(let question): .judged(await explainer.judgement(on: question, names: names))
            case .policy, .recipient, .verification, .greylist, .pause: .passed
            }
        }
    }

    @Test func `what SPF and DMARC refuse is explained with its reason`() async throws {
        try self.configure("{enabled: true, dmarc: {public_suffixes: \(self.folder.path("suffixes.dat"))}}")
        let spoofed = try await self.explain("203.0.113.9", from: "x@other.example", author: "ceo@bank.example")
        #expect(spoofed.verdict == "reject" && spoofed.stage == "dmarc" && spoofed.key == "bank.example")
        #expect(spoofed.reply?.code == 550 && spoofed.reply?.enhanced == "5.7.1")
        let good = try await self.explain("192.0.2.1", from: "x@bank.example", author: "ceo@bank.example")
        #expect(good.verdict == "accept")
        #expect(good.trace.last?.result.contains("spf=pass dkim=none arc=none dmarc=pass") == true)
        let failed = try await self.explain("203.0.113.9", from: "x@bank.example", author: "ceo@bank.example")
        #expect(failed.verdict == "reject" && failed.restriction == "check_spf")
        #expect(failed.reply?.enhanced == "5.7.23")
        #expect(failed.reply?.text.contains("bank.example explains: 203.0.113.9 is not ours") == true)
    }

    @Test func `an override holds for what is below the domain, and an exempt client is spared`() async throws {
        try self.folder.write("rules/forwarders", "203.0.113.9 OK\n")
        let suffixes = self.folder.path("suffixes.dat")
        try self.configure(
            "{enabled: true, dmarc: {public_suffixes: \(suffixes), overrides: {bank.example: none, x.example: reject}}}"
        )
        let freed = try await self.explain("203.0.113.9", from: "x@other.example", author: "ceo@bank.example")
        #expect(freed.verdict == "accept")
        let ours = try await self.explain("203.0.113.9", from: "x@other.example", author: "ceo@sub.x.example")
        #expect(ours.verdict == "reject" && ours.key == "sub.x.example")
        try self.configure(
            "{enabled: true, exempt: ['cidr:forwarders'], dmarc: {public_suffixes: \(suffixes)}}")
        let spared = try await self.explain("203.0.113.9", from: "x@bank.example", author: "ceo@bank.example")
        #expect(spared.verdict == "accept")
    }
}
