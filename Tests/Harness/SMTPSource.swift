/// What Postfix's `smtp-source` sends.
package struct SMTPSource: Sendable {
    package var messages = 1
    /// Sessions at the same time.
    package var sessions = 1
    /// Of the body.
    package var bytes = 1024
    package var reversePath = "sender@client.example.test"
    package var forwardPath = "user@example.test"
    /// Others, such as `-d` (keep the connection) or `-N` (number the recipients).
    package var options: [String] = []

    package init() {}

    /// Sends all of it.
    ///
    /// - Returns: how long that took, to the last reply.
    /// - Throws: when a message is refused, or when it takes longer.
    @discardableResult
    package func send(to server: Endpoint, within limit: Duration = .seconds(120)) throws -> Duration {
        let program = try self.program(server)
        return try ContinuousClock().measure { try program.runOrThrow(within: limit) }
    }

    /// Begins to send. The rest is not sent when the last reference goes.
    package func start(to server: Endpoint) throws -> Subprocess { try Subprocess(self.program(server)) }

    private func program(_ server: Endpoint) throws -> Program {
        try PeerPackage.postfix.program(
            "/usr/sbin/smtp-source",
            [
                "-m", String(self.messages), "-s", String(self.sessions), "-l", String(self.bytes),
                "-f", self.reversePath, "-t", self.forwardPath,
            ] + self.options + [server.description])
    }
}
