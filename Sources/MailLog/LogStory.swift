import Mail

/// The sessions and messages that found lines tell of. What belongs to them is their story.
///
/// Lines may name a message before it is known that it matters; reading the log again until nothing is added finds
/// those as well. Memory is bounded by ``limit``.
package struct LogStory: Sendable {
    /// All of both, as they are looked for in lines that are not taken apart.
    private var names: Set<UInt64> = []
    /// There is one that is not written as names are.
    private(set) var hasOtherNames = false
    private(set) var sessions: Set<String> = []
    private(set) var messages: Set<String> = []
    /// A line that was found tells of no session and no message.
    private(set) var hasNameless = false
    /// Whether the last reading has added anything.
    package private(set) var hasGrown = false
    /// There were more than could be remembered.
    package private(set) var isCut = false

    /// What names a session in a line, and what a message.
    static let sessionKey = "session"
    static let messageKeys = ["id", "about", "notice"]

    /// Sessions and messages of a story; above it lines may be missing.
    package static let defaultLimit = 200_000

    private let limit: Int

    package init(limit: Int = Self.defaultLimit) {
        self.limit = limit
    }

    package mutating func beginReading() { self.hasGrown = false }

    /// Takes a line that was found: its session, its message, and those that it tells of.
    package mutating func take(_ line: LogLine) {
        let session = line[Self.sessionKey]
        let messages = Self.messageKeys.compactMap { line[$0] }
        if session == nil, messages.isEmpty { self.hasNameless = true }
        self.add(session, to: \.sessions)
        for message in messages { self.add(message, to: \.messages) }
    }

    /// Takes what a line of the story leads to: from a message to the session that brought it, and to its notices.
    ///
    /// - Returns: whether the line belongs to the story.
    package mutating func follow(_ line: LogLine) -> Bool {
        let isAboutMessage = Self.messageKeys.contains { key in
            line[key].map { self.messages.contains($0) } ?? false
        }
        if isAboutMessage {
            self.take(line)
            return true
        }
        return line[Self.sessionKey].map { self.sessions.contains($0) } ?? false
    }

    var count: Int { self.sessions.count + self.messages.count }

    private mutating func add(_ name: String?, to set: WritableKeyPath<LogStory, Set<String>>) {
        guard let name, !self[keyPath: set].contains(name) else { return }
        guard self.count < self.limit else {
            self.isCut = true
            return
        }
        self[keyPath: set].insert(name)
        self.hasGrown = true
        if let id = QueueID(name) { self.names.insert(id.value) } else { self.hasOtherNames = true }
    }

    /// Whether a line may belong to the story, unless it ``LogSieve/isEncoded(_:)``; false only if it does not.
    package func mayFollow(_ line: ArraySlice<UInt8>) -> Bool {
        if self.hasOtherNames { return true }
        guard !self.names.isEmpty else { return false }
        let (bytes, length) = (line.span, QueueID.length)
        var start = 0
        for place in 0...bytes.count where place == bytes.count || !Self.mayBeInName(bytes[place]) {
            if place - start == length {
                let word = line[(line.startIndex + start)..<(line.startIndex + place)]
                if let id = QueueID(word), self.names.contains(id.value) { return true }
            }
            start = place + 1
        }
        return false
    }

    /// As `ASCII.isAlphanumeric`; here the compiler sees it.
    private static func mayBeInName(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 }
}
