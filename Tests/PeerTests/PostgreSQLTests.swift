import Harness
import Mail
import PostgreSQL
import Recipients
import Rules
import Synchronization
import Testing

/// Recipients in a real PostgreSQL, which goes away and comes back.
@Suite(.serialized) struct PostgreSQLTests {
    /// The lines of a `pgsql:` file that say where the server is.
    private static func head(_ server: PostgreSQLServer, hosts: String? = nil) -> String {
        """
        hosts = \(hosts ?? "inet:\(server.address.host):\(server.address.port)")
        user = mail
        password = \(PostgreSQLServer.password)
        dbname = postgres

        """
    }

    private static let setUp = [
        "CREATE TABLE users (address text, local text, domain text, active boolean)",
        """
        INSERT INTO users VALUES ('a@example.test', 'a', 'example.test', true),
            ('o''b"\\$1%x@example.test', 'o''b"\\$1%x', 'example.test', true), ('old@example.test', 'old', 'example.test', false),
            ('@all.test', '', 'all.test', true), ('ü@example.test', 'ü', 'example.test', true)
        """,
    ]

    private final class Fixture: Sendable {
        let server: PostgreSQLServer
        let reports = Mutex<[String]>([])
        private let tables = Mutex<[PgsqlTable]>([])

        init() throws { self.server = try PostgreSQLServer() }

        func fill() async throws {
            let table = try self.table("query = SELECT 1")
            let pool = try DatabasePool(table.file.targets)
            for statement in PostgreSQLTests.setUp { _ = try await pool.query(statement).get() }
            try await onOwnThread { pool.close() }
        }

        func table(
            _ lines: String, hosts: String? = nil, settings: DatabaseSettings = DatabaseSettings()
        ) throws -> PgsqlTable {
            let file = try PgsqlFile(PostgreSQLTests.head(self.server, hosts: hosts) + lines + "\n")
            let table = try PgsqlTable(name: "pgsql:test", file: file, settings: settings) { line in
                self.reports.withLock { $0.append(line) }
            }
            self.tables.withLock { $0.append(table) }
            return table
        }

        func end() async throws {
            let tables = self.tables.withLock { $0 }
            try await onOwnThread { for table in tables { table.close() } }
        }
    }

    private func withServer(_ body: (Fixture) async throws -> Void) async throws {
        let fixture = try await onOwnThread { try Fixture() }
        do {
            try await fixture.fill()
            try await body(fixture)
            try await fixture.end()
        } catch {
            try? await fixture.end()  // The first error is the one to report.
            throw error
        }
    }

    @Test func `keys are found whatever stands in them, and never become part of a statement`() async throws {
        try await self.withServer { fixture in
            for query in [
                "SELECT address FROM users WHERE address = '%s' AND active",
                "SELECT address FROM users WHERE local = '%u' AND domain = '%d' AND active",
                "SELECT address FROM users WHERE address = '%u@%d' AND active",
                "SELECT address FROM users WHERE address LIKE '%%%d' AND local = E'%s' IS NOT TRUE AND local = '%u' AND active",
                "SELECT address FROM users WHERE local = '%u' AND domain = '%2.%1' AND active",
            ] {
                let table = try fixture.table("query = \(query)")
                #expect(await table.lookup("a@example.test") == .found("a@example.test"), "\(query)")
                #expect(await table.lookup("ü@example.test") == .found("ü@example.test"), "\(query)")
                let odd = #"o'b"\$1%x@example.test"#
                #expect(await table.lookup(odd) == .found(odd), "\(query)")
                for key in ["old@example.test", "x' OR '1'='1@example.test", "b@example.test", "a", "@"] {
                    #expect(await table.lookup(key) == .missing, "\(query): \(key)")
                }
            }
        }
    }

