package import Mail

/// A line of the log, as ``LogLine/init(_:)`` reads it: a mail event, or what else there was to say.
package struct LogLine: Hashable, Sendable {
    package struct Field: Hashable, Sendable {
        package let key: String
        package let value: String

        package init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }
    }

    package let time: Timestamp
    /// Nil for what is not a mail event; such lines have `level` and `message`.
    package let event: String?
    /// Without `time` and `event`, in the order in which they were written.
    package let fields: [Field]

    package init(time: Timestamp, event: String?, fields: [Field]) {
        self.time = time
        self.event = event
        self.fields = fields
    }

    /// The first field of that name.
    package subscript(key: String) -> String? { self.fields.first { $0.key == key }?.value }

    package func integer(_ key: String) -> Int? { self[key].flatMap { Int($0) } }

    package func seconds(_ key: String) -> Double? { self[key].flatMap { Double($0) } }
}

extension LogLine {
    /// Reads a line without its end: of text, of JSON, or a record of `journalctl -o json`.
    ///
    /// - Returns: nil for what none of them writes.
    package init?(_ bytes: some Collection<UInt8>) { self.init(line: Array(bytes)) }

    private init?(line: [UInt8]) {
        let first = line.first { !ASCII.isBlank($0) }
        if first == UInt8(ascii: "{") {
            guard let object = FlatJSON.object(line) else { return nil }
            self.init(object: object)
        } else {
            self.init(text: line, time: nil)
        }
    }

    private init?(object: [FlatJSON.Member]) {
        if object.contains(where: { $0.key == "__REALTIME_TIMESTAMP" }) {
            self.init(record: object)
        } else {
            self.init(members: object)
        }
    }

    /// What the format `json` writes.
    private init?(members: [FlatJSON.Member]) {
        guard let first = members.first, first.key == "time",
            let time = first.value.text.flatMap(Timestamp.init(rfc3339:))
        else { return nil }
        var fields = members.dropFirst().compactMap { member in
            member.value.text.map { Field(member.key, $0) }
        }
        guard fields.count == members.count - 1 else { return nil }
        self.init(time: time, fields: &fields)
    }

    /// - Parameter fields: the first one says what kind of line it is.
    init?(time: Timestamp, fields: inout [Field]) {
        guard let first = fields.first else { return nil }
        switch first.key {
        case "event": self.init(time: time, event: first.value, fields: Array(fields.dropFirst()))
        case "level": self.init(time: time, event: nil, fields: fields)
        case _: return nil
        }
    }
}

// MARK: - Records of the journal

extension LogLine {
    /// The prefix of our own fields in the journal.
    package static let journalPrefix = "POSTERN_"

    /// The message of a record is the whole line; fields of our own count where the journal has cut it or it is none.
    private init?(record: [FlatJSON.Member]) {
        let texts = Dictionary(record.compactMap { member in member.value.text.map { (member.key, $0) } }) { first, _ in
            first
        }
        guard let received = texts["__REALTIME_TIMESTAMP"].flatMap({ Int64($0) }) else { return nil }
        let time =
            texts[Self.journalPrefix + "TIME"].flatMap(Timestamp.init(rfc3339:)) ?? Timestamp(microseconds: received)
        if let message = texts["MESSAGE"] {
            let bytes = Array(message.utf8)
            let line = LogLine(line: bytes) ?? LogLine(text: bytes, time: time)
            if let line {
                self = line
                return
            }
        }
        let own = record.compactMap { member -> Field? in
            guard member.key.hasPrefix(Self.journalPrefix), let text = member.value.text else { return nil }
            return Field(member.key.dropFirst(Self.journalPrefix.count).asciiLowercased, text)
        }
        if let event = own.first(where: { $0.key == "event" }) {
            self.init(time: time, event: event.value, fields: own.filter { !["event", "time"].contains($0.key) })
        } else {
            // What systemd says of the service, or somebody to its standard error.
            guard let message = texts["MESSAGE"] else { return nil }
            self.init(time: time, event: nil, fields: [Field("level", "info"), Field("message", message)])
        }
    }
}

// MARK: - Text

extension LogLine {
    /// `TIME event=queued id=… helo="…"`.
    ///
    /// - Parameter time: that of a line without its own.
    init?(text: [UInt8], time: Timestamp?) {
        var position = 0
        var own = time
        if own == nil {
            let end = text.firstIndex(of: ASCII.space) ?? text.endIndex
            guard let read = Timestamp(rfc3339: String(decoding: text[..<end], as: UTF8.self)) else { return nil }
            own = read
            position = end + 1
        }
        var fields: [Field] = []
        while position < text.count {
            guard let field = Self.field(text, &position) else { return nil }
            fields.append(field)
        }
        guard let own else { return nil }
        self.init(time: own, fields: &fields)
    }

    /// Reads one pair and the blank behind it.
    private static func field(_ text: [UInt8], _ position: inout Int) -> Field? {
        let start = position
        while position < text.count, text[position] != UInt8(ascii: "=") {
            guard text[position] > ASCII.space, text[position] != UInt8(ascii: "\"") else { return nil }
            position += 1
        }
        guard position > start, position < text.count else { return nil }
        let key = String(decoding: text[start..<position], as: UTF8.self)
        position += 1
        let value: String
        if position < text.count, text[position] == UInt8(ascii: "\"") {
            position += 1
            guard let read = FlatJSON.string(text, &position) else { return nil }
            value = read
        } else {
            let start = position
            while position < text.count, text[position] != ASCII.space {
                guard text[position] != UInt8(ascii: "\"") else { return nil }
                position += 1
            }
            guard position > start else { return nil }
            value = String(decoding: text[start..<position], as: UTF8.self)
        }
        if position < text.count {
            guard text[position] == ASCII.space, position + 1 < text.count else { return nil }
            position += 1
        }
        return Field(key, value)
    }
}
