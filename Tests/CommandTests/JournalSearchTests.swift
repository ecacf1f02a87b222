import Foundation
import Harness
import Mail
import Testing

@testable import Daemon

/// `postern log` on a real journal: lines that have what is searched for in fields of their own are found without reading
/// the others.
struct JournalSearchTests {
    private let folder: TemporaryFolder
    private static let (session, other) = (QueueID(value: 1_795_237_800_000_001), QueueID(value: 1_795_237_800_000_002))
    private static let (message, notice) = (
        QueueID(value: 1_795_237_800_000_003), QueueID(value: 1_795_237_800_000_004)
    )
    private static let client = Endpoint(.v4(0xC000_0207), port: 4711)

    init() throws {
        self.folder = try TemporaryFolder()
        try self.makeJournal()
    }

    private static func refused(_ session: QueueID, _ reference: String) -> MailEvent {
        let reply = Reply(554, .init(7, 1), "no [ref \(reference)]")
        var refusal = MailEvent.Refusal(session: "\(session)", client: self.client, command: "RCPT", reply: reply)
        refusal.reference = reference
        return .refused(refusal)
    }

    private static func queued(_ id: QueueID, session: QueueID? = nil, about: QueueID? = nil) throws -> MailEvent {
        var envelope = Envelope(reversePath: .null, parameters: MailParameters())
        envelope.recipients = [Recipient(try #require(Mailbox("user@example.com")))]
        var queued = MailEvent.Queued(envelope: envelope, bytes: 100)
        (queued.session, queued.about) = (session.map { "\($0)" }, about)
        return .queued(id, queued)
    }

    private static func outcome() throws -> MailEvent.Outcome {
        MailEvent.Outcome(
            reversePath: .null, recipients: [try #require(Mailbox("user@example.com"))], destination: "[192.0.2.25]:25",
            remote: "192.0.2.25:25", reply: Reply(250, .init(0, 0), "Ok"), age: .seconds(1))
    }

    /// The story of a session: a refusal, a message that fails, the notice of that; and what is not of it.
    private static func entries() throws -> [[UInt8]] {
        let format = LogFormat.journal(clock: WallClock { Timestamp(seconds: 1_795_237_800) })
        let events: [MailEvent] = [
            .started(generation: 1, hostname: "mx.example.com"), self.refused(self.other, "AAAAAA"),
            self.refused(self.session, "BBBBBB"), try self.queued(self.message, session: self.session),
            .failed(self.message, try self.outcome(), notice: self.notice),
            try self.queued(self.notice, about: self.message), .delivered(self.notice, try self.outcome()),
        ]
        let text = "2026-11-21T04:50:00.123Z event=operated id=\(self.message) action=flush"
        let long = JournalEntry.cut(Array("MESSAGE=event=tls_failed session=\(self.session) detail=x\nX=y\n".utf8))
        return events.map { Self.sent + format.line($0) } + [
            Array("_TRANSPORT=stdout\nMESSAGE=\(text)\n".utf8), Self.sent + long,
        ]
    }

    private static let sent = Array("_TRANSPORT=journal\n".utf8)

    /// A journal of these entries, which systemd's own program writes, and a journalctl that reads it and remembers what
    /// it was asked.
    private func makeJournal() throws {
        var export: [UInt8] = []
        for (number, entry) in try Self.entries().enumerated() {
            export +=
                """
                __REALTIME_TIMESTAMP=\(1_795_237_800_000_000 + number)
                __MONOTONIC_TIMESTAMP=\(1_000_000 + number)
                _BOOT_ID=0123456789abcdef0123456789abcdef
                _SYSTEMD_UNIT=postern.service

                """.utf8
            export += entry + [ASCII.lineFeed]
        }
        let journal = self.folder.path("postern.journal")
        let text = try self.folder.write("export", String(decoding: export, as: UTF8.self))
        _ = try PeerPackage.journal.program("/usr/lib/systemd/systemd-journal-remote", ["-o", journal, text])
            .runOrThrow()
        let program = try PeerPackage.journal.program("/usr/bin/journalctl")
        let libraries = program.environment["LD_LIBRARY_PATH"] ?? ""
        let script = try self.folder.write(
            "journalctl",
            """
            #!/bin/sh
            echo "$*" >>'\(self.folder.path("asked"))'
            LD_LIBRARY_PATH='\(libraries)' exec '\(program.path)' --file '\(journal)' "$@"

            """)
        chmod(script, 0o755)
    }

    /// - Returns: the events that were found, and for each reading the fields by which lines were found.
    private func log(_ arguments: String...) throws -> (events: [String], readings: [Set<String>]) {
        try self.folder.write("asked", "")
        var program = Program(PosternProcess.program, ["log", "--json"] + arguments)
        program.environment = ["PATH": "\(self.folder.path("")):/usr/bin:/bin"]
        let output = try program.runOrThrow().output
        let events = try output.split(separator: "\n").map {
            try #require(try jsonObject(String($0))["event"] as? String)
        }
        let readings = self.folder.text("asked").split(separator: "\n").map { line in
            Set(
                line.split(separator: " ").filter { $0.hasPrefix("POSTERN_") && $0 != "POSTERN_CUT=1" }.map(String.init)
            )
        }
        return (events, readings)
    }

    private static let story = ["refused", "queued", "failed", "queued", "delivered", "operated", "tls_failed"]

    @Test(arguments: [session, message, notice])
    func `a story is found by its names alone`(name: QueueID) throws {
        let (events, readings) = try self.log("\(name)")
        #expect(events == Self.story)
        #expect(readings.allSatisfy { !$0.isEmpty })
        #expect(
            readings.last?.isSuperset(of: ["POSTERN_SESSION=\(Self.session)", "POSTERN_ID=\(Self.message)"]) == true)
        #expect(readings.allSatisfy { !$0.contains { $0.contains("\(Self.other)") } })
    }

    @Test func `a refusal leads to its session, and not to the messages of that`() throws {
        let (events, readings) = try self.log("BBBBBB")
        #expect(events == ["refused", "queued", "tls_failed"])
        #expect(readings.first == ["POSTERN_REF=BBBBBB"])
        #expect(readings.last == ["POSTERN_SESSION=\(Self.session)"])
    }

    @Test func `an address is looked for everywhere, and what belongs to it by name`() throws {
        let (events, readings) = try self.log("user@example.com")
        #expect(events == Self.story)
        #expect(readings.first == [] && readings.last?.isEmpty == false)
    }

    @Test func `what tells of no session and no message is not lost`() throws {
        let (events, _) = try self.log("--event", "started,delivered")
        #expect(events.first == "started")
        #expect(Set(events).isSuperset(of: ["started", "delivered", "failed", "refused"]))
        let (found, readings) = try self.log("AAAAAA", "--only")
        #expect(found == ["refused"])
        #expect(readings.last == ["POSTERN_REF=AAAAAA"])
    }
}
