import Foundation
import Glibc
import Harness
import Logging
import Mail
import Testing

@testable import Daemon

/// What the journal gets, and what happens when it gets nothing.
struct JournalTests {
    private static let clock = WallClock { Timestamp(microseconds: 1_800_000_000_123_456) }

    /// A journal of the test's own.
    private final class Receiver: Sendable {
        private let descriptor: Int32

        init(_ path: String) throws {
            self.descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let code = withUnsafePointer(to: &address) { pointer in
                UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            guard code == 0 else { throw HarnessError("no socket: \(errno)") }
        }

        deinit { close(self.descriptor) }

        func entry() -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 300_000)
            let count = recv(self.descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return Array(bytes.prefix(max(0, count)))
        }
    }

    /// Reads an entry as journald does.
    private func fields(_ entry: [UInt8]) throws -> [String: String] {
        var (fields, rest): ([String: String], ArraySlice<UInt8>) = ([:], entry[...])
        while !rest.isEmpty {
            let name = rest.prefix { $0 != 10 && $0 != UInt8(ascii: "=") }
            let isBinary = rest.dropFirst(name.count).first == 10
            rest = rest.dropFirst(name.count + 1)
            let value: ArraySlice<UInt8>
            if isBinary {
                let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
                value = rest.dropFirst(8).prefix(length)
                rest = rest.dropFirst(8 + length)
            } else {
                value = rest.prefix { $0 != 10 }
                rest = rest.dropFirst(value.count)
            }
            guard rest.popFirst() == 10 else { throw HarnessError("no end of a field") }
            fields[String(decoding: name, as: UTF8.self)] = String(decoding: value, as: UTF8.self)
        }
        return fields
    }

