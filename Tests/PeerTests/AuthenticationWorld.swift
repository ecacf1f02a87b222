import Foundation
import Harness
import NIOCore
import NIOPosix

/// Domains with keys and policies at a real name server, Postern in front of a primary that keeps what it gets, and
/// what other people's programs say of that.
///
/// Mail from ``sender`` passes SPF for `good.test`, and other domains here let nobody send.
final class AuthenticationWorld {
    static let sender = "127.0.0.5"
    static let stranger = "127.0.0.9"
    /// In `relay_networks`.
    static let ours = "127.0.0.7"

    struct Key {
        let selector: String
        let domain: String
        let file: String
        /// For a zone file.
        let line: String
        let record: String
        let pem: String

        var name: String { "\(self.selector)._domainkey.\(self.domain)" }
        var settings: String { "{domain: \(self.domain), selector: \(self.selector), key: \(self.file)}" }
    }

    let keys: [String: Key]
    let server: NSD
    let sink: SMTPSink
    let postern: PosternProcess
    private let folder: TemporaryFolder
    private let silence: SilentNames?

    /// - Parameters:
    ///   - keys: `selector._domainkey.domain`; the selector `ed` is for Ed25519.
    ///   - records: of the root zone, beside the usual ones.
    ///   - authentication: the lines below `authentication`, beside `enabled`, made with the keys.
    ///   - silent: domains whose name server never answers.
    ///   - rules: files in the folder for rules.
    ///   - primary: where the mail goes, if not to the sink.
    init(
        keys names: [String] = [], records: String = "", authentication: ([String: Key]) -> String = { _ in "" },
        silent: [String] = [], primary: Endpoint? = nil, transport: ((Endpoint) -> String)? = nil, more: String = "",
        rules: [String: String] = [:], isEnabled: Bool = true
    ) throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        var keys: [String: Key] = [:]
        for name in names { keys[name] = try Self.key(name, folder) }
        self.keys = keys
        let lines = keys.values.map(\.line).joined(separator: "\n")
        self.server = try NSD(zones: [".": Self.zone + lines + "\n" + records + "\n"])
        self.silence = silent.isEmpty ? nil : try SilentNames(silent, others: self.server.address)
        self.sink = try SMTPSink(keepsMessages: true)
        let target = primary ?? self.sink.address
        let section = (["enabled: \(isEnabled)"] + authentication(keys).split(separator: "\n").map(String.init))
            .map { "  \($0)\n" }.joined()
        self.postern = try PosternProcess(
            primary: target, transport: transport.map { $0(target) }, networks: "[\(Self.ours)/32]",
            more: "forwarder: {probe_minimum: 1s, probe_maximum: 1s}\nauthentication:\n\(section)\(more)",
            resolver: self.silence.map { "{forwarders: [\"\($0.resolver.address)\"], timeout: 4s}" }
                ?? "{forwarders: [\"\(self.server.address)\"], timeout: 5s}", starts: false)
        for (name, text) in rules { try self.postern.folder.write("rules/\(name)", text) }
        try self.postern.start()
    }

    private static let zone = """
        $ORIGIN .
        $TTL 300
        . SOA ns.test. hostmaster.test. 1 3600 900 604800 60
        . NS ns.test.
        ns.test. A 127.0.0.1
        good.test. TXT "v=spf1 ip4:127.0.0.5 -all"
        _dmarc.good.test. TXT "v=DMARC1; p=reject"
        mail.good.test. A 127.0.0.5
        reject.test. TXT "v=spf1 -all"
        _dmarc.reject.test. TXT "v=DMARC1; p=reject"

        """

    private static func key(_ name: String, _ folder: TemporaryFolder) throws -> Key {
        guard let range = name.firstRange(of: "._domainkey.") else { throw HarnessError("\(name) is no key") }
        let (selector, domain) = (String(name[..<range.lowerBound]), String(name[range.upperBound...]))
        let type = selector == "ed" ? ["--type", "ed25519"] : ["--bits", "1024"]
        var program = Program(
            PosternProcess.program,
            ["dkim", "genkey", "--domain", domain, "--selector", selector, "--out", folder.path(name)] + type)
        program.errors = .unnamed
        let lines = try program.runOrThrow().output.split(separator: "\n").map(String.init)
        return Key(
            selector: selector, domain: domain, file: folder.path(name), line: lines[0], record: lines[1],
            pem: folder.text(name))
    }

    // MARK: Clients

    static func message(from author: String, subject: String = "hello", body: String = "Hello,\r\n\r\nworld.\r\n")
        -> [UInt8]
    {
        Array(
            """
            From: Somebody <\(author)>\r
            To: user@example.test\r
            Date: Sat, 21 Nov 2026 04:50:00 +0000\r
            Message-ID: <\(subject)@client.test>\r
            Subject: \(subject)\r
            \r
            \(body)
            """.utf8)
    }

    @discardableResult
    func send(
        _ message: [UInt8], from reversePath: String, client: String = AuthenticationWorld.sender,
        helo: String = "mail.good.test", to recipients: [String] = ["user@example.test"]
    ) throws -> SMTPClient.Reply {
        let connection = try SMTPClient(self.postern.address, from: client)
        _ = try connection.reply()
        try connection.command("EHLO \(helo)")
        return try connection.sendMessage(from: reversePath, to: recipients, message)
    }

    // MARK: What arrived

    /// Waits for so many messages; the last one.
    func arrived(_ count: Int = 1, at other: SMTPSink? = nil) throws -> ReceivedMessage {
        let sink = other ?? self.sink
        try sink.wait(for: count)
        guard let message = try sink.messages().last else { throw HarnessError("no message") }
        return ReceivedMessage(message)
    }

    // MARK: Peers

    /// All keys, for those who do not ask DNS.
    var peerNames: PeerNames {
        PeerNames(
            Dictionary(uniqueKeysWithValues: self.keys.values.map { ($0.name, PeerNames.Records(texts: [$0.record])) }))
    }

    func plan(_ name: String) throws -> PythonAuthentication.SigningPlan {
        guard let key = self.keys[name] else { throw HarnessError("no key \(name)") }
        var plan = PythonAuthentication.SigningPlan(selector: key.selector, domain: key.domain, key: key.pem)
        guard key.selector == "ed" else { return plan }
        // PKCS #8 (RFC 8410 §7) ends with the seed.
        let text = key.pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
        guard let der = Data(base64Encoded: text) else { throw HarnessError("no PEM: \(key.pem)") }
        plan = PythonAuthentication.SigningPlan(
            selector: key.selector, domain: key.domain, key: der.suffix(32).base64EncodedString())
        plan.algorithm = "ed25519-sha256"
        return plan
    }

    /// A message with dkimpy's signature.
    func signed(_ message: [UInt8], by key: String) throws -> [UInt8] {
        let answer = try PythonAuthentication.ask(.dkimSign(message, self.plan(key)))
        guard let field = answer.fields?.first else { throw HarnessError("not signed: \(answer)") }
        return Array(field.utf8) + message
    }

    /// Whether dkimpy finds each signature valid.
    func verdicts(of message: ReceivedMessage) throws -> [Bool] {
        try PythonAuthentication.ask(.dkimVerify(message.bytes, self.peerNames)).signatures?.map(\.valid) ?? []
    }

    func openDKIM(_ message: ReceivedMessage) throws -> [String] {
        try OpenDKIM.verify(
            message.bytes, keys: Dictionary(uniqueKeysWithValues: self.keys.values.map { ($0.name, $0.record) })
        ).results
    }
}

