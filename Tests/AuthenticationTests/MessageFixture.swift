import Authentication
import Mail
import Testing

/// Authenticates whole messages as a session does, with the tree walk.
struct MessageFixture {
    var options = AuthenticationOptions()
    var names = TestNames([:])
    var isExempt = false
    var reversePath = ReversePath.null
    var isInternational = false
    var spf = SPFFinding(helo: nil, mailFrom: SPFResult(.none, domain: "client.example", identity: .mailFrom))

    init(records: [String: String] = [:]) {
        let records = records.map { ("_dmarc." + $0.key, "v=DMARC1; " + $0.value) }
        self.names = TestNames(texts: Dictionary(uniqueKeysWithValues: records))
    }

    func finding(_ content: some Sequence<UInt8>) async throws -> AuthenticationFinding {
        let isExempt = self.isExempt
        let policy = AuthenticationPolicy(
            options: self.options, authservID: "mx.example.test",
            spf: SPFPolicy(self.options.spf, receiver: "mx.example.test"), discovery: .treeWalk,
            isExempt: { _ in isExempt })
        let client = AuthenticatedClient(
            address: try #require(IPAddress("192.0.2.1")), helo: "client.example", reversePath: self.reversePath,
            isInternational: self.isInternational)
        let message = MessageAuthentication(policy, client: client, changesBody: false)
        _ = message.receive(Array(content))
        let spf = self.spf
        let finding = await message.finish(
            spf: { spf }, names: self.names.source, at: Timestamp(seconds: DKIMFixture.now), sample: 0)
        return try #require(finding)
    }

    /// Of a message with this header and a short body.
    func finding(header: String) async throws -> AuthenticationFinding {
        try await self.finding("\(header)\r\n\r\nHello\r\n".utf8)
    }

    /// What the client is told; nil if the message is accepted.
    func refusal(header: String) async throws -> String? {
        switch try await self.finding(header: header).decision.verdict {
        case .accept: return nil
        case .hold: return "hold"
        case .refuse(let reply, _): return reply.oneLine
        }
    }
}
