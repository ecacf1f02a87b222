import Foundation
import Mail
import MailLog
import Testing

/// `Sources/LOG.md` against the code.
struct LogReferenceTests {
    private static let page: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources/LOG.md")
        return (try? String(contentsOf: root, encoding: .utf8)) ?? ""
    }()

    /// Keys of each event, in order, and the example.
    private static let chapters: [(event: String, keys: [String], example: String)] =
        page.components(separatedBy: "\n## `").dropFirst().map { chapter in
            let lines = chapter.split(separator: "\n")
            let keys = lines.compactMap { line -> String? in
                guard line.hasPrefix("| `") else { return nil }
                return String(line.dropFirst(3).prefix { $0 != "`" })
            }
            let example = lines.first { $0.contains(" event=") } ?? ""
            return (String(chapter.prefix { $0 != "`" }), keys, String(example))
        }

    @Test func `every event is a sample`() {
        #expect(Set(EventSamples.all.map(EventSamples.number)) == Set(0..<EventSamples.count))
    }

    @Test func `the page has every event with its keys in order, and no others`() {
        let documented = Dictionary(Self.chapters.map { ($0.event, $0.keys) }) { first, _ in first }
        var code: [String: [String]] = [:]
        for event in EventSamples.all { code[event.fields.event] = event.fields.list.map(\.key) }
        #expect(documented.keys.sorted() == code.keys.sorted())
        for (event, keys) in code { #expect(documented[event] == keys, "\(event)") }
    }

    @Test func `every example is a line of its event`() throws {
        for (event, keys, example) in Self.chapters {
            let line = try #require(LogLine(example.utf8), "\(example)")
            #expect(line.event == event)
            #expect(line.fields.allSatisfy { keys.contains($0.key) }, "\(example)")
        }
    }
}
