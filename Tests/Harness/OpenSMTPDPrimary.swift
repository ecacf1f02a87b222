/// A real OpenSMTPD as the primary.
///
/// Its queue, its socket, its chroot, its delivery programs and its accounts have their places compiled in; in its
/// ``PrivateRoot`` they are there. It looks up the client's name in the DNS at 127.0.0.1 and does without it.
/// It adds a Date or Message-ID to a message that has none, and writes no Return-Path for the null reverse-path.
package final class OpenSMTPDPrimary: Primary {
    package let address: Endpoint
    private let root: PrivateRoot
    private let process = PeerProcess()

    package convenience init(host: String, domains: [String], recipients: Recipients) throws {
        try self.init(host: host, domains: domains, recipients: recipients, listener: "")
    }

    /// - Parameters:
    ///   - listener: more options of the listener, such as `tls pki primary`.
    ///   - settings: more lines of the configuration file.
    package init(
        host: String = "127.0.0.1", domains: [String] = ["example.test"], recipients: Recipients = .all,
        listener: String = "", settings: [String] = []
    ) throws {
        self.address = try .free(host)
        let accounts = [PrivateRoot.Account("opensmtpd", 1), PrivateRoot.Account("opensmtpq", 2)]
        self.root = try PrivateRoot(.opensmtpd, accounts: accounts, replaced: ["/var/spool", "/var/lib", "/run"])
        try self.root.folder.make(folder: "var/spool/smtpd", mode: 0o711)
        try self.root.folder.make(folder: "var/lib/opensmtpd/empty")
        let mailboxes =
            switch recipients {
            case .all: ["@"]
            case .only(let mailboxes): mailboxes
            }
        let table = mailboxes.map { "\"\($0)\" = \"\(PrivateRoot.inbox.name)\"" }.joined(separator: ", ")
        let lines =
            settings + [
                "listen on \(host) port \(self.address.port) hostname primary.example.test \(listener)",
                "smtp max-message-size \"100M\"",
                "table inboxes { \(table) }",
                "action \"inbox\" maildir \"\(self.root.maildir.path)\" virtual <inboxes>",
            ] + domains.map { "match from any for domain \"\($0)\" action \"inbox\"" }
        try self.root.folder.write("etc/smtpd.conf", lines.joined(separator: "\n") + "\n")
        try self.start()
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var maildir: Maildir { self.root.maildir }
    package var log: String { self.process.output }

    package func start() throws {
        try self.process.start(self.root.program("/usr/sbin/smtpd", ["-d"]), self.address)
    }

    package func stop() throws { try self.process.stop() }
    package func kill() { self.process.kill() }
}
