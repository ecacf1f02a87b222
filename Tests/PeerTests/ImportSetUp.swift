import Foundation
import Harness
import Testing

/// A set-up of somebody, as it is on his machine: texts by their paths below `/etc`.
struct ImportSetUp: Sendable, CustomTestStringConvertible {
    /// What is not as he has it, and why.
    struct Change: Sendable {
        enum Kind: Sendable {
            case replaces(String, with: String)
            /// Lines at the end, or a file that is not there.
            case adds(String)
            /// A parameter of one line, in its place if it is there.
            case sets(String, to: String)
        }

        let file: String
        let kind: Kind
        let reason: String

        init(_ file: String, replacing old: String, with new: String, _ reason: String) {
            (self.file, self.kind, self.reason) = (file, .replaces(old, with: new), reason)
        }

        init(_ file: String, adding text: String, _ reason: String) {
            (self.file, self.kind, self.reason) = (file, .adds(text), reason)
        }

        /// Of `main.cf`. Twice there, Postfix warns of a parameter in every process, also in the one that writes the log,
        /// which then may wait for itself.
        init(setting name: String, to value: String, _ reason: String) {
            (self.file, self.kind, self.reason) = ("postfix/main.cf", .sets(name, to: value), reason)
        }

        /// - Throws: if there is nothing to change, which would be a change that nobody knows of.
        func apply(to files: inout [String: String]) throws {
            switch self.kind {
            case .adds(let text): files[self.file, default: ""] += text
            case .sets(let name, let value):
                let lines = (files[self.file] ?? "").split(separator: "\n", omittingEmptySubsequences: false)
                    .filter { $0.prefix { !" \t=".contains($0) } != name }
                files[self.file] = lines.joined(separator: "\n") + "\(name) = \(value)\n"
            case .replaces(let old, let new):
                guard let text = files[self.file], text.contains(old) else {
                    throw HarnessError("\(self.file) has no '\(old)', which is changed since \(self.reason)")
                }
                files[self.file] = text.replacing(old, with: new)
            }
        }
    }

    let name: String
    var testDescription: String { self.name }
    let files: @Sendable () throws -> [String: String]
    /// For both sides: what is imported has them too.
    let changes: [Change]
    /// For Postfix alone: what a test's Postfix must have.
    let postfixChanges: [Change]
    /// Keys of Postern's configuration at the top, with what they have instead; empty for none.
    let posternKeys: [(key: String, text: String, reason: String)]
    /// Names of users that its services run as.
    let accounts: [String]
    let packages: [PeerPackage]
    /// Whether it has a postgrey, which lets `postfix/postgrey_whitelist_clients.local` in at once.
    let hasPostgrey: Bool
    /// Addresses that Postfix rewrites, which Postern leaves to the primary: what came to one goes on to the other.
    let aliases: [String: String]
    /// What EHLO offers on one side only, and why.
    let keywords: (postfix: Set<String>, postern: Set<String>)

    /// Where they lie: beside a checkout, not in it, because of their licences.
    static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/corpus/configs")

    static var isThere: Bool { FileManager.default.fileExists(atPath: Self.corpus.path) }

    static let all = [Self.frjo, Self.mattbrock]
}

extension ImportSetUp {
    private static let hasty = Change(
        setting: "smtpd_error_sleep_time", to: "0",
        "an answer that is late by a second after each error says nothing more")

    /// What any Postfix of a test has.
    fileprivate static let usual: [Change] = [
        .init(
            "postfix/main.cf", adding: "maillog_file = /var/log/postfix/log\nmaillog_file_prefixes = /var/log\n",
            "there is no syslog in a test"),
        .init(
            "postfix/master.cf", replacing: "\nqmgr ", with: "\n#qmgr ",
            "no mail leaves the test, or comes back: what is taken stays where it is looked at"),
        .init(setting: "in_flow_delay", to: "0", "nobody takes mail out of the queue, which is no reason to be slow"),
        .init(setting: "inet_interfaces", to: "loopback-only", "a test listens for nobody else"),
    ]

