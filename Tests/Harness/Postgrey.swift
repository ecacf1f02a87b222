/// A real postgrey: a policy service that greylists.
package final class Postgrey: Sendable {
    package let address: Endpoint
    private let folder: TemporaryFolder
    private let process = PeerProcess()
    private let program: Program

    /// - Parameters:
    ///   - delaySeconds: how long it sends away whom it does not know.
    ///   - clients: patterns of those that are let in unasked, in its format.
    package init(delaySeconds: Int = 1, clients: String = "") throws {
        self.address = try .free()
        self.folder = try TemporaryFolder()
        let allowed = try self.folder.write("clients", clients)
        let script = try PeerPackage.postgrey.find("/usr/sbin/postgrey")
        // Its first line asks for taint mode, in which nothing is taken from the environment.
        let perl = ["-T"] + PeerPackage.postgrey.perlFolders.map { "-I\($0)" } + [script]
        self.program = Program(
            "/usr/bin/perl",
            perl + [
                "--inet=\(self.address)", "--dbdir=\(self.folder.path)", "--delay=\(delaySeconds)",
                // It keeps the test's account, and lets nobody else in unasked.
                "--user=root", "--group=root", "--whitelist-clients=\(allowed)", "--whitelist-recipients=/dev/null",
                "--auto-whitelist-clients=0",
            ])
        try self.start()
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var log: String { self.process.output }

    /// Starts it again; it remembers whom it has seen.
    package func start() throws { try self.process.start(self.program, self.address) }

    package func stop() throws { try self.process.stop() }
}