    @Test func `an event has a field for each key`() throws {
        var refusal = MailEvent.Refusal(
            session: "S1", client: Endpoint(.v4(0xC000_0201), port: 4711), command: "RCPT",
            reply: Reply(550, .init(1, 1), "no"))
        refusal.helo = ""
        let fields = try self.fields(LogFormat.journal(clock: Self.clock).line(.refused(refusal)))
        #expect(
            fields == [
                "MESSAGE":
                    "event=refused session=S1 client=192.0.2.1:4711 helo=\"\" command=RCPT reply=\"550 5.1.1 no\"",
                "PRIORITY": "6", "SYSLOG_IDENTIFIER": "postern", "POSTERN_TIME": "2027-01-15T08:00:00.123Z",
                "POSTERN_EVENT": "refused", "POSTERN_SESSION": "S1", "POSTERN_CLIENT": "192.0.2.1:4711",
                "POSTERN_HELO": "", "POSTERN_COMMAND": "RCPT", "POSTERN_REPLY": "550 5.1.1 no",
            ])
    }

    @Test func `values may have line ends, and are not fields then`() throws {
        let said = "a\nPRIORITY=0\n\0b"
        let line = LogFormat.journal(clock: Self.clock).line(
            level: "error", message: "m\nPRIORITY=0", [("a.b-c", said)])
        let fields = try self.fields(line)
        #expect(fields["PRIORITY"] == "3")
        #expect(fields["POSTERN_A_B_C"] == said)
        #expect(fields["MESSAGE"]?.contains("\n") == false)
    }

    @Test(arguments: [
        (MailEvent.destinationDown("d", reply: Reply(421, nil, "x"), due: Timestamp(seconds: 0)), "4"),
        (.damaged(QueueID(value: 1), detail: "x"), "4"), (.unsigned(QueueID(value: 1), detail: "x"), "4"),
        (.alarm("x", isRaised: true), "4"), (.alarm("x", isRaised: false), "6"), (.ended, "6"),
    ]) func `what somebody has to look after is a warning`(event: MailEvent, priority: String) throws {
        #expect(try self.fields(LogFormat.journal(clock: Self.clock).line(event))["PRIORITY"] == priority)
    }

    @Test(arguments: [
        ("debug", "7"), ("info", "6"), ("notice", "5"), ("warning", "4"), ("error", "3"), ("critical", "3"),
    ])
    func `levels are priorities`(level: String, priority: String) throws {
        let line = LogFormat.journal(clock: Self.clock).line(level: level, message: "x", [])
        #expect(try self.fields(line)["PRIORITY"] == priority)
    }

    @Test func `each line is a datagram`() throws {
        let folder = try TemporaryFolder()
        let receiver = try Receiver(folder.path("journal"))
        let errors = open(folder.path("errors"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let writer = try LogWriter(descriptor: errors, journal: Journal(path: folder.path("journal")))
        let format = LogFormat.journal(clock: Self.clock)
        writer.write(format.line(.ended))
        writer.write(format.line(.destinationUp("d")))
        writer.close()
        close(errors)
        #expect(try self.fields(receiver.entry())["POSTERN_EVENT"] == "ended")
        #expect(try self.fields(receiver.entry())["POSTERN_EVENT"] == "destination_up")
        #expect(receiver.entry().isEmpty)
        #expect(folder.text("errors").isEmpty)
    }

    @Test func `without a journal lines go to standard error, which is said once`() throws {
        let folder = try TemporaryFolder()
        let errors = open(folder.path("errors"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        let writer = try LogWriter(descriptor: errors, journal: Journal(path: folder.path("journal")))
        let format = LogFormat.journal(clock: Self.clock)
        writer.write(format.line(.ended))
        writer.write(format.line(.destinationUp("d")))
        writer.close()
        close(errors)
        #expect(
            folder.text("errors")
                == "the journal takes no lines, they go to standard error: No such file or directory\n"
                + "event=ended\nevent=destination_up destination=d\n")
    }

    @Test func `what is too long for a datagram is cut to its message`() throws {
        let folder = try TemporaryFolder()
        let receiver = try Receiver(folder.path("journal"))
        let journal = try #require(Journal(path: folder.path("journal")))
        var entry = JournalEntry(message: Array("begin".utf8), priority: .info)
        entry.add(key: "x", [UInt8](repeating: 0x78, count: 8 << 20))
        #expect(journal.send(entry.bytes) == nil)
        #expect(try self.fields(receiver.entry())["MESSAGE"] == "begin")
    }

    @Test func `the journal is where systemd says that standard error goes`() throws {
        let folder = try TemporaryFolder()
        let file = open(folder.path("x"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        var status = stat()
        fstat(file, &status)
        #expect(Journal.isConnected(file, stream: "\(status.st_dev):\(status.st_ino)"))
        for other in [
            "\(status.st_dev):\(status.st_ino + 1)", "\(status.st_dev + 1):\(status.st_ino)", "", ":", "x:y", "1",
        ] {
            #expect(!Journal.isConnected(file, stream: other))
        }
        #expect(!Journal.isConnected(file, stream: nil))
    }

    @Test func `an alarm is told when it comes and when it goes, and not when its numbers change`() {
        func told(_ events: [MailEvent]) -> [String] {
            events.map { event in
                if case .alarm(let text, let isRaised) = event { "\(isRaised ? "+" : "-")\(text)" } else { "?" }
            }
        }
        var changes = AlarmChanges()
        let steps = [
            ["d:25 is down, 1 messages wait"], ["d:25 is down, 2 messages wait", "full"], ["full"], ["full"], [],
        ]
        var lines: [[String]] = []
        for alarms in steps { lines.append(told(changes.update(alarms))) }
        #expect(
            lines == [["+d:25 is down, 1 messages wait"], ["+full"], ["-d:25 is down, 2 messages wait"], [], ["-full"]])
    }
}

struct SubmitTests {
    @Test func `a message of ours has an envelope that nobody is told of`() throws {
        let request = SubmitRequest(
            from: "", to: ["a@example.com", "b@example.com"], content: Array("A: b\r\n\r\nx\r\n".utf8))
        let envelope = try request.envelope()
        #expect(envelope.reversePath == .null)
        #expect(envelope.recipients.map(\.mailbox.description) == ["a@example.com", "b@example.com"])
        #expect(envelope.recipients.allSatisfy { $0.parameters.notify == .never })
        #expect(try request.checkedContent() == Array("A: b\r\n\r\nx\r\n".utf8))
        #expect(throws: SubmitRequest.Problem.noRecipients) {
            try SubmitRequest(from: "", to: [], content: []).envelope()
        }
        #expect(throws: SubmitRequest.Problem.notAMailbox("x")) {
            try SubmitRequest(from: "", to: ["x"], content: []).envelope()
        }
    }

    @Test(arguments: ["", "x", "x\n", "x\ry\r\n", "x\ny\r\n", "x\r\r\n", "x\0\r\n", "\n\r\n"])
    func `bare line ends are not taken`(content: String) {
        let request = SubmitRequest(from: "", to: ["a@example.com"], content: Array(content.utf8))
        #expect(throws: SubmitRequest.Problem.badContent) { try request.checkedContent() }
    }
}