    @Test func `a directory finds addresses, their extensions and whole domains`() async throws {
        try await self.withServer { fixture in
            let table = try fixture.table(
                "query = SELECT address FROM users WHERE address = '%s' AND active\nlist_query = SELECT address FROM users ORDER BY 1"
            )
            let keys = AddressKeys(delimiter: "+")
            for (address, isFound) in [
                ("A@Example.test", true), ("a+x@example.test", true), ("whoever@all.test", true),
                ("old@example.test", false), ("all@example.test", false),
            ] {
                let answer = await table.answer(try #require(Mailbox(address)), keys)
                if isFound, case .found = answer { continue }
                #expect(!isFound && answer == .missing, "\(address): \(answer)")
            }
            let list = try #require(await table.list()).get()
            #expect(list.count == 5 && list.first == "@all.test")
        }
    }

    @Test func `while the server is away what it said before counts, and nobody is unknown`() async throws {
        try await self.withServer { fixture in
            let table = try fixture.table("query = SELECT address FROM users WHERE address = '%s' AND active")
            #expect(await table.lookup("a@example.test") == .found("a@example.test"))
            #expect(await table.lookup("b@example.test") == .missing)
            fixture.server.kill()
            for _ in 0..<10 {
                #expect(await table.lookup("a@example.test") == .found("a@example.test"))
                guard case .failed = await table.lookup("b@example.test") else {
                    Issue.record("unknown while the server is away")
                    continue
                }
            }
            try await onOwnThread { try fixture.server.start() }
            #expect(await table.lookup("b@example.test") == .missing)
            #expect(fixture.reports.withLock { $0.count } == 2)
        }
    }

    @Test func `a connection that broke is made again within the same question`() async throws {
        try await self.withServer { fixture in
            var settings = DatabaseSettings()
            settings.connections = 1
            let table = try fixture.table("query = SELECT '%s' FROM users LIMIT 1", settings: settings)
            let other = try DatabasePool(table.file.targets)
            for number in 0..<3 {
                #expect(await table.lookup("\(number)") == .found("\(number)"))
                _ = try await other.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'mail'"
                ).get()
            }
            try await onOwnThread { other.close() }
            #expect(fixture.reports.withLock { $0 } == [])
        }
    }

    @Test func `a statement that takes too long and one that is wrong are failures, not missing keys`() async throws {
        try await self.withServer { fixture in
            var settings = DatabaseSettings()
            settings.timeout = .seconds(1)
            for query in [
                "SELECT pg_sleep(600), '%s'", "SELECT address FROM nothing WHERE address = '%s'",
                "SELECT 1 FROM users WHERE address = '%s' +",
            ] {
                let table = try fixture.table("query = \(query)", settings: settings)
                guard case .failed = await table.lookup("a@example.test") else {
                    Issue.record("\(query) does not fail")
                    continue
                }
            }
            let table = try fixture.table("query = SELECT address FROM users\nexpansion_limit = 2")
            guard case .failed(let reason) = await table.lookup("a@example.test") else {
                Issue.record("more values than are allowed")
                return
            }
            #expect(reason.contains("more than 2"))
        }
    }

    @Test func `another server is asked if one does not answer`() async throws {
        try await self.withServer { fixture in
            let dead = try freePort()
            let (host, port) = (fixture.server.address.host, fixture.server.address.port)
            let table = try fixture.table(
                "query = SELECT address FROM users WHERE address = '%s'", hosts: "\(host):\(dead), \(host):\(port)")
            for _ in 0..<20 { #expect(await table.lookup("a@example.test") == .found("a@example.test")) }
            #expect(fixture.reports.withLock { $0 } == [])
        }
    }

    @Test func `a URI says all that is needed, and its password is not told`() async throws {
        try await self.withServer { fixture in
            let server = "\(fixture.server.address.host):\(fixture.server.address.port)"
            let right = try fixture.table(
                "query = SELECT address FROM users WHERE address = '%s'",
                hosts: "postgresql://mail:it%27s%20%5C%20secret@\(server)/postgres")
            #expect(await right.lookup("a@example.test") == .found("a@example.test"))
            let wrong = try fixture.table(
                "query = SELECT '%s'", hosts: "postgresql://mail:wrongpassword@\(server)/postgres")
            guard case .failed(let reason) = await wrong.lookup("a@example.test") else {
                Issue.record("a wrong password is taken")
                return
            }
            #expect(reason.contains("authentication") && !reason.contains("wrongpassword"))
        }
    }
}
