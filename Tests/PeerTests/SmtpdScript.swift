import Foundation
import Harness
import Testing

/// A file of `Tests/Restrictions`: restriction lists, and sessions in front of them. What shall come of them it does
/// not say: that Postfix does.
///
/// `[name]` begins a part with lists of its own; `table NAME TYPE` a table, whose lines are indented; `class NAME = …`
/// a list with a name; `STAGE = …` the list of a stage, in Postfix's names and separated by commas; `reject_delayed`
/// and `networks` are set in the same way. All other lines are sessions: of the words
/// `CLIENT HELO SENDER RECIPIENT… data`, those may miss from the end, `-` is left out, `HELO:` says HELO instead of
/// EHLO, and `<>` is the null sender. `CLIENT | COMMAND | COMMAND & COMMAND` says what is sent, `&` without waiting.
struct SmtpdScript: Sendable, CustomTestStringConvertible {
    struct Part: Sendable {
        let name: String
        var tables: [Table] = []
        var classes: [(name: String, list: [Element])] = []
        var lists = ["relay": SmtpdScript.elements(["permit_mynetworks,", "reject_unauth_destination"])]
        var rejectsLate = true
        var networks = ["198.18.9.0/24", "2001:2::9:0/112"]
        var sessions: [Session] = []
    }

    struct Table: Sendable {
        let name: String
        let type: String
        var text = ""
    }

    /// A restriction and what stands behind it.
    struct Element: Sendable {
        let name: String
        let argument: String?
    }

    struct Session: Sendable {
        /// As it stands in the file, with single blanks.
        let text: String
        let client: String
        /// What is sent without waiting for the reply to the first.
        let commands: [[String]]
        /// Whether the first commands are sent before the greeting is complete.
        var isHasty = false
    }

    static let stages = ["client", "helo", "sender", "relay", "recipient", "data", "end_of_data"]

    let topic: String
    var testDescription: String { self.topic }
    private(set) var parts: [Part] = []
    /// How many sessions the file says it has.
    private(set) var announced = 0

    init(topic: String, _ text: String) throws {
        self.topic = topic
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            do {
                try self.read(String(line))
            } catch {
                throw HarnessError("\(topic):\(index + 1): \(error)")
            }
        }
        let count = self.parts.reduce(0) { $0 + $1.sessions.count }
        guard count == self.announced else { throw HarnessError("\(topic) has \(count) sessions") }
    }

    /// All files, in the order of their names.
    static func all() throws -> [SmtpdScript] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Restrictions")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "sessions" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .map {
                try SmtpdScript(
                    topic: $0.deletingPathExtension().lastPathComponent, String(contentsOf: $0, encoding: .utf8))
            }
    }

    // MARK: Lines

    private mutating func read(_ line: String) throws {
        if line.hasPrefix("    ") { return try self.readTableLine(String(line.dropFirst(4))) }
        let words = line.split(separator: " ").map(String.init)
        guard let first = words.first, !first.hasPrefix("#") else { return }
        if first.hasPrefix("[") {
            self.parts.append(Part(name: String(line.dropFirst().dropLast())))
        } else if first == "sessions" {
            self.announced = Int(words[1]) ?? 0
        } else {
            guard var part = self.parts.popLast() else { throw HarnessError("a line before the first part") }
            defer { self.parts.append(part) }
            try Self.read(words, into: &part)
        }
    }

    private mutating func readTableLine(_ line: String) throws {
        guard let part = self.parts.indices.last, let table = self.parts[part].tables.indices.last else {
            throw HarnessError("an indented line that belongs to no table")
        }
        self.parts[part].tables[table].text += line + "\n"
    }

    private static func read(_ words: [String], into part: inout Part) throws {
        if words[0] == "table", words.count == 3 {
            part.tables.append(Table(name: words[1], type: words[2]))
        } else if words[0] == "class", words.count > 3, words[2] == "=" {
            part.classes.append((words[1], self.elements(words[3...])))
        } else if words.count > 1, words[1] == "=" {
            let value = words[2...].joined(separator: " ")
            switch words[0] {
            case "reject_delayed": part.rejectsLate = value == "true"
            case "networks": part.networks = Array(words[2...])
            case let stage where Self.stages.contains(stage): part.lists[stage] = self.elements(words[2...])
            default: throw HarnessError("what is \(words[0])?")
            }
        } else {
            part.sessions.append(try self.session(words))
        }
    }

    fileprivate static func elements(_ words: ArraySlice<String>) -> [Element] {
        words.joined(separator: " ").split(separator: ",").map { text in
            let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
            return Element(
                name: parts[0], argument: parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : nil)
        }
    }

    static func session(_ words: [String]) throws -> Session {
        guard words[0].contains(where: { $0 == ":" || $0.isNumber }) else {
            throw HarnessError("\(words[0]) is no address of a client")
        }
        let text = words.joined(separator: " ")
        if words.count > 1, words[1] == "|" {
            let commands = text.split(separator: "|").dropFirst().map { group in
                group.split(separator: "&").map { $0.trimmingCharacters(in: .whitespaces) }
            }
            return Session(text: text, client: words[0], commands: commands + [["QUIT"]])
        }
        var commands: [String] = []
        for (index, word) in words.enumerated().dropFirst() where word != "-" {
            switch index {
            case 1: commands.append(word.hasPrefix("HELO:") ? "HELO \(word.dropFirst(5))" : "EHLO \(word)")
            case 2: commands.append("MAIL FROM:\(word == "<>" ? "<>" : "<\(word)>")")
            case _ where word.hasPrefix("data:"): commands.append("DATA \(word.dropFirst(5))")
            default: commands.append(word == "data" ? "DATA" : "RCPT TO:<\(word)>")
            }
        }
        return Session(text: text, client: words[0], commands: (commands + ["QUIT"]).map { [$0] })
    }
}