    /// A role of Ansible for relays in front of other people's servers, with postscreen.
    ///
    /// https://github.com/frjo/ansible-roles
    static let frjo = ImportSetUp(
        name: "frjo",
        files: {
            let texts = try RoleTemplates(
                role: Self.corpus.appendingPathComponent("frjo-ansible-roles/mailrelay").path, below: "etc",
                variables: [
                    "ansible_fqdn": .text("mx2.relay.example"), "ansible_domain": .text("relay.example"),
                    // A key as customers of the list have it.
                    "zen_rbl": .text("k3yk3yk3yk3yk3yk3yk3y.zen.dq.spamhaus.net"),
                    "transport_list": .list([
                        .map([
                            "domain": .text("example.com"), "server": .text("mail.example.com"), "port": .text("25"),
                        ]),
                        .map([
                            "domain": .text("customer.example"), "server": .text("[127.0.0.9]"),
                            "port": .text("2525"),
                        ]),
                        .map([
                            "domain": .text("all.example"), "server": .text("mail.example.com"), "port": .text("25"),
                        ]),
                    ]),
                    "recipient_list": .list(
                        ["info@example.com", "First.Last@example.com", "user+tag@example.com", "@all.example"].map {
                            .text($0)
                        }),
                ],
                files: [
                    "files/recipients/customer.example":
                        "boss@customer.example    OK\nsub@deep.customer.example    OK\n"
                ]
            ).rendered()
            let pair = try Self.certificate.get()
            return texts.merging([
                "aliases": "postmaster: root\n", "ssl/letsencrypt/mx2.relay.example/signed.crt": pair.certificate,
                "ssl/letsencrypt/domain.key": pair.key, "ssl/letsencrypt/chain.pem": pair.certificate,
            ]) { $1 }
        },
        changes: [
            .init(
                "postfix/client_access.cidr",
                adding: "198.18.66.0/24 reject\n198.18.67.0/24 permit\n198.18.68.0/24 dunno\n2001:2::66:0/112 reject\n",
                "its comment says what an administrator writes here; the role has no entries"),
            .init(
                setting: "postscreen_greet_wait", to: "3s",
                "the test waits for each client that is new"),
            Self.hasty,
        ],
        postfixChanges: Self.usual + [
            .init(
                setting: "postscreen_upstream_proxy_protocol", to: "haproxy",
                "clients have addresses of which there are none on this machine"),
            .init(
                "postfix/master.cf", replacing: "smtp      inet", with: "LISTEN inet",
                "port 25 is not the test's"),
            .init(
                "postfix/master.cf", replacing: "user=policyd-spf argv=/usr/bin/policyd-spf",
                with: "user=policyd-spf argv=/usr/bin/python3 /etc/policyd-spf.py "
                    + "/etc/postfix-policyd-spf-python/policyd-spf.conf",
                "the program's own start is not unpacked, all of its code is"),
            .init("policyd-spf.py", adding: Self.policyd, "the start of policyd-spf"),
        ],
        posternKeys: [], accounts: ["policyd-spf"], packages: [.authentication],
        hasPostgrey: false, aliases: ["postmaster": "root@relay.example"],
        // Domains get their mail when they come up, without asking; HELP says nothing that helps an attacker.
        keywords: (postfix: ["ETRN"], postern: ["HELP"]))

