import Foundation
import Mail
import Rules
import SMTP
import Testing

/// What chasquid's own tests say to a server, said to our session: the codes are the same, or the difference is named.
///
/// The dialogs are not ours to copy. `POSTERN_CORPUS` names a folder that holds chasquid's source as `smtp/chasquid`.
struct CorpusTests {
    static let folder = ProcessInfo.processInfo.environment["POSTERN_CORPUS"].map { "\($0)/smtp/chasquid/test" }

    /// Where we answer otherwise, by file: which of its expectations, counted from 1, our code, and why.
    private static let differences: [String: [Int: (code: Int, reason: String)]] = [
        "bad_data.cmy": [
            10: (250, "a header that cannot be parsed is not for a relay to refuse (RFC 5321 §6.4)")
        ],
        "bad_mail_from.cmy": [4: (501, "MAIL FROM: is a known command; what lacks is its path")],
        "bad_rcpt_to.cmy": [5: (501, "RCPT TO: is a known command; what lacks is its path")],
        "line_too_long.cmy": [2: (501, "the line is below our limit, but no host has so long a name")],
    ]

    /// Files that need what we do not have: AUTH, TLS on connect, chasquid's own commands.
    private static func isComparable(_ text: String) -> Bool {
        !text.contains("AUTH") && !text.contains("tls_connect")
            && text.split(separator: "\n").allSatisfy { $0.hasPrefix("c ") || $0.hasPrefix("#") }
    }

    @Test(.enabled(if: Self.folder != nil, "POSTERN_CORPUS names no corpus"))
    func `chasquid's dialogs get the codes that chasquid gives`() throws {
        let folder = try #require(Self.folder)
        let files = (FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? [])
            .filter { $0.hasSuffix(".cmy") }.sorted()
        var compared = 0
        for file in files {
            let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
            guard Self.isComparable(text) else { continue }
            compared += 1
            try self.replay(text, (file as NSString).lastPathComponent)
        }
        #expect(compared >= 10)
    }

    private func driver() throws -> SessionDriver {
        var limits = SessionLimits()
        limits.messageSize = ByteCount(1 << 20)
        limits.lineEndings = .reject
        let policy = RelayPolicy(
            relayDomains: DomainSet(keys: ["testserver"]), relayNetworks: [],
            recipients: try TextTable("user@testserver ok\n"), unverified: .refused, postmaster: nil, delimiter: nil)
        return SessionDriver(limits: limits, policy: policy)
    }

    private func replay(_ text: String, _ file: String) throws {
        var driver = try self.driver()
        var replies = Replies()
        var expectations = 0
        for line in text.split(separator: "\n") where line.hasPrefix("c ") {
            let words = line.dropFirst(2).drop { $0 == " " }
            let rest = String(words.drop { $0 != " " }.dropFirst())
            switch words.prefix(while: { $0 != " " }) {
            case "tcp_connect":
                driver = try self.driver()
                replies = Replies()
            case "close": driver.disconnect()
            case "->": driver.send(Array((rest.trimmingCharacters(in: .whitespaces) + "\r\n").utf8))
            case "~>": driver.send(try Self.evaluate(rest))
            case "<-", "<~", "<...":
                expectations += 1
                try replies.add(driver.takeOutput())
                let reply = replies.next()
                let expected = Self.differences[file]?[expectations]?.code ?? Int(rest.prefix(3))
                #expect(
                    reply?.code == expected,
                    "\(file), expectation \(expectations): \(rest); \(reply?.oneLine ?? "none")")
            default: Issue.record("\(file): \(line)")
            }
        }
    }

    /// An expression such as `('a' * 3 + '\r\n') * 2`.
    private static func evaluate(_ text: String) throws -> [UInt8] {
        var scanner = Expression(rest: Array(text.utf8)[...])
        let value = try scanner.sum()
        guard scanner.isAtEnd else { throw Dialog.Unreadable(line: text) }
        return value
    }

    private struct Expression {
        var rest: ArraySlice<UInt8>

        var isAtEnd: Bool { self.rest.allSatisfy { $0 == 0x20 } }

        private mutating func skip(_ character: Character) -> Bool {
            self.rest = self.rest.drop { $0 == 0x20 }
            guard self.rest.first == character.asciiValue else { return false }
            self.rest.removeFirst()
            return true
        }

        mutating func sum() throws -> [UInt8] {
            var value = try self.product()
            while self.skip("+") { value += try self.product() }
            return value
        }

        private mutating func product() throws -> [UInt8] {
            var value = try self.term()
            while self.skip("*") {
                self.rest = self.rest.drop { $0 == 0x20 }
                let digits = self.rest.prefix { ASCII.isDigit($0) }
                self.rest = self.rest.dropFirst(digits.count)
                let count = Int(String(decoding: digits, as: UTF8.self)) ?? 0
                value = Array(repeatElement(value, count: count).joined())
            }
            return value
        }

        private mutating func term() throws -> [UInt8] {
            if self.skip("(") {
                let value = try self.sum()
                guard self.skip(")") else { throw Dialog.Unreadable(line: "no closing parenthesis") }
                return value
            }
            guard self.skip("'") else { throw Dialog.Unreadable(line: "no string") }
            var value: [UInt8] = []
            while let byte = self.rest.popFirst(), byte != UInt8(ascii: "'") {
                guard byte == UInt8(ascii: "\\"), let escape = self.rest.popFirst() else {
                    value.append(byte)
                    continue
                }
                value.append(escape == UInt8(ascii: "n") ? 10 : escape == UInt8(ascii: "r") ? 13 : escape)
            }
            return value
        }
    }
}
