import Foundation
import Harness
import Testing

/// The same sessions in front of Debian's Postfix with somebody's set-up, and of Postern with what
/// `postern import postfix` makes of it: both say and do the same, but for the differences that the sessions name.
///
/// Of a reply its codes count, and of a refusal its text; of a message whether it is kept, and for whom.
@Suite(.serialized) struct ImportTests {
    @Test(.enabled(if: ImportSetUp.isThere, "the corpus is not beside this checkout"), arguments: ImportSetUp.all)
    func `an imported set-up answers as it does in Postfix`(setUp: ImportSetUp) async throws {
        let world = try await onOwnThread { try ImportWorld(setUp) }
        try await self.compare(world.script.sessions.filter { !$0.isLater }, in: world)
        let offers = try await onOwnThread { try Self.offers(of: world) }
        #expect(offers == [setUp.keywords.postfix, setUp.keywords.postern])
        let later = world.script.sessions.filter(\.isLater)
        guard !later.isEmpty else { return }
        // They have been there before, not long ago.
        let visits = Set(later.map(\.session.client)).sorted().map { client in
            SmtpdScript.Session(text: client, client: client, commands: [["EHLO mail.good.example"], ["QUIT"]])
        }
        _ = try await Self.dialogs(of: visits, in: world)
        try await onOwnThread { try world.listMore() }
        try await self.compare(later, in: world)
    }

    @Test(.enabled(if: ImportSetUp.isThere, "the corpus is not beside this checkout"))
    func `there are enough sessions, and each is there once`() throws {
        for setUp in ImportSetUp.all {
            let sessions = try ImportScript(file: "\(setUp.name).sessions").sessions
            #expect(sessions.count >= 60, "\(setUp.name)")
            #expect(Set(sessions.map(\.name)).count == sessions.count, "\(setUp.name)")
        }
    }

    // MARK: - Comparing

