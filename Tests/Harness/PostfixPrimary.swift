import Foundation

/// A real Postfix as the primary.
///
/// Its master runs as root in a ``PrivateRoot`` and finds its accounts there: `mail_owner` must be unprivileged and
/// share its ID with no other account, and so must `setgid_group`. System accounts would do (`mail_owner = news`),
/// but then a test would run as somebody.
package final class PostfixPrimary: Primary {
    package let address: Endpoint
    private let root: PrivateRoot
    private let process = PeerProcess()
    private let domains: [String]
    private let recipients: Recipients
    private let isScreened: Bool
    private let services: String
    private let servers: [Server]

    /// One more SMTP server of it, with settings of its own.
    package struct Server: Sendable {
        let address: Endpoint
        let settings: [String: String]

        package init(_ address: Endpoint, settings: [String: String]) {
            self.address = address
            self.settings = settings
        }

        /// Its entry of `master.cf`.
        fileprivate var entry: String {
            let host = self.address.isV6 ? "[\(self.address.host)]" : self.address.host
            let options = self.settings.map { "  -o { \($0) = \($1) }\n" }.sorted().joined()
            return "\(host):\(self.address.port) inet n - n - - smtpd\n\(options)"
        }
    }

    private static let owner = PrivateRoot.Account("postfix", 1)
    private static let dropGroup = PrivateRoot.Account("postdrop", 2)
    private static let usualServices = """
        cleanup   unix  n - n - 0 cleanup
        qmgr      unix  n - n 300 1 qmgr
        rewrite   unix  - - n - - trivial-rewrite
        bounce    unix  - - n - 0 bounce
        defer     unix  - - n - 0 bounce
        trace     unix  - - n - 0 bounce
        error     unix  - - n - - error
        retry     unix  - - n - - error
        tlsmgr    unix  - - n 1000? 1 tlsmgr
        virtual   unix  - n n - - virtual
        anvil     unix  - - n - 1 anvil
        postlog   unix-dgram n - n - 1 postlogd

        """
    /// What postscreen works with.
    private static let screeningServices = """
        smtpd     pass  - - n - - smtpd
        dnsblog   unix  - - n - 0 dnsblog
        tlsproxy  unix  - - n - 0 tlsproxy

        """

    package convenience init(host: String, domains: [String], recipients: Recipients) throws {
        try self.init(host: host, domains: domains, recipients: recipients, settings: [:])
    }

    /// - Parameters:
    ///   - settings: lines of `main.cf`, over those that are here.
    ///   - isScreened: postscreen listens, and has the server behind it.
    ///   - sends: it has a client for SMTP, for mail that goes on.
    ///   - servers: they listen too.
    ///   - files: more of them, or others, by their place in its view of the machine, such as `etc/resolv.conf`.
    ///   - users: who may log in, with their passwords, by Cyrus SASL; their realm is that of ``userRealm``.
    package init(
        host: String = "127.0.0.1", domains: [String] = ["example.test"], recipients: Recipients = .all,
        settings: [String: String] = [:], isScreened: Bool = false, sends: Bool = false, servers: [Server] = [],
        files: [String: String] = [:], users: [String: String] = [:]
    ) throws {
        self.address = try .free(host)
        self.domains = domains
        self.recipients = recipients
        self.isScreened = isScreened
        self.services = Self.usualServices + (sends ? "smtp unix - - n - - smtp\n" : "")
        self.servers = servers
        self.root = try PrivateRoot(.postfix, accounts: [Self.owner, Self.dropGroup])
        try self.layOut()
        for (name, text) in files { try self.root.folder.write(name, text) }
        if !users.isEmpty { try self.add(users) }
        try self.start(settings: settings)
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var maildir: Maildir { self.root.maildir }
    package var log: String { self.root.folder.text("log/maillog") }

    /// A message in its queue; nil if it is in none.
    package func queued(_ id: String) throws -> PostfixMessage? {
        try PostfixMessage.find(id, in: self.root.folder.path("queue"))
    }

    /// Starts it again with other settings; it must have been stopped.
    package func start(settings: [String: String]) throws {
        let lines = self.settings.merging(settings) { $1 }.map { "\($0) = \($1)\n" }
        try self.root.folder.write("etc/postfix/main.cf", lines.sorted().joined())
        try self.start()
    }

    package func start() throws {
        // Init mode: it is the first process of its namespace, and would not end on SIGTERM otherwise.
        let master = try self.root.program("/usr/lib/postfix/sbin/master", ["-i"])
        try self.process.start(master, self.address) { self.log + self.complaint }
        for server in self.servers {
            do { try waitForPort(server.address) } catch { throw HarnessError("\(error)\n\(self.log)") }
        }
    }

    package func stop() throws { try self.process.stop() }
    package func kill() { self.process.kill() }

    /// What is wrong in `main.cf`. The master says it to syslog only; any tool says it to standard error.
    private var complaint: String {
        // No second error hides the first.
        let tool = try? self.root.program("/usr/sbin/postmap", ["-q", "nobody", "texthash:/etc/postfix/mailboxes"])
        return (try? tool?.run().output) ?? ""
    }

    // MARK: Files

    private func layOut() throws {
        let folder = self.root.folder
        let queues = "active bounce corrupt defer deferred flush hold incoming private saved trace"
        for name in ["data"] + queues.split(separator: " ").map({ "queue/\($0)" }) {
            try folder.make(folder: name, mode: 0o700, user: Self.owner.id)
        }
        try folder.make(folder: "queue/pid")
        try folder.make(folder: "queue/maildrop", mode: 0o730, user: Self.owner.id, group: Self.dropGroup.id)
        try folder.make(folder: "queue/public", mode: 0o710, user: Self.owner.id, group: Self.dropGroup.id)
        try folder.make(folder: "log")
        let host = self.address.isV6 ? "[\(self.address.host)]" : self.address.host
        let entrance = self.isScreened ? "1 postscreen\n\(Self.screeningServices)" : "- smtpd\n"
        try folder.write(
            "etc/postfix/master.cf",
            "\(host):\(self.address.port) inet n - n - \(entrance)" + self.services
                + self.servers.map(\.entry).joined())
        try folder.write(
            "etc/postfix/dynamicmaps.cf",
            "pcre postfix-pcre.so dict_pcre_open\nlmdb postfix-lmdb.so dict_lmdb_open mkmap_lmdb_open\n")
        let mailboxes =
            switch self.recipients {
            case .all: self.domains.map { "@\($0)" }
            case .only(let mailboxes): mailboxes
            }
        try folder.write("etc/postfix/mailboxes", mailboxes.map { "\($0) inbox/\n" }.joined())
    }

    /// The realm of its users: `me@login.test`.
    package static let userRealm = "login.test"

    /// Makes the data base that Cyrus SASL finds passwords in. The settings must let it be used:
    /// `smtpd_sasl_auth_enable`.
    private func add(_ users: [String: String]) throws {
        let database = self.root.folder.path("etc/sasldb2")
        for (user, password) in users {
            var program = try self.root.program(
                "/usr/sbin/saslpasswd2", ["-p", "-c", "-f", database, "-u", Self.userRealm, user])
            program.input = Array(password.utf8)
            try program.runOrThrow()
        }
        guard chown(database, Self.owner.id, Self.owner.id) == 0 else {
            throw HarnessError("cannot hand over \(database)", code: errno)
        }
        try self.root.folder.write(
            "etc/postfix/sasl/smtpd.conf",
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: \(database)\n"
                + "mech_list: PLAIN LOGIN SCRAM-SHA-256\n")
    }

    private var settings: [String: String] {
        let path = self.root.folder.path
        return [
            "compatibility_level": "3.6",
            "mail_owner": Self.owner.name, "setgid_group": Self.dropGroup.name,
            "queue_directory": "\(path)/queue", "data_directory": "\(path)/data",
            "maillog_file": "\(path)/log/maillog", "maillog_file_prefixes": path,
            "myhostname": "primary.example.test", "inet_interfaces": "loopback-only", "inet_protocols": "all",
            "mynetworks": "", "mydestination": "", "alias_maps": "", "local_recipient_maps": "",
            "local_transport": "error:no local mail", "default_transport": "error:no mail leaves this machine",
            "virtual_mailbox_domains": self.domains.joined(separator: ", "),
            "virtual_mailbox_maps": "texthash:/etc/postfix/mailboxes", "virtual_mailbox_base": "\(path)/mail",
            "virtual_uid_maps": "static:\(PrivateRoot.inbox.id)", "virtual_gid_maps": "static:\(PrivateRoot.inbox.id)",
            "virtual_mailbox_limit": "0", "message_size_limit": "104857600",
            // Nothing is added to the header of a message that comes from this machine.
            "local_header_rewrite_clients": "",
            // Postfix's own choice is to defer what it will not relay.
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "disable_dns_lookups": "yes", "smtpd_peername_lookup": "no", "smtpd_client_connection_count_limit": "0",
            "in_flow_delay": "0",
        ]
    }
}
