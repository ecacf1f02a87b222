import Foundation
import Mail
import Rules
import SMTP
import Screener
import Testing

/// A script of `Tests/Dialogs`; its README tells what the lines mean.
struct Dialog: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        case send([UInt8])
        case expect(code: Int, text: String?)
        case expectClose
        case handshake
    }

    let name: String
    private(set) var steps: [Step] = []
    private(set) var limits = SessionLimits()
    private(set) var isTrusted = false
    private(set) var tls = ServerSession.TLSOffer.none
    /// The tests of the screener that are made in the session; nil if nobody is screened.
    private(set) var screener: ScreenerOptions?
    /// The screener's access list rejects the client.
    private(set) var isRejected = false

    var testDescription: String { self.name }

    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Dialogs").path

    static let all: [Dialog] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: Self.folder)) ?? []
        return files.filter { $0.hasSuffix(".dialog") }.sorted().compactMap { try? Dialog(file: $0) }
    }()

    struct Unreadable: Error {
        let line: String
    }

    init(file: String) throws {
        self.name = file
        let text = try String(contentsOfFile: "\(Self.folder)/\(file)", encoding: .utf8)
        for line in text.split(separator: "\n") where !line.hasPrefix("#") { try self.read(String(line)) }
    }

    private mutating func read(_ line: String) throws {
        let rest = String(line.dropFirst(2)).trimmingCharacters(in: CharacterSet(charactersIn: " "))
        switch line.prefix(2) {
        case "C:": self.steps.append(.send(Self.octets(String(line.dropFirst(3))) + Array("\r\n".utf8)))
        case "c:": self.steps.append(.send(Self.octets(String(line.dropFirst(3)))))
        case "S:" where rest == "close": self.steps.append(.expectClose)
        case "S:":
            guard let code = Int(rest.prefix(3)) else { throw Unreadable(line: line) }
            self.steps.append(.expect(code: code, text: rest.count > 3 ? rest : nil))
        case "T:": self.steps.append(.handshake)
        case "@ " where rest.hasPrefix("tls="): self.tls = try Self.offer(rest.dropFirst("tls=".count))
        case "@ " where rest == "trusted": self.isTrusted = true
        case "@ " where rest == "rejected":
            self.isRejected = true
            self.screener = ScreenerOptions()
        case "@ " where rest.hasPrefix("screener."):
            var screener = self.screener ?? ScreenerOptions()
            screener.pregreet = .off
            try Self.set(rest.dropFirst("screener.".count), in: &screener)
            self.screener = screener
        case "@ ": try Self.set(rest[...], in: &self.limits)
        default: throw Unreadable(line: line)
        }
    }

    private static func offer(_ text: Substring) throws -> ServerSession.TLSOffer {
        switch text {
        case "offered": .offered
        case "required": .required
        case "implicit": .implicit
        default: throw Unreadable(line: String(text))
        }
    }

    private static func set<Group: Options>(_ text: Substring, in group: inout Group) throws {
        let parts = text.split(separator: "=").map(String.init)
        guard parts.count == 2, let field = Group.fields.first(where: { $0.key == parts[0] }) else {
            throw Unreadable(line: String(text))
        }
        try field.set(&group, OptionNode(.scalar(parts[1]), at: OptionPlace(line: 1, column: 1)))
    }

    /// What the screener asks of the session.
    var screening: SessionScreening {
        if self.isRejected {
            return SessionScreening(refusal: Reply(550, .init(3, 2), "Service currently unavailable"))
        }
        let actions = ScreeningTest.allCases.filter { !$0.isEarly }.compactMap { test in
            self.screener?.setting(of: test).action.map { (test, $0) }
        }
        return SessionScreening(actions: Dictionary(uniqueKeysWithValues: actions))
    }

    private static func octets(_ text: String) -> [UInt8] {
        var scanner = ByteScanner(text)
        var output: [UInt8] = []
        while let byte = scanner.next() {
            guard byte == UInt8(ascii: "\\"), let next = scanner.next() else {
                output.append(byte)
                continue
            }
            switch next {
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "0"): output.append(0)
            case UInt8(ascii: "x"):
                let digits = [scanner.next(), scanner.next()].compactMap { $0 }
                output.append(UInt8(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0x3F)
            default: output.append(next)
            }
        }
        return output
    }

    var policy: RelayPolicy {
        get throws {
            let recipients = try TextTable(
                "user@example.test ok\nother@example.test ok\nuser+tag@example.test ok\nδοκιμή@example.test ok\n@open.test ok\n"
            )
            return RelayPolicy(
                relayDomains: DomainSet(keys: ["example.test", "open.test"]),
                relayNetworks: self.isTrusted ? [try IPNetwork("127.0.0.0/8")] : [], recipients: [recipients],
                unverified: .refused, postmaster: Mailbox("postmaster@example.test"), delimiter: nil)
        }
    }
}

/// What a server said, reply by reply.
struct Replies {
    private var parser = ReplyParser()
    private var lines = LineFramer(limitBytes: 4096)
    private var bytes: [UInt8] = []
    private(set) var list: [Reply] = []

    mutating func add(_ bytes: [UInt8]) throws {
        self.bytes += bytes
        while true {
            let (consumed, frame) = self.bytes.withUnsafeBytes { self.lines.next($0) }
            self.bytes.removeFirst(consumed)
            guard case .line(let line, let isBare)? = frame else { return }
            #expect(!isBare)
            if let reply = try self.parser.next(line) { self.list.append(reply) }
        }
    }

    /// Takes the next reply; nil if there is none.
    mutating func next() -> Reply? { self.list.isEmpty ? nil : self.list.removeFirst() }
}

func expect(_ reply: Reply?, code: Int, text: String?, in dialog: Dialog, step: Int) {
    #expect(reply?.code == code, "\(dialog.name), step \(step + 1): \(reply?.oneLine ?? "no reply")")
    guard let text, let reply else { return }
    let last = Reply(code: reply.code, detail: reply.detail, lines: [reply.lines.last ?? ""])
    #expect(last.oneLine == text, "\(dialog.name), step \(step + 1)")
}
