import Mail
import Testing

@testable import Authentication

/// What is told of what was found.
struct AuthenticationFindingTests {
    private func results(_ arc: ARCResult) throws -> AuthenticationResults {
        let client = AuthenticatedClient(
            address: try #require(IPAddress("192.0.2.1")), helo: "client.example", reversePath: .null)
        let spf = SPFFinding(helo: nil, mailFrom: SPFResult(.none, domain: "client.example", identity: .helo))
        let policy = AuthenticationPolicy(
            options: AuthenticationOptions(), authservID: "mx.example.test",
            spf: SPFPolicy(SPFOptions(), receiver: "mx.example.test", engine: .postern), discovery: .treeWalk)
        return AuthenticationFinding(
            client: client, spf: spf, dkim: [], arc: arc, authors: [DMARCResult(.none)], policy: policy
        ).results
    }

    @Test func `a chain that fails because nobody knew a key says so`() throws {
        var arc = ARCResult(.fail, reason: "seal 1: the key could not be looked up")
        let lasting = try #require(try self.results(arc).methods(named: "arc").first)
        #expect(lasting.result == "fail")
        #expect(lasting.comment == nil)
        arc.isTemporary = true
        let temporary = try self.results(arc)
        #expect(temporary.methods(named: "arc").first?.result == "fail")
        #expect(temporary.text(.ascii).contains("arc=fail (seal 1: the key could not be looked up)"))
    }
}
