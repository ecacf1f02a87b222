import Foundation
import Harness
import Testing

/// The same sessions in front of Postfix's smtpd and of Postern, with the same restrictions, tables and names: both say
/// and do the same, but for the differences that are meant (SmtpdDifferences).
///
/// Of a reply its codes count, and of a refusal its text; of a message whether it is kept, held or dropped, for whom, and
/// with which fields on top.
@Suite(.serialized) struct SmtpdTests {
    /// One for all; it ends with the tests.
    private static let world = Result { try SmtpdWorld() }

    /// What one side made of the sessions of a part, in their order.
    private typealias Results = [SmtpdResult]

    @Test(arguments: try SmtpdScript.all()) func `restrictions do what they do in Postfix`(script: SmtpdScript)
        async throws
    {
        let world = try await onOwnThread { try Self.world.get() }
        let asked = [world.policies.postfix, world.policies.postern].map(\.questions.count)
        async let theirs = onOwnThread { try Self.postfix(script, world) }
        async let ours = onOwnThread { try Self.postern(script, world) }
        let both = try await (theirs, ours)
        var unused = SmtpdDifferences.of(script.topic)
        for (part, sides) in zip(script.parts, zip(both.0, both.1)) {
            for (session, results) in zip(part.sessions, zip(sides.0, sides.1)) {
                let name = "\(part.name): \(session.text)"
                self.compare("\(script.topic), \(name)", results.0, results.1, unused.removeValue(forKey: name))
            }
        }
        let questions = [world.policies.postfix.questions[asked[0]...], world.policies.postern.questions[asked[1]...]]
        #expect(questions[0].count == questions[1].count)
        for (first, second) in zip(questions[0], questions[1]) { self.compare(Attributes(first), Attributes(second)) }
        #expect(unused.isEmpty, "differences of sessions that were not there: \(unused.keys.sorted())")
    }

    @Test func `there are enough of them`() throws {
        let count = try SmtpdScript.all().flatMap(\.parts).reduce(0) { $0 + $1.sessions.count }
        #expect(count >= 300)
    }

    private func compare(
        _ name: String, _ theirs: SmtpdResult, _ ours: SmtpdResult, _ difference: SmtpdDifferences.Difference?
    ) {
        let texts = "\nPostfix: \(theirs.text)\nPostern: \(ours.text)"
        let (first, second) = theirs.differing(from: ours)
        if let difference {
            #expect(first == difference.postfix, "\(name), Postfix\(texts)")
            #expect(second == difference.postern, "\(name), since \(difference.reason)\(texts)")
            #expect(first != second, "\(name) does not differ")
        } else {
            #expect(first == second && theirs.refusals == ours.refusals, "\(name)\(texts)")
        }
    }

    /// What a policy service was told. IDs are of each server's own making.
    private struct Attributes {
        let values: [String: String]

        init(_ lines: [String]) {
            let pairs = lines.map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
            self.values = Dictionary(pairs.map { (String($0[0]), String($0[1])) }) { first, _ in first }
                .filter { !["instance", "queue_id"].contains($0.key) }
        }
    }

    /// All that Postfix says, Postern says too.
    private func compare(_ theirs: Attributes, _ ours: Attributes) {
        for (name, value) in theirs.values {
            #expect(ours.values[name] == value, "\(name) of \(theirs.values) and \(ours.values)")
        }
    }

    // MARK: - Both sides

    private static func postfix(_ script: SmtpdScript, _ world: SmtpdWorld) throws -> [Results] {
        let parts = try script.parts.map { ($0, try Endpoint.free()) }
        let postfix = try world.postfix(parts)
        return try parts.map { part, address in
            try part.sessions.map { session in
                let dialog = SmtpdDialog(session, at: address)
                let messages = try dialog.ids.map { id in
                    let message = try postfix.queued(id)
                    return message.map {
                        SmtpdResult.Message($0.recipients, isHeld: $0.isHeld, content: $0.lines)
                    } ?? .dropped
                }
                return SmtpdResult(dialog, messages)
            }
        }
    }

    private static func postern(_ script: SmtpdScript, _ world: SmtpdWorld) throws -> [Results] {
        let postern = try SmtpdPostern(world)
        return try script.parts.map { part in
            try postern.load(part)
            let dialogs = part.sessions.map { SmtpdDialog($0, at: postern.address) }
            let queue = dialogs.allSatisfy(\.ids.isEmpty) ? nil : try SmtpdQueue(of: postern.process)
            return try dialogs.map { dialog in
                SmtpdResult(
                    dialog,
                    try dialog.ids.map { id in
                        guard let entry = queue?[id] else { return .dropped }
                        let content = part.prepends ? try postern.process.command("queue", "content", id).output : ""
                        return SmtpdResult.Message(
                            entry.recipients, isHeld: entry.isHeld,
                            content: content.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(
                                String.init))
                    })
            }
        }
    }
}

/// Postern's queue, by the IDs of messages.
struct SmtpdQueue {
    struct Entry {
        let isHeld: Bool
        let recipients: [String]
    }

    private var entries: [String: Entry] = [:]

    subscript(id: String) -> Entry? { self.entries[id] }

    init(of postern: PosternProcess) throws {
        for line in try postern.command("queue", "list", "--json").output.split(separator: "\n") {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            let recipients = object?["recipients"] as? [[String: Any]] ?? []
            guard let id = object?["id"] as? String else { continue }
            self.entries[id] = Entry(
                isHeld: object?["state"] as? String == "held",
                recipients: recipients.compactMap { $0["address"] as? String })
        }
    }
}

/// What one side made of a session.
struct SmtpdResult: Sendable {
    struct Message: Sendable {
        static let dropped = Message(text: "dropped")
        let text: String

        private init(text: String) {
            self.text = text
        }

        /// - Parameters:
        ///   - content: its lines.
        ///   - counts: which of the header's count; by default those that rules put on top.
        init(
            _ recipients: [String], isHeld: Bool, content: [String],
            where counts: (String) -> Bool = { $0.hasPrefix("X-Own") }
        ) {
            let fields = content.prefix { !$0.isEmpty }.filter(counts).map { " with \($0)" }.joined()
            self.text =
                "\(isHeld ? "held" : "kept") for \(Set(recipients).sorted().joined(separator: " and "))\(fields)"
        }
    }

    /// The replies, and what became of messages.
    private let outcomes: [String]
    let refusals: [String]
    let text: String

    init(_ dialog: SmtpdDialog, _ messages: [Message]) {
        self.outcomes = dialog.outcomes + messages.map(\.text)
        self.refusals = dialog.steps.compactMap(\.refusal)
        self.text = dialog.text + messages.map { "\n\($0.text)" }.joined()
    }

    /// All from the first outcome that is not the same, of both; empty if all are.
    func differing(from other: SmtpdResult) -> (String, String) {
        let same = zip(self.outcomes, other.outcomes).prefix { $0 == $1 }.count
        let rests = [self, other].map { $0.outcomes.dropFirst(same).joined(separator: ", ") }
        return (rests[0], rests[1])
    }
}

extension SmtpdScript.Part {
    /// Whether something may put fields on top of messages.
    fileprivate var prepends: Bool {
        self.tables.contains { $0.text.contains("PREPEND") }
            || self.lists.values.joined().contains { $0.name == "check_policy_service" }
    }
}
