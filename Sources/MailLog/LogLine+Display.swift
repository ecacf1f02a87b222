import Mail

extension LogLine {
    /// Keys whose values are numbers.
    private static let numbers: Set<String> = [
        "recipients", "bytes", "generation", "score", "age", "after", "warnings",
    ]

    /// The line as the format `json` writes it, without a line end.
    package var json: [UInt8] {
        var output: [UInt8] = Array("{\"time\":\"\(self.time.rfc3339)\"".utf8)
        if let event { Self.append("event", event, to: &output) }
        for field in self.fields { Self.append(field.key, field.value, to: &output) }
        output.append(UInt8(ascii: "}"))
        return output
    }

    private static func append(_ key: String, _ value: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: ","))
        JSONText.append(key, to: &output)
        output.append(UInt8(ascii: ":"))
        if Self.numbers.contains(key), value.isJSONNumber {
            output += value.utf8
        } else {
            JSONText.append(value, to: &output)
        }
    }

    /// The line for people: what is asked for most, in the same order for each event.
    package func display(_ zone: LogZone) -> String {
        var parts = [zone.text(self.time), (self.event ?? self["level"] ?? "").padded(10)]
        parts.append((self["id"] ?? self["session"] ?? "").padded(QueueID.length))
        parts.append(self.summary)
        return parts.joined(separator: " ").printable(maximumBytes: Self.maximumBytes)
    }

    /// Longest line for people, in octets.
    private static let maximumBytes = 2000

    private var summary: String {
        var used: Set<String> = ["id"]
        var parts: [String] = []
        func take(_ key: String) -> String? {
            used.insert(key)
            return self[key]
        }
        if self.event != nil, self["id"] == nil { used.insert("session") }
        if self.event == nil { used.insert("level") }
        if self["session"] != nil, self["id"] == nil { used.insert("session") }
        if let message = take("message") { parts.append(message) }
        if let state = take("state") { parts.append(state) }
        if let result = take("result") { parts.append(result) }
        if let client = take("client") { parts.append(take("helo").map { "\(client) (\($0))" } ?? client) }
        if let path = self.path { parts.append(path) }
        used.formUnion(["from", "to", "recipients"])
        if let bytes = take("bytes").flatMap({ Int($0) }) { parts.append(Amount.bytes(bytes)) }
        if let remote = take("remote") {
            used.insert("destination")
            parts.append("by \(remote)")
        } else if let destination = take("destination") {
            parts.append("by \(destination)")
        }
        let command = take("command")
        if let reply = take("reply") { parts.append((command.map { "\($0): " } ?? "") + reply) }
        if let text = take("text") { parts.append(text) }
        for field in self.fields where !used.contains(field.key) {
            let isPlain = !field.value.isEmpty && !field.value.contains(where: { $0 == " " || $0 == "\"" })
            parts.append("\(field.key)=\(isPlain ? field.value : "\"\(field.value)\"")")
        }
        return parts.joined(separator: " ")
    }

    /// `s@example.org -> u@example.com,v@example.com`
    private var path: String? {
        guard self["from"] != nil || self["to"] != nil else { return nil }
        let named = self.recipients.count
        let more = self.integer("recipients").map { $0 > named && named > 0 ? " (\($0) in all)" : "" } ?? ""
        return (self["from"].map { "<\($0)>" } ?? "?") + (self["to"].map { " -> <\($0)>\(more)" } ?? "")
    }
}

extension String {
    func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - self.count)) }

    func padded(left width: Int) -> String { String(repeating: " ", count: max(0, width - self.count)) + self }

    /// As ``LogLine`` writes numbers; JSON knows no leading zeros, and no `inf`.
    fileprivate var isJSONNumber: Bool {
        let digits = self.hasPrefix("-") ? self.dropFirst() : self[...]
        let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy(ASCII.isDigit) }
            && (parts[0] == "0" || !parts[0].hasPrefix("0"))
    }
}

/// Texts in JSON.
enum JSONText {
    static func append(_ text: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case ..<0x20: output += "\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8
            case _: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
