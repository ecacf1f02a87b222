import Mail
import MailLog
import Testing

/// Where what is searched for can be: all that is found by reading everything is found there.
struct LogScopeTests {
    private static func name(_ number: Int) -> String { "\(QueueID(value: 1_795_237_800_000_000 + UInt64(number)))" }

    private func line(_ text: String) throws -> LogLine {
        try #require(LogLine("2026-11-21T04:50:00.000Z \(text)".utf8), "\(text)")
    }

    private func pairs(_ scope: LogScope) -> Set<String>? {
        guard case .pairs(let pairs) = scope else { return nil }
        return Set(pairs.map { "\($0.key)=\($0.value)" })
    }

    private func scope(_ terms: String...) throws -> LogScope {
        var query = LogQuery()
        query.terms = try terms.map { try LogTerm(recognising: $0) }
        return query.scope
    }

    @Test func `names are found by their keys, and anything else everywhere`() throws {
        let id = Self.name(1)
        #expect(pairs(try self.scope(id)) == ["session=\(id)", "id=\(id)", "about=\(id)", "notice=\(id)"])
        #expect(pairs(try self.scope("4k7q2m")) == ["ref=4K7Q2M"])
        #expect(pairs(try self.scope("u@example.com", "192.0.2.7", "4K7Q2M")) == ["ref=4K7Q2M"])
        #expect(try self.scope("u@example.com") == .everything)
        #expect(LogQuery().scope == .everything)
    }

    @Test func `a story is where its sessions and messages are named`() throws {
        var story = LogStory()
        #expect(story.scope(besides: .everything) == .pairs([]))
        story.take(try self.line("event=refused session=\(Self.name(1))"))
        story.take(try self.line("event=queued id=\(Self.name(2)) session=\(Self.name(1))"))
        let message = Self.name(2)
        #expect(
            pairs(story.scope(besides: .everything))
                == ["session=\(Self.name(1))", "id=\(message)", "about=\(message)", "notice=\(message)"])
        story.take(try self.line("event=started generation=1"))
        #expect(story.scope(besides: .everything) == .everything)
        #expect(pairs(story.scope(besides: try self.scope("4K7Q2M")))?.count == 5)
    }

    @Test(arguments: ["session=x", "session=\"\(name(1)) \""])
    func `what is not named as ours are is looked for everywhere`(
        field: String
    ) throws {
        var story = LogStory()
        story.take(try self.line("event=refused \(field)"))
        #expect(story.scope(besides: .pairs([])) == .everything)
    }

    @Test(arguments: [(LogScope.mostPairs, false), (LogScope.mostPairs + 1, true)])
    func `too many names are not looked up one by one`(count: Int, isEverything: Bool) throws {
        var story = LogStory()
        for number in 0..<count { story.take(try self.line("event=refused session=\(Self.name(number))")) }
        #expect((story.scope(besides: .pairs([])) == .everything) == isEverything)
    }
}