    /// https://github.com/mattbrock: a mail system of a company, whose incoming part this is.
    static let mattbrock = ImportSetUp(
        name: "mattbrock",
        files: {
            let folder = Self.corpus.appendingPathComponent("mattbrock")
            var files = [
                "aliases": try String(contentsOf: folder.appendingPathComponent("postfix/aliases"), encoding: .utf8),
                "python-policyd-spf/policyd-spf.conf": try String(
                    contentsOf: folder.appendingPathComponent("pypolicyd-spf/policyd-spf.conf"), encoding: .utf8),
            ]
            files["postfix/postgrey_whitelist_clients.local"] = try String(
                contentsOf: folder.appendingPathComponent("postgrey/postgrey_whitelist_clients.local"), encoding: .utf8)
            files["sysconfig/postgrey"] = try String(
                contentsOf: folder.appendingPathComponent("postgrey/postgrey"), encoding: .utf8)
            let pair = try Self.certificate.get()
            files["pki/tls/mail.pem"] = pair.certificate + pair.key
            files["ssl/certs/ca-bundle.crt"] = pair.certificate
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path + "/postfix")
            where name != "aliases" {
                files["postfix/\(name)"] = try String(
                    contentsOf: folder.appendingPathComponent("postfix/\(name)"), encoding: .utf8)
            }
            return files
        },
        changes: [
            .init(setting: "myhostname", to: "mx2.company.com", "the machine of the test has another"),
            .init(
                "postfix/access",
                adding: "198.18.66.1 REJECT Go away\n198.18.66 554 5.7.9 Your network is blocked\n198.18.66.3 OK\n",
                "main.cf names it, and it is not there"),
            .init("postfix/bounce.cf", adding: "# None.\n", "main.cf names it, and it is not there"),
            .init(
                "postfix/access_dynamic", adding: "198.18.64.1 REJECT\nbad.example REJECT Own words\n",
                "main.cf names it: a script of his writes addresses there that fail to log in"),
            .init(
                "postfix/postgrey_whitelist_clients.local", adding: "198.18.97.0/24\n",
                "most sessions are not about greylisting, and nobody waits for five minutes"),
            .init(
                "postfix/main.cf", replacing: "  sleep 20\n", with: "",
                "the client is held up, and nothing else comes of it"),
            .init(
                "postfix/main.cf", replacing: "_file = # redacted for security", with: "_file = /etc/pki/tls/mail.pem",
                "it is redacted"),
            .init(
                setting: "smtpd_milters", to: "",
                "OpenDKIM verifies and signs: neither answers a client"),
            Self.hasty,
        ],
        postfixChanges: Self.usual + [
            .init(
                setting: "smtpd_upstream_proxy_protocol", to: "haproxy",
                "clients have addresses of which there are none on this machine"),
            .init(
                setting: "daemon_directory", to: "/usr/lib/postfix/sbin",
                "he has CentOS, and the test Debian"),
            .init(
                "postfix/master.cf", replacing: "smtp      inet", with: "LISTEN inet",
                "port 25 is not the test's"),
            .init(
                "postfix/master.cf", replacing: "argv=/bin/python /usr/libexec/postfix/policyd-spf",
                with: "argv=/usr/bin/python3 /etc/policyd-spf.py /etc/python-policyd-spf/policyd-spf.conf",
                "the program's own start is not unpacked, all of its code is"),
            .init("policyd-spf.py", adding: Self.policyd, "the start of policyd-spf"),
            .init(
                "postfix/main.cf", replacing: "unix:postgrey/socket", with: "inet:POSTGREY",
                "it runs beside Postfix's view of the machine"),
            .init(
                "postfix/master.cf", adding: "postlog unix-dgram n - n - 1 postlogd\n", "there is no syslog in a test"),
        ],
        posternKeys: [], accounts: [], packages: [.authentication],
        hasPostgrey: true,
        aliases: [
            "info@company.com": "bill@company.com", "enquiries@company.com": "dave@company.com",
            "bounces@company.com": "bounces@mx2.company.com", "donotreply@company.com": "donotreply@mx2.company.com",
        ],
        // Nobody logs in here, and his compatibility level is that of Postfix before SMTPUTF8.
        keywords: (
            postfix: [
                "ETRN",
                "AUTH SCRAM-SHA-512 SCRAM-SHA-384 SCRAM-SHA-256 SCRAM-SHA-224 SCRAM-SHA-1 DIGEST-MD5 CRAM-MD5 NTLM "
                    + "PLAIN LOGIN",
            ], postern: ["HELP", "SMTPUTF8"]
        ))

    /// Texts of a certificate that nobody vouches for.
    private static let certificate = Result { () throws -> (certificate: String, key: String) in
        let folder = try TemporaryFolder()
        let made = try CertificateAuthority.selfSigned("mx2.relay.example", "mx2.company.com", in: folder)
        return (
            try String(contentsOfFile: made.certificate, encoding: .utf8),
            try String(contentsOfFile: made.key, encoding: .utf8)
        )
    }

    private static let policyd = """
        import sys
        sys.path.insert(0, "/usr/lib/python3/dist-packages")
        from spf_engine.policyd_spf import main
        main()

        """
}
