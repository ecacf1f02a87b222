/// A real PostgreSQL with a data base of its own, `mail`, and the user `mail`, who needs a password.
///
/// It refuses to run as root: in its ``PrivateRoot`` it is an account that exists nowhere else.
package final class PostgreSQLServer: Sendable {
    package let address: Endpoint
    /// Has what stands for SQL in SQL: nobody may paste it anywhere.
    package static let password = "it's \\ secret"
    private let root: PrivateRoot
    private let process = PeerProcess()

    private static let account = PrivateRoot.Account("postgres", 3)
    private static let programs = "/usr/lib/postgresql/15/bin"

    package init(host: String = "127.0.0.1") throws {
        self.address = try .free(host)
        self.root = try PrivateRoot(.postgresql, accounts: [Self.account])
        let folder = self.root.folder
        try folder.make(folder: "data", mode: 0o700, user: Self.account.id, group: Self.account.id)
        try folder.write("password", Self.password + "\n")
        var make = try self.root.program(
            "\(Self.programs)/initdb",
            [
                "--pgdata", folder.path("data"), "--username", "mail", "--pwfile", folder.path("password"),
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale", "--no-sync",
            ], as: Self.account)
        make.environment["LC_ALL"] = "C"
        try make.runOrThrow()
        try self.start()
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var log: String { self.process.output }

    /// Starts it again, on the same port and with the data it has.
    package func start() throws {
        let settings = [
            "listen_addresses=\(self.address.host)", "port=\(self.address.port)", "unix_socket_directories=",
            "fsync=off", "jit=off", "max_connections=20", "shared_buffers=16MB", "autovacuum=off",
        ]
        var server = try self.root.program(
            "\(Self.programs)/postgres",
            ["-D", self.root.folder.path("data")] + settings.flatMap { ["-c", $0] }, as: Self.account)
        server.environment["LC_ALL"] = "C"
        try self.process.start(server, self.address)
        try eventually("a data base that is ready") { self.log.contains("ready to accept connections") }
    }

    /// Ends it as a crash would; it recovers at its next start.
    package func kill() { self.process.kill() }
}
