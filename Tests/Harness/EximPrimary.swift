/// A real Exim as the primary.
///
/// It trusts only the configuration file whose path was compiled in and the account `Debian-exim`, by name; both
/// are there in its ``PrivateRoot``.
package final class EximPrimary: Primary {
    package let address: Endpoint
    private let root: PrivateRoot
    private let process = PeerProcess()

    package convenience init(host: String, domains: [String], recipients: Recipients) throws {
        try self.init(host: host, domains: domains, recipients: recipients, settings: [:])
    }

    /// - Parameter settings: options of the main section.
    package init(
        host: String = "127.0.0.1", domains: [String] = ["example.test"], recipients: Recipients = .all,
        settings: [String: String] = [:]
    ) throws {
        self.address = try .free(host)
        let account = PrivateRoot.Account("Debian-exim", 1)
        self.root = try PrivateRoot(.exim, accounts: [account])
        for name in ["spool", "log"] {
            try self.root.folder.make(folder: name, mode: 0o750, user: account.id, group: account.id)
        }
        let main = Self.main(self.address, self.root.folder, domains).merging(settings) { $1 }
        try self.root.folder.write(
            "etc/exim4/exim4.conf",
            main.map { "\($0) = \($1)\n" }.sorted().joined()
                + "domainlist local_domains = \(domains.joined(separator: " : "))\n"
                + Self.acceptance(recipients) + Self.delivery(into: self.root.maildir))
        try self.start()
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var maildir: Maildir { self.root.maildir }
    package var log: String { self.root.folder.text("log/mainlog") + self.root.folder.text("log/rejectlog") }

    package func start() throws {
        let daemon = try self.root.program("/usr/sbin/exim4", ["-bdf", "-q1m"])
        try self.process.start(daemon, self.address) { self.log }
    }

    package func stop() throws { try self.process.stop() }
    package func kill() { self.process.kill() }

    // MARK: Configuration

    private static func main(_ address: Endpoint, _ folder: TemporaryFolder, _ domains: [String]) -> [String: String] {
        [
            "primary_hostname": "primary.example.test",
            // The separator of lists is a colon, if nothing else is said.
            "local_interfaces": "<; \(address.host)", "daemon_smtp_ports": "\(address.port)",
            "spool_directory": folder.path("spool"), "log_file_path": folder.path("log/%slog"),
            "acl_smtp_rcpt": "check_rcpt", "message_size_limit": "100M", "smtp_accept_max": "0",
            "host_lookup": "", "rfc1413_hosts": "", "tls_advertise_hosts": "", "keep_environment": "",
        ]
    }

    private static func acceptance(_ recipients: Recipients) -> String {
        let condition =
            switch recipients {
            case .all: ""
            case .only(let mailboxes): "recipients = \(mailboxes.joined(separator: " : "))"
            }
        return """
            begin acl
            check_rcpt:
              accept domains = +local_domains
                     \(condition)
              deny domains = +local_domains
                   message = 5.1.1 Unknown user
              deny message = 5.7.1 Relaying denied

            """
    }

    private static func delivery(into maildir: Maildir) -> String {
        """
        begin routers
        inbox:
          driver = accept
          domains = +local_domains
          transport = inbox
        begin transports
        inbox:
          driver = appendfile
          maildir_format
          directory = \(maildir.path)
          user = \(PrivateRoot.inbox.name)
          group = \(PrivateRoot.inbox.name)
          return_path_add
          envelope_to_add
        begin retry
        * * F,1h,1m

        """
    }
}
