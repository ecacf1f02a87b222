import Mail
import Testing

@testable import Authentication

/// What is told of a sender, and what follows.
struct SPFPolicyTests {
    private func finding(_ texts: [String: String]) async throws -> AuthenticationFinding {
        var options = AuthenticationOptions()
        options.enabled = true
        options.spf.bestGuess = true
        let client = AuthenticatedClient(
            address: try #require(IPAddress("192.0.2.1")), helo: "mail.example.test",
            reversePath: .mailbox(try #require(Mailbox("a@example.test"))))
        var replies: [NameQuery: NameReply] = [
            NameQuery("example.test", .a): .addresses([try #require(IPAddress("192.0.2.9"))])
        ]
        for (name, text) in texts { replies[NameQuery(name, .txt)] = .texts([Array(text.utf8)]) }
        let names = TestNames(replies).source
        let spf = SPFPolicy(options.spf, receiver: "mx.example.test")
        let policy = AuthenticationPolicy(
            options: options, authservID: "mx.example.test", spf: spf, discovery: .treeWalk)
        let message = MessageAuthentication(policy, client: client, changesBody: false)
        _ = message.receive(Array("From: a@example.test\r\n\r\nx\r\n".utf8))
        let now = Timestamp(seconds: 1_800_000_000)
        return try #require(
            await message.finish(
                spf: { await spf.finding(on: client, names: names, at: now) }, names: names, at: now, sample: 0))
    }

    @Test func `a guess is told as one, and is no pass`() async throws {
        let finding = try await self.finding(["_dmarc.example.test": "v=DMARC1; p=reject"])
        #expect(finding.spf.mailFrom.result == .none && finding.spf.guess?.result == .pass)
        #expect(
            finding.fields.contains("spf=none (best guess: pass) smtp.mailfrom=a@example.test"), "\(finding.fields)")
        #expect(finding.fields.contains("Received-SPF: none ("), "\(finding.fields)")
        #expect(!finding.fields.contains("spf=pass") && !finding.summary.contains("spf=pass"))
        #expect(finding.dmarc.outcome == .fail && finding.dmarc.disposition == .reject)
    }

    @Test func `nothing is guessed of a domain that has a record`() async throws {
        let finding = try await self.finding(["example.test": "v=spf1 ?all"])
        #expect(finding.spf.mailFrom.result == .neutral && finding.spf.guess == nil)
        #expect(!finding.fields.contains("guess"))
    }

    @Test(arguments: [
        ("<>", "mail.example.test", true), ("<>", "[192.0.2.1]", false), ("a@other.test", "mail.example.test", true),
        ("a@other.test", "mail.other.test", false),
    ]) func `with the null sender what follows for HELO follows as well`(
        _ sender: String, _ helo: String, _ isRefused: Bool
    ) async throws {
        var options = SPFOptions()
        (options.helo.softfail, options.helo.none) = (.reject, .mark)
        let client = AuthenticatedClient(
            address: try #require(IPAddress("192.0.2.1")), helo: helo,
            reversePath: sender == "<>" ? .null : .mailbox(try #require(Mailbox(sender))))
        let names = TestNames([NameQuery("mail.example.test", .txt): .texts([Array("v=spf1 ~all".utf8)])]).source
        let policy = SPFPolicy(options, receiver: "mx.example.test")
        let finding = await policy.finding(on: client, names: names, at: Timestamp(seconds: 1_800_000_000))
        #expect((policy.refusal(of: finding, client)?.reply.code == 550) == isRefused)
    }
}