/// A resolver for which some domains have a name server that takes questions and never answers.
private final class SilentNames {
    let resolver: Unbound
    private let server: any Channel

    init(_ domains: [String], others: Endpoint) throws {
        let endpoint = try Endpoint.free()
        self.server = try DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: endpoint.host, port: endpoint.port).wait()
        self.resolver = try Unbound(
            stubs: Dictionary(uniqueKeysWithValues: domains.map { ($0, endpoint) }), forwards: ["test": others])
    }

    deinit { self.server.close(promise: nil) }
}

/// A message as the primary has it.
struct ReceivedMessage {
    /// With CRLF.
    let bytes: [UInt8]
    /// Unfolded, from the top: `name: value` with the line ends that are in it.
    let fields: [String]

    init(_ message: SMTPSink.Message) {
        let lines = message.content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        self.bytes = Array(lines.joined(separator: [13, 10]))
        var fields: [String] = []
        for line in lines.prefix(while: { !$0.isEmpty }).map({ String(decoding: $0, as: UTF8.self) }) {
            if line.first == " " || line.first == "\t", let last = fields.popLast() {
                fields.append(last + "\r\n" + line)
            } else {
                fields.append(line)
            }
        }
        self.fields = fields
    }

    var text: String { String(decoding: self.bytes, as: UTF8.self) }

    var names: [String] { self.fields.map { String($0.prefix { $0 != ":" }) } }

    func all(_ name: String) -> [String] { self.fields.filter { $0.hasPrefix("\(name):") } }

    /// What authres reads in the first Authentication-Results: `spf=pass` and so on.
    func results() throws -> (server: String, methods: [String], properties: [[String: String?]]) {
        guard let field = self.all("Authentication-Results").first else {
            throw HarnessError("no results: \(self.text)")
        }
        let answer = try PythonAuthentication.ask(.authenticationResults(field: field))
        guard let server = answer.server, let results = answer.results else {
            throw HarnessError("\(answer): \(field)")
        }
        return (server, results.map { "\($0.method)=\($0.result)" }, results.map(\.properties))
    }
}
