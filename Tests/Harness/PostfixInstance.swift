import Foundation

/// A Postfix with the whole configuration of somebody, at the places where it is on his machine: `/etc/postfix`,
/// `/var/spool/postfix`, `/var/lib/postfix`.
///
/// Its log is at `/var/log/postfix`, if its configuration says so. Services that run in a chroot have there what Debian
/// copies into it.
package final class PostfixInstance: Sendable {
    private let root: PrivateRoot
    private let process = PeerProcess()
    private static let queues = "active bounce corrupt defer deferred flush hold incoming private saved trace"

    /// - Parameters:
    ///   - address: where its configuration says that clients connect.
    ///   - files: texts by their paths below `/etc`.
    ///   - tables: those that are indexed, by their paths below `/etc`, with the type that the set-up has.
    ///   - accounts: names of users, besides its own, that its services run as.
    ///   - packages: whose programs its services run.
    package init(
        at address: Endpoint, files: [String: String], tables: [(type: String, path: String)], accounts: [String],
        packages: [PeerPackage]
    ) throws {
        let owner = PrivateRoot.Account("postfix", 1)
        let dropGroup = PrivateRoot.Account("postdrop", 2)
        let others = accounts.enumerated().map { PrivateRoot.Account($1, UInt32(10 + $0)) }
        self.root = try PrivateRoot(
            .postfix, with: packages, accounts: [owner, dropGroup] + others,
            replaced: ["/var/spool", "/var/lib", "/var/log"])
        let folder = self.root.folder
        for name in ["var/lib/postfix"] + Self.queues.split(separator: " ").map({ "var/spool/postfix/\($0)" }) {
            try folder.make(folder: name, mode: 0o700, user: owner.id)
        }
        try folder.make(folder: "var/spool/postfix/pid")
        try folder.make(folder: "var/spool/postfix/maildrop", mode: 0o730, user: owner.id, group: dropGroup.id)
        try folder.make(folder: "var/spool/postfix/public", mode: 0o710, user: owner.id, group: dropGroup.id)
        try folder.make(folder: "var/log/postfix")
        try folder.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
        try folder.write("etc/postfix/dynamicmaps.cf", "pcre postfix-pcre.so dict_pcre_open\n")
        for (path, text) in files { try folder.write("etc/\(path)", text) }
        for name in ["hosts", "nsswitch.conf", "resolv.conf"] {
            try folder.write("var/spool/postfix/etc/\(name)", folder.text("etc/\(name)"))
        }
        // Laid over the machine's, /etc cannot be written to: the files are given by where they really are.
        for table in tables {
            let tool = table.path == "aliases" ? "/usr/sbin/postalias" : "/usr/sbin/postmap"
            try self.root.program(tool, ["\(table.type):\(folder.path("etc/\(table.path)"))"]).runOrThrow()
        }
        // Init mode: it is the first process of its namespace, and would not end on SIGTERM otherwise.
        let master = try self.root.program("/usr/lib/postfix/sbin/master", ["-i"])
        try self.process.start(master, address) { self.log + self.complaint }
    }

    deinit { self.process.kill() }  // Before its folder goes.

    package var log: String { self.root.folder.text("var/log/postfix/log") }

    /// Its queue, where services that listen on a socket of the file system have it.
    package var queueFolder: String { self.root.folder.path("var/spool/postfix") }

    /// A message in its queue; nil if it is in none.
    package func queued(_ id: String) throws -> PostfixMessage? {
        try PostfixMessage.find(id, in: self.queueFolder)
    }

    /// What a tool of Postfix has to say about the configuration.
    package var complaint: String {
        // No second error hides the first.
        let tool = try? self.root.program("/usr/sbin/postconf", ["-n"])
        return (try? tool?.run().errorsAndOutput) ?? ""
    }
}

extension Finished {
    fileprivate var errorsAndOutput: String { self.errors + self.output }
}
