import Foundation
import Mail
import Rules
import SMTP
import Testing

/// Dialogs that others wrote for their server; only the codes of replies are compared.
///
/// They lie beside a checkout, not in it, because of their licences: `../shared/corpus/smtp/chasquid`.
struct CollectedDialogTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared/corpus/smtp/chasquid/test")

    private static let files: [String] = {
        let all = (try? FileManager.default.subpathsOfDirectory(atPath: Self.folder.path)) ?? []
        // There is no AUTH here: nobody submits mail to a relay at the edge.
        return all.filter { $0.hasSuffix(".cmy") && !$0.contains("/auth_") }.sorted()
    }()

    /// Where we say something else, after what the client sent last, and why.
    private static let differences = [
        // Header fields are not parsed while receiving.
        "bad_data.cmy: .": 250,
        // The command is known, its argument is not understood: RFC 5321 §4.2.4.
        "bad_rcpt_to.cmy: RCPT TO:": 501, "bad_mail_from.cmy: MAIL FROM:": 501,
        // A line of this length we take; the name in it is too long for one.
        "line_too_long.cmy: HELO": 501,
    ]

    @Test(.enabled(if: !Self.files.isEmpty, "the corpus is not beside this checkout"), arguments: Self.files)
    func `a collected dialog gets the same codes`(file: String) throws {
        let text = try String(contentsOf: Self.folder.appendingPathComponent(file), encoding: .utf8)
        let name = (file as NSString).lastPathComponent
        var driver = try Self.driver()
        var pending: [UInt8] = []
        var sent = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: true) where line.hasPrefix("c ") {
            let parts = line.dropFirst(2).split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
            let argument = parts.count > 1 ? String(parts[1]) : ""
            switch parts[0] {
            case "tcp_connect": (driver, pending, sent) = (try Self.driver(), [], "")
            case "->":
                sent = argument
                driver.send(Array(argument.utf8) + [13, 10])
            case "~>": driver.send(try #require(PythonText(argument)).bytes)
            case "<-", "<~", "<...":
                pending += driver.takeOutput()
                let code = try #require(Int(argument.prefix(3)), "\(argument)")
                let wanted = Self.differences["\(name): \(sent.prefix(10).prefix { $0 != "a" }.trimmed)"] ?? code
                #expect(Self.takeReply(&pending) == wanted, "\(name): \(line)")
            case "close", "tls_connect": break
            default: Issue.record("\(name): \(line) is not understood")
            }
        }
    }

    /// As the dialogs expect: a megabyte a message, and bare line ends refused.
    private static func driver() throws -> SessionDriver {
        var limits = SessionLimits()
        limits.messageSize = ByteCount(1 << 20)
        limits.lineEndings = .reject
        let policy = RelayPolicy(
            relayDomains: DomainSet(keys: ["testserver"]), relayNetworks: [],
            recipients: [try TextTable("user@testserver ok\n")], unverified: .refused, postmaster: nil, delimiter: nil)
        return SessionDriver(limits: limits, policy: policy)
    }

    /// Takes the first reply and returns its code.
    private static func takeReply(_ bytes: inout [UInt8]) -> Int? {
        while let end = bytes.firstIndex(of: 10) {
            let line = String(decoding: bytes[..<end], as: UTF8.self)
            bytes.removeSubrange(...end)
            if line.dropFirst(3).first != "-" { return Int(line.prefix(3)) }
        }
        return nil
    }
}

extension Substring {
    fileprivate var trimmed: Substring { self.last == " " ? self.dropLast() : self }
}

/// Octets written as a Python expression of strings, `+`, `*` and parentheses.
private struct PythonText {
    private var rest: Substring
    private(set) var bytes: [UInt8] = []

    init?(_ text: String) {
        self.rest = text[...]
        guard let bytes = self.sum(), self.rest.allSatisfy(\.isWhitespace) else { return nil }
        self.bytes = bytes
    }

    private mutating func sum() -> [UInt8]? {
        guard var result = self.product() else { return nil }
        while self.take("+") {
            guard let next = self.product() else { return nil }
            result += next
        }
        return result
    }

    private mutating func product() -> [UInt8]? {
        guard var result = self.term() else { return nil }
        while self.take("*") {
            self.skipBlanks()
            let digits = self.rest.prefix(while: \.isNumber)
            self.rest = self.rest.dropFirst(digits.count)
            guard let count = Int(digits) else { return nil }
            result = Array(repeatElement(result, count: count).joined())
        }
        return result
    }

    private mutating func term() -> [UInt8]? {
        if self.take("(") {
            let inner = self.sum()
            return self.take(")") ? inner : nil
        }
        guard self.take("'") else { return nil }
        var result: [UInt8] = []
        while let character = self.rest.popFirst(), character != "'" {
            guard character == "\\" else {
                result += Array(String(character).utf8)
                continue
            }
            switch self.rest.popFirst() {
            case "r": result.append(13)
            case "n": result.append(10)
            default: return nil
            }
        }
        return result
    }

    private mutating func take(_ character: Character) -> Bool {
        self.skipBlanks()
        guard self.rest.first == character else { return false }
        self.rest.removeFirst()
        return true
    }

    private mutating func skipBlanks() { self.rest = self.rest.drop(while: \.isWhitespace) }
}
