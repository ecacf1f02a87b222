import Foundation

/// A view of the file system in which a package is installed and configured, while on the machine it is not.
///
/// Mail servers have paths compiled in, insist on accounts of their own and on files that belong to root, and give
/// up privileges. In a mount namespace the package's `/usr` is laid over the machine's, a folder of the test's over
/// `/etc`, with accounts that exist nowhere else, and other folders of the test's replace what the server writes
/// to. A process namespace holds all that it starts: when its first process ends, so do the others.
/// The network is the machine's. Needs root, for the mounts and because the servers change users, and a kernel with
/// overlayfs.
struct PrivateRoot: Sendable {
    /// An account that exists only here, with a group of its own and its name.
    struct Account: Sendable {
        let name: String
        let id: UInt32

        init(_ name: String, _ number: UInt32) {
            self.name = name
            // A range that Debian gives to nobody (Policy 9.2.2): no process of the machine has such an ID.
            self.id = 65100 + number
        }
    }

    /// The account that mail is delivered to.
    static let inbox = Account("inbox", 9)

    let package: PeerPackage
    /// More of them, that it runs programs of.
    let others: [PeerPackage]
    let folder: TemporaryFolder
    /// Folders of the test's that replace those of the machine: `/var/spool` is `var/spool` in the test's folder.
    let replaced: [String]

    /// Writes the accounts, and makes name look-ups end on this machine.
    init(
        _ package: PeerPackage, with others: [PeerPackage] = [], accounts: [Account], replaced: [String] = []
    ) throws {
        guard geteuid() == 0 else {
            throw HarnessError("\(package) needs root: mount namespaces, and servers that change users")
        }
        self.package = package
        self.others = others
        self.folder = try TemporaryFolder()
        self.replaced = replaced
        let accounts = accounts + [Self.inbox]
        try self.folder.write(
            "etc/passwd",
            (["root:x:0:0::/root:/bin/sh", "nobody:x:65534:65534::/:/bin/sh"]
                + accounts.map { "\($0.name):x:\($0.id):\($0.id)::/:/bin/sh" })
                .joined(separator: "\n") + "\n")
        try self.folder.write(
            "etc/group",
            (["root:x:0:", "nogroup:x:65534:"] + accounts.map { "\($0.name):x:\($0.id):" })
                .joined(separator: "\n") + "\n")
        try self.folder.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        try self.folder.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
        try self.folder.write("etc/resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")
        for path in replaced { try self.folder.make(folder: String(path.dropFirst())) }
        try self.folder.make(folder: "mail", mode: 0o700, user: Self.inbox.id, group: Self.inbox.id)
    }

    /// Where mail is delivered to; the account `inbox` owns the folder above.
    var maildir: Maildir { Maildir(path: self.folder.path("mail/inbox")) }

    /// A program of the package, in this view.
    ///
    /// - Parameters:
    ///   - path: where it would be installed.
    ///   - account: who runs it; root if it is nil.
    func program(_ path: String, _ arguments: [String], as account: Account? = nil) throws -> Program {
        _ = try self.package.find(path)
        var script = ["set -eu"]
        for (top, layers) in [("/usr", []), ("/etc", [self.folder.path("etc")])] {
            let existing = ([self.package] + self.others).map { $0.root + top }
                .filter { FileManager.default.fileExists(atPath: $0) }
            let stack = (layers + existing + [top]).joined(separator: ":")
            script.append("mount -t overlay -o \(Self.quoted("lowerdir=\(stack)")) postern-test \(top)")
        }
        script += self.replaced.map { "mount --bind \(Self.quoted(self.folder.path + $0)) \($0)" }
        let identity = account.map { "setpriv --reuid \($0.id) --regid \($0.id) --clear-groups " } ?? ""
        script.append("exec \(identity)\"$0\" \"$@\"")
        var program = Program(
            "/usr/bin/unshare",
            ["--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", script.joined(separator: "\n"), path]
                + arguments)
        program.isNamespace = true
        return program
    }

    private static func quoted(_ text: String) -> String {
        "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