    private func compare(_ sessions: [ImportScript.Session], in world: ImportWorld) async throws {
        let dialogs = try await Self.dialogs(of: sessions.map(\.session), in: world)
        let results = try await onOwnThread { try Self.results(dialogs, of: sessions, in: world) }
        for (session, both) in zip(sessions, results) {
            let (theirs, ours) = both
            let (first, second) = theirs.differing(from: ours)
            let texts =
                "\nPostfix: \(theirs.text)\nPostern: \(ours.text)\n    postfix: \(first)\n    postern: \(second)\n"
            lazy var logs = world.logs(of: session.session.client)
            if let reason = session.difference["because"] {
                #expect(first == session.difference["postfix"], "\(session.name), Postfix\(texts)\(logs)")
                #expect(second == session.difference["postern"], "\(session.name), since \(reason)\(texts)\(logs)")
                #expect(first != second, "\(session.name) does not differ")
            } else {
                let isSame = first == second && ImportWording.of(theirs.refusals) == ImportWording.of(ours.refusals)
                if let open = session.difference["open"] {
                    withKnownIssue("\(session.name): \(open)", isIntermittent: true) { #expect(isSame) }
                } else {
                    #expect(isSame, "\(session.name)\(texts)\(logs)")
                }
            }
        }
    }

    private typealias Both<Side> = (postfix: Side, postern: Side)

    /// Goes through sessions in front of both, those of a client one after the other.
    private static func dialogs(
        of sessions: [SmtpdScript.Session], in world: ImportWorld
    ) async throws -> [Both<SmtpdDialog>] {
        let contents = world.script.contents
        let clients = Dictionary(grouping: sessions.indices) { sessions[$0].client }.values
        // More at once are more questions about lists than postscreen can put, which then lets clients in.
        var lanes = [[Int]](repeating: [], count: 16)
        for (number, indices) in clients.enumerated() { lanes[number % lanes.count] += indices }
        var found: [Int: Both<SmtpdDialog>] = [:]
        try await withThrowingTaskGroup(of: [(Int, Both<SmtpdDialog>)].self) { group in
            for lane in lanes {
                group.addTask {
                    try await onOwnThread {
                        lane.map { index in
                            let both = world.entrances.map {
                                SmtpdDialog(sessions[index], at: $0, contents: contents)
                            }
                            return (index, (both[0], both[1]))
                        }
                    }
                }
            }
            for try await results in group { for (index, both) in results { found[index] = both } }
        }
        return sessions.indices.compactMap { found[$0] }
    }

    // MARK: - Both sides

    /// What is done to a message's header by rules is looked at where the session says what the message is.
    private static func results(
        _ dialogs: [Both<SmtpdDialog>], of sessions: [ImportScript.Session], in world: ImportWorld
    ) throws -> [(SmtpdResult, SmtpdResult)] {
        let queue = try SmtpdQueue(of: world.postern)
        return try zip(dialogs, sessions).map { both, session in
            let counts: (String) -> Bool = { line in
                session.hasOwnContent && (line.contains("internal") || line.lowercased().hasPrefix("subject:"))
            }
            let theirs = try both.postfix.ids.map { id in
                let message = try world.postfix.queued(id)
                return message.map {
                    SmtpdResult.Message($0.recipients, isHeld: $0.isHeld, content: $0.lines, where: counts)
                } ?? .dropped
            }
            let ours = try both.postern.ids.map { id in
                guard let entry = queue[id] else { return SmtpdResult.Message.dropped }
                let recipients = entry.recipients.map { world.setUp.aliases[$0.lowercased()] ?? $0 }
                let content = session.hasOwnContent ? try world.postern.command("queue", "content", id).output : ""
                let lines = content.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(
                    String.init)
                return SmtpdResult.Message(recipients, isHeld: entry.isHeld, content: lines, where: counts)
            }
            return (SmtpdResult(both.postfix, theirs), SmtpdResult(both.postern, ours))
        }
    }

    /// What the reply to EHLO offers, on one side only.
    private static func offers(of world: ImportWorld) throws -> [Set<String>] {
        let both = try world.entrances.map { entrance in
            let client = try SMTPClient(entrance)
            try client.send("PROXY TCP4 198.18.1.1 198.18.0.25 40000 25\r\n")
            _ = try client.reply()
            return Set(try client.command("EHLO mail.good.example").lines.dropFirst())
        }
        return [both[0].subtracting(both[1]), both[1].subtracting(both[0])]
    }
}

extension ImportScript.Session {
    fileprivate var hasOwnContent: Bool { self.session.commands.joined().contains { $0.hasPrefix("DATA ") } }
}

/// Refusals in words that are the set-up's own, without those that each server and service has for itself.
enum ImportWording {
    static func of(_ refusals: [String]) -> [String] {
        refusals.map { text in
            var text = text
            // policyd-spf has words of its own; what it is about is the same.
            text = text.replacing(/Message rejected due to: .*/, with: "SPF")
            text = text.replacing(/SPF (fail|softfail|neutral|permerror): .*/, with: "SPF")
            // postgrey shows a page of its author's.
            text = text.replacing(/Greylisted, .*/, with: "Greylisted")
            // All recipients are in one table here.
            text = text.replacing(/User unknown in (virtual alias|relay recipient) table/, with: "User unknown")
            // The protocol's own: unknown commands and messages that are too large.
            text = text.replacing(/Error: command not recognized|Command not recognized/, with: "unknown command")
            text = text.replacing(
                /Error: message file too big|Message size exceeds .*|Message exceeds .*/, with: "size")
            text = text.replacing(/Error: too many recipients|Too many recipients/, with: "recipients")
            text = text.replacing(/.*[Tt]oo many errors.*/, with: "errors")
            // A table of replies is folded with two blanks, which Postfix keeps.
            return text.replacing("  ", with: " ")
        }
    }
}
