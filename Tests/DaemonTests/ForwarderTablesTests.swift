import Daemon
import Forwarder
import Foundation
import Harness
import Mail
import Testing

/// Tables of levels and passwords as a generation reads them.
struct ForwarderTablesTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
        try self.folder.make(folder: "rules")
        try self.folder.write("rules/transport", "example.test smtp:[127.0.0.1]:2526\n")
        try self.folder.write("rules/recipients", "user@example.test x\n")
    }

    private func generation(_ forwarder: String, policies: String = "{}") throws(FileErrors) -> Generation {
        let text = """
            hostname: mx2.example.test
            rules: \(self.folder.path("rules"))
            relay_domains: texthash:transport
            transport: texthash:transport
            relay_recipients: texthash:recipients
            forwarder: \(forwarder)
            mta_sts: \(policies)

            """
        let path: String
        do { path = try self.folder.write("postern.yaml", text) } catch { throw FileErrors([]) }
        return try Generation(file: path, number: 1)
    }

    /// Each error without the name of the folder.
    private func errors(_ forwarder: String, policies: String = "{}") -> [String] {
        do {
            _ = try self.generation(forwarder, policies: policies)
            return []
        } catch { return error.list.map { $0.description.replacing(self.folder.path + "/", with: "") } }
    }

    private func writePasswords(_ text: String, mode: mode_t = 0o600) throws {
        let path = try self.folder.write("rules/passwords", text)
        #expect(chmod(path, mode) == 0)
    }

    @Test func `tables are read with the generation`() throws {
        try self.folder.write("rules/levels", "example.test verify\n.example.net secure ciphers=high\n")
        try self.writePasswords("[127.0.0.1]:2526 me:hidden\n")
        let generation = try self.generation(
            "{tls: {level: may, policy: 'texthash:levels'}, sasl: {passwords: 'hash:passwords', mechanisms: [PLAIN]}}")
        let security = generation.forwarder.security
        #expect(security.tls.level == .may && security.mechanisms == [.plain])
        #expect(security.policies.policy(for: try NextHop(text: "a.example.net"))?.level == .secure)
        let server = ServerAddress(
            name: "127.0.0.1", address: .v4(0), port: 2526,
            origin: ServerOrigin(hop: try NextHop(text: "[127.0.0.1]:2526")))
        #expect(security.passwords.password(of: server)?.user == "me")
        #expect(generation.warnings.map { $0.line } == [2])
    }

    @Test func `what is wrong is told, and where`() throws {
        try self.folder.write("rules/levels", "example.test verify\nother.test sometimes\nlast.test secure x=y\n")
        #expect(
            self.errors("{tls: {policy: 'texthash:levels'}}").map { String($0.prefix(15)) } == [
                "rules/levels:2:", "rules/levels:3:",
            ])
        #expect(self.errors("{tls: {policy: levels}}").contains { $0.contains("forwarder.tls.policy: 'levels'") })
        #expect(self.errors("{tls: {policy: 'texthash:nowhere'}}").contains { $0.contains("nowhere: cannot be read") })
        #expect(self.errors("{tls: {level: fingerprint}}").contains { $0.contains("needs fingerprints") })
        #expect(self.errors("{tls: {level: sometimes}}").contains { $0.contains("dane-only") })
        #expect(self.errors("{tls: {authorities: /nowhere}}").contains { $0.hasPrefix("/nowhere: no authorities") })
        let errors = self.errors("{}", policies: "{authorities: /nowhere}")
        #expect(errors.count == 1 && errors.first?.hasPrefix("/nowhere: no authorities") == true)
        #expect(self.errors("{sasl: {mechanisms: [CRAM-MD5]}}").contains { $0.contains("SCRAM-SHA-256") })
        #expect(self.errors("{sasl: {mechanisms: []}}").count == 1)
    }

    @Test(arguments: ["example.test hidden", "example.test:me:hidden", "a.test me:hidden\na.test me:hidden"])
    func `no password gets into an error`(text: String) throws {
        try self.writePasswords(text + "\n")
        let errors = self.errors("{sasl: {passwords: 'texthash:passwords'}}")
        #expect(errors.count == 1 && !errors.contains { $0.contains("hidden") })
    }

    @Test func `passwords that others can read are a warning`() throws {
        try self.writePasswords("example.test me:hidden\n", mode: 0o644)
        let generation = try self.generation("{sasl: {passwords: 'texthash:passwords'}}")
        #expect(generation.warnings.contains { $0.message.contains("others can read or change it") })
    }
}
