import Foundation

/// Postfix's `smtp-sink`: takes all mail at once, counts it, and keeps it if asked to.
///
/// As root it insists on giving up its privileges; it becomes `nobody`.
package final class SMTPSink: Sendable {
    package let address: Endpoint
    private let folder: TemporaryFolder
    private let process: Subprocess

    private static let nobody: UInt32 = 65534

    /// - Parameters:
    ///   - keepsMessages: whether ``messages()`` has what it took. Counting alone is faster.
    ///   - options: such as `-f RCPT` (a permanent error), `-q DATA` (disconnect) or `-w 1` (delay).
    ///   - port: a free one if it is nil.
    package init(
        host: String = "127.0.0.1", port: Int? = nil, keepsMessages: Bool = false, options: [String] = []
    ) throws {
        self.address = try port.map { Endpoint(host, $0) } ?? .free(host)
        self.folder = try TemporaryFolder()
        let dumps = try self.folder.make(folder: "dumps", user: geteuid() == 0 ? Self.nobody : nil)
        var program = try PeerPackage.postfix.program(
            "/usr/sbin/smtp-sink",
            (geteuid() == 0 ? ["-u", "nobody"] : []) + (keepsMessages ? ["-d", "\(dumps)/message."] : []) + options
                // It counts on standard output. The number is the backlog.
                + ["-c", self.address.description, "4096"])
        program.errors = .unnamed
        self.process = try Subprocess(program)
        try waitForPort(self.address, of: self.process)
    }

    deinit { self.process.kill() }  // Before its folder goes.

    /// What it wrote of sessions, with `-v`.
    package var log: String { self.process.errors }

    /// The messages that it took so far, with an end of data each.
    package var count: Int {
        // Each change is written as `sess=4 quit=3 mesg=4` and CR.
        let lines = self.process.outputTail(bytes: 200).split(separator: "\r", omittingEmptySubsequences: false)
        let last = lines.dropLast().last?.split(separator: "=").last
        return last.flatMap { Int($0) } ?? 0
    }

    /// Waits until it took as many messages.
    ///
    /// - Throws: also when it took more.
    package func wait(for count: Int, within limit: Duration = .seconds(60)) throws {
        try eventually("message \(count) at smtp-sink, which has \(self.count)", within: limit) {
            guard self.process.ending == nil else { throw HarnessError("smtp-sink ended: \(self.process.errors)") }
            return self.count >= count
        }
        guard self.count == count else { throw HarnessError("\(self.count) messages instead of \(count)") }
    }

    /// A message with its envelope.
    package struct Message: Hashable, Sendable {
        package let client: String
        /// `SMTP` or `ESMTP`.
        package let protocolName: String
        package let helo: String
        /// What came behind `MAIL FROM:`.
        package let mailArguments: String
        /// What came behind each `RCPT TO:`.
        package let recipientArguments: [String]
        /// As it was sent, without dot-stuffing; the lines end with LF.
        package let content: [UInt8]
    }

    /// The messages that were taken whole, in the order in which they ended, as exact as in ``Maildir/messages()``. To
    /// be
    /// asked for after ``wait(for:within:)``: a file that is still being written may pass for a whole one.
    package func messages() throws -> [Message] {
        try filesByTime(in: self.folder.path("dumps")).compactMap(Message.init(dump:))
    }
}

extension SMTPSink.Message {
    /// Reads `X-…` lines with the envelope, smtp-sink's own Received on three lines, the content and an empty line.
    ///
    /// - Returns: nil for a file that is still being written.
    init?(dump: [UInt8]) {
        let lineFeed = UInt8(ascii: "\n")
        guard dump.last == lineFeed else { return nil }
        let lines = dump.dropLast().split(separator: lineFeed, omittingEmptySubsequences: false)
        guard let received = lines.firstIndex(where: { $0.starts(with: "Received:".utf8) }), lines.count > received + 3
        else { return nil }
        let values = { (name: String) in
            lines[..<received].map { String(decoding: $0, as: UTF8.self) }.filter { $0.hasPrefix("X-\(name): ") }
                .map { String($0.dropFirst(name.count + 4)) }
        }
        self.client = values("Client-Addr").first ?? ""
        self.protocolName = values("Client-Proto").first ?? ""
        self.helo = values("Helo-Args").first ?? ""
        self.mailArguments = values("Mail-Args").first ?? ""
        self.recipientArguments = values("Rcpt-Args")
        self.content = Array(dump[lines[received + 3].startIndex...].dropLast())
    }
}
