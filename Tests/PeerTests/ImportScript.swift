import Foundation
import Harness

/// A file of `Tests/Imports`: sessions in front of a set-up of Postfix, and of what Postern makes of it.
///
/// `[name]` begins a part. Sessions are those of ``SmtpdScript``, in which `{3 WORDS}` are the words three times.
/// `CLIENT hasty | …` sends the first commands before the greeting is complete, and `data:NAME` a message that
/// `content NAME` and indented lines give: `|` is an empty line, `{3 lines}` are lines of text. From `lists later` on the
/// lists of DNS have more entries; clients of sessions behind it have been there before.
///
/// Where both sides mean to say different things, indented lines under the session have what each of them says and does
/// from there on, and why: `postfix:`, `postern:`, `because:`. `open:` is a difference that shall not stay.
struct ImportScript: Sendable {
    struct Session: Sendable {
        /// With its part.
        let name: String
        let session: SmtpdScript.Session
        let isLater: Bool
        fileprivate(set) var difference: [String: String] = [:]
    }

    private(set) var sessions: [Session] = []
    /// With CRLF.
    private(set) var contents: [String: String] = [:]

    private var part = ""
    private var content: String?
    private var isLater = false

    init(file name: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Imports/\(name)")
        let text = try String(contentsOf: file, encoding: .utf8)
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            do { try self.read(String(line)) } catch { throw HarnessError("\(name):\(index + 1): \(error)") }
        }
    }

    private mutating func read(_ line: String) throws {
        if line.hasPrefix("    ") { return try self.readIndented(String(line.dropFirst(4))) }
        let words = line.split(separator: " ").map(String.init)
        guard let first = words.first, !first.hasPrefix("#") else { return }
        self.content = nil
        if first.hasPrefix("[") {
            self.part = String(line.dropFirst().dropLast())
        } else if first == "content", words.count == 2 {
            self.content = words[1]
            self.contents[words[1]] = ""
        } else if words == ["lists", "later"] {
            self.isLater = true
        } else {
            let isHasty = words.count > 1 && words[1] == "hasty"
            let expanded = line.replacing(/\{(\d+) ([^}]+)\}/) { match in
                Array(repeating: match.2, count: Int(match.1) ?? 0).joined(separator: " ")
            }.split(separator: " ").map(String.init)
            var session = try SmtpdScript.session(isHasty ? [first] + expanded.dropFirst(2) : expanded)
            session.isHasty = isHasty
            self.sessions.append(
                Session(name: "\(self.part): \(words.joined(separator: " "))", session: session, isLater: self.isLater))
        }
    }

    private mutating func readIndented(_ line: String) throws {
        if let content { return self.contents[content, default: ""] += Self.expanded(line) + "\r\n" }
        guard let last = self.sessions.indices.last,
            let match = line.wholeMatch(of: /(postfix|postern|because|open): (.+)/)
        else { throw HarnessError("an indented line that belongs to nothing") }
        self.sessions[last].difference[String(match.1)] = String(match.2)
    }

    private static func expanded(_ line: String) -> String {
        if line == "|" { return "" }
        guard let match = line.wholeMatch(of: /\{(\d+) lines\}/), let count = Int(match.1) else { return line }
        return Array(repeating: String(repeating: "x", count: 70), count: count).joined(separator: "\r\n")
    }
}
