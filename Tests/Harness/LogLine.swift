import Foundation

/// A line of Postern's log in its text format: a time, then keys with values, which are quoted if they have blanks.
package struct LogLine: Sendable, CustomStringConvertible {
    package let description: String
    private let fields: [String: String]

    package init(_ line: some StringProtocol) {
        self.description = String(line)
        var fields: [String: String] = [:]
        var rest = Array(line.unicodeScalars).drop { $0 != " " }.dropFirst()
        while let separator = rest.firstIndex(of: "=") {
            let key = String(rest[..<separator])
            let (value, next) = Self.value(rest[(separator + 1)...])
            fields[key] = value
            rest = next.drop { $0 == " " }
        }
        self.fields = fields
    }

    /// nil if the line has no such field.
    package subscript(key: String) -> String? { self.fields[key] }

    /// The address of the client, without its port.
    package var clientAddress: String? {
        self["client"].map { text in
            let host = text.prefix(upTo: text.lastIndex(of: ":") ?? text.endIndex)
            return host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        }
    }

    private typealias Text = ArraySlice<Unicode.Scalar>

    private static func value(_ text: Text) -> (String, rest: Text) {
        guard text.first == "\"" else {
            let value = text.prefix { $0 != " " }
            return (String(value), text[value.endIndex...])
        }
        var value: [Unicode.Scalar] = []
        var rest = text.dropFirst()
        while let scalar = rest.popFirst(), scalar != "\"" {
            value.append(scalar == "\\" ? rest.popFirst() ?? scalar : scalar)
        }
        return (String(value[...]), rest)
    }
}

extension String {
    fileprivate init(_ scalars: ArraySlice<Unicode.Scalar>) {
        self.init(String.UnicodeScalarView(scalars))
    }
}

extension PosternProcess {
    /// Lines of mail events such as `refused`, since the daemon's last start.
    package func events(_ name: String) -> [LogLine] {
        self.log.split(whereSeparator: \.isNewline).filter { $0.contains(" event=\(name) ") }.map { LogLine($0) }
    }

    /// Waits until there is a line of this event for which it is so.
    @discardableResult
    package func event(
        _ name: String, _ what: String = "", within limit: Duration = .seconds(30), where isSo: (LogLine) -> Bool
    ) throws -> LogLine {
        do {
            return try eventually("a line '\(name)' \(what)", within: limit) { self.events(name).first(where: isSo) }
        } catch { throw HarnessError("\(error); the log: \(self.log)") }
    }

    /// What `postern status` says of the screener.
    package func screenerStatus() throws -> [String: Any] {
        guard let screener = try self.json("status")["screener"] as? [String: Any] else {
            throw HarnessError("a status without a screener")
        }
        return screener
    }

    /// Waits until no client has a connection any more.
    package func waitUntilDeserted(within limit: Duration = .seconds(30)) throws {
        var last: [String: Any] = [:]
        do {
            try eventually("the end of all connections", within: limit) {
                last = try self.screenerStatus()
                return ["waiting", "silent", "unknown", "known"].allSatisfy { last[$0] as? Int == 0 }
            }
        } catch { throw HarnessError("\(error); there are \(last)") }
    }
}
