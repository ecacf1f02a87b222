import Foundation
import Harness

/// A set-up run by Postfix, and what `postern import postfix` makes of it run by Postern, with the same names.
final class ImportWorld: Sendable {
    let setUp: ImportSetUp
    let script: ImportScript
    let postfix: PostfixInstance
    let postern: PosternProcess
    /// Of Postfix and of Postern, where load balancers connect.
    let entrances: [Endpoint]
    /// What the import said.
    let report: String
    private let zones: ZoneTexts
    private let server: NSD
    private let names: Unbound
    private let postgrey: Postgrey?

    init(_ setUp: ImportSetUp) throws {
        self.setUp = setUp
        self.script = try ImportScript(file: "\(setUp.name).sessions")
        let zones = try ZoneTexts(file: "Imports/names.zones")
        let server = try NSD(zones: zones.now)
        // Where the names are for Postfix, which knows only port 53. Other programs have no business at this address.
        let names = try Unbound(
            host: "127.155.\(Int.random(in: 0...255)).\(Int.random(in: 1...254))", port: 53,
            stubs: Dictionary(uniqueKeysWithValues: zones.now.keys.map { ($0, server.address) }),
            settings: ["broken.example", "mail.example.com", "aspmx.l.google.com", "3.2.18.198.in-addr.arpa"].map {
                "local-zone: \"\($0)\" always_refuse"
            } + ["rrset-roundrobin: no"])
        var files = try setUp.files()
        for change in setUp.changes { try change.apply(to: &files) }
        self.entrances = [try .free(), try .free()]
        (self.postern, self.report) = try Self.postern(setUp, files, names.address, self.entrances[1])
        let clients = files["postfix/postgrey_whitelist_clients.local"]
        let postgrey = setUp.hasPostgrey ? try Postgrey(delaySeconds: 300, clients: clients ?? "") : nil
        self.postfix = try Self.postfix(
            setUp, files, names.address, self.entrances[0], postgrey?.address)
        (self.zones, self.server, self.names, self.postgrey) = (zones, server, names, postgrey)
    }

    /// From now on lists of DNS have more entries.
    func listMore() throws { try self.server.serve(self.zones.later) }

    /// What both have logged of a client, for the report of a failure.
    func logs(of client: String) -> String {
        (self.postfix.log + self.postern.log).split(separator: "\n").filter { line in
            line.contains("[\(client)]") || line.contains("=\(client):") || line.contains("addr \(client) ")
                || line.contains("dnsblog") && line.contains("warning")
        }.joined(separator: "\n")
    }

    // MARK: Postfix

    static func postfix(
        _ setUp: ImportSetUp, _ files: [String: String], _ names: Endpoint, _ address: Endpoint, _ postgrey: Endpoint?
    ) throws -> PostfixInstance {
        var files = files
        for change in setUp.postfixChanges { try change.apply(to: &files) }
        files["postfix/master.cf"] = files["postfix/master.cf"]?.replacing("LISTEN", with: "\(address)")
        files["postfix/main.cf"] = files["postfix/main.cf"]?.replacing("POSTGREY", with: "\(postgrey ?? address)")
        files["resolv.conf"] = "nameserver \(names.host)\noptions attempts:3 timeout:2\n"
        let main = files["postfix/main.cf"] ?? ""
        let indexed = Set(
            main.split(separator: "\n").filter { !$0.hasPrefix("#") }.flatMap { line in
                line.matches(of: /\bhash:\/etc\/([\w\/]+)/).map { String($0.1) }
            })
        return try PostfixInstance(
            at: address, files: files, tables: indexed.sorted().map { ("hash", $0) }, accounts: setUp.accounts,
            packages: setUp.packages)
    }

    // MARK: Postern

    private static func postern(
        _ setUp: ImportSetUp, _ files: [String: String], _ names: Endpoint, _ entrance: Endpoint
    ) throws -> (PosternProcess, String) {
        let folder = try TemporaryFolder()
        for (path, text) in files { try folder.write("etc/\(path)", text) }
        var program = Program(
            PosternProcess.program, ["import", "postfix", folder.path("etc/postfix"), "--output", folder.path("made")])
        program.errors = .unnamed
        let imported = try program.runOrThrow()
        let address = try Endpoint.free()
        let keys =
            setUp.posternKeys.map { ($0.key, $0.text) } + [
                ("listen", "[\"\(address)\"]"), ("state", folder.path("state")), ("control", folder.path("control")),
                ("rules", folder.path("made/rules")),
                ("resolver", "{forwarders: [\"\(names)\"], timeout: 2s}"),
                ("proxy", "{listen: [\"\(entrance)\"], networks: [127.0.0.0/8]}"),
                ("reply_reference", "false"),
            ]
        var text = folder.text("made/postern.yaml")
        for (key, value) in keys { text = Self.setting(key, to: value, in: text) }
        try folder.write("postern.yaml", text)
        return (try PosternProcess(configured: folder, at: address), imported.output + imported.errors)
    }

    /// A configuration with another value of a key at the top, or with that key.
    private static func setting(_ key: String, to value: String, in text: String) -> String {
        var lines: [Substring] = []
        var isLeftOut = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if !line.hasPrefix(" "), !line.hasPrefix("-"), !line.isEmpty { isLeftOut = line.hasPrefix("\(key):") }
            if !isLeftOut { lines.append(line) }
        }
        return lines.joined(separator: "\n") + (value.isEmpty ? "" : "\(key): \(value)\n")
    }
}
