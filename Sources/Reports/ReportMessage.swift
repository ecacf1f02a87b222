package import Mail

/// A report as a message to those who want it (RFC 7489 §7.2.1.1, RFC 8460 §5.3).
package struct ReportMessage: Sendable {
    /// Puts a message into our own queue; when it returns, that is kept.
    package typealias Submit = @Sendable (Envelope, [UInt8]) async throws -> Void

    package let from: Mailbox
    package let recipients: [Mailbox]
    package let time: Timestamp
    /// Parts of the subject, between which lines may end.
    package let subject: [String]
    /// Without angle brackets. Of a report that is sent again it is the same.
    package let messageID: String
    package let text: [String]
    package let format: ReportFormat
    /// Fields for reports of this kind.
    package let fields: [String]
    package let fileName: String
    package let attachment: [UInt8]

    package init(
        _ report: some DailyReport, packed: [UInt8], from: Mailbox, to recipients: [Mailbox], time: Timestamp
    ) {
        let (domain, hostname) = (report.domain, report.reporter.hostname)
        self.format = type(of: report).format
        self.from = from
        self.recipients = recipients
        self.time = time
        self.subject = ["Report Domain: \(domain)", "Submitter: \(hostname)", "Report-ID: <\(report.reportID)>"]
        // One for each destination: it is another message.
        let place = recipients.first.map { "\($0)" } ?? ""
        self.messageID = report.identifier("\(String(place.fingerprint, radix: 16)).")
        self.text = [
            "This is a \(self.format.title) on \(domain)",
            "of \(report.day.start.rfc5322.dropLast(15)) (UTC) from \(hostname).",
        ]
        self.fields = report.headerFields
        self.fileName = report.fileName
        self.attachment = packed
    }

    /// The whole content, lines ended by CRLF.
    package var content: [UInt8] {
        // Behind what the attachment can hold: base64 has no underscore.
        let boundary = "=_\(self.messageID.prefix { $0 != "@" }.prefix(40))_report"
        var output: [UInt8] = []
        output.reserveCapacity(self.attachment.count / 57 * 78 + 4096)
        for line in self.header(boundary) { output.line(line) }
        output.line("--\(boundary)")
        output.line("Content-Type: text/plain; charset=us-ascii")
        output.line("")
        for line in self.text { output.line(line) }
        output.line("--\(boundary)")
        output.line("Content-Type: \(self.format.mediaType);")
        output.line("\tname=\"\(self.fileName)\"")
        output.line("Content-Transfer-Encoding: base64")
        output.line("Content-Disposition: attachment;")
        output.line("\tfilename=\"\(self.fileName)\"")
        output.line("")
        output.base64(self.attachment)
        output.line("--\(boundary)--")
        return output
    }

    private func header(_ boundary: String) -> [String] {
        let recipients = self.recipients.map { "<\($0)>" }.joined(separator: ",\r\n\t")
        let start = [
            "Date: \(self.time.rfc5322)", "From: <\(self.from)>", "To: \(recipients)",
            "Subject: \(self.subject.joined(separator: "\r\n "))", "Message-ID: <\(self.messageID)>",
        ]
        let end = [
            "Auto-Submitted: auto-generated", "MIME-Version: 1.0", "Content-Type: \(self.format.messageType);",
            "\tboundary=\"\(boundary)\"", "",
        ]
        return start + self.fields + end
    }

    /// - Parameter reversePath: where notices about it go.
    package func envelope(from reversePath: ReversePath) -> Envelope {
        var parameters = MailParameters()
        parameters.tls = self.format.tls
        var envelope = Envelope(reversePath: reversePath, parameters: parameters)
        var options = RecipientParameters()
        if reversePath == .null { options.notify = .never }
        envelope.recipients = self.recipients.map { Recipient($0, parameters: options) }
        return envelope
    }
}

extension [UInt8] {
    fileprivate mutating func line(_ text: String) {
        self += text.utf8
        self += [ASCII.carriageReturn, ASCII.lineFeed]
    }

    /// In lines of 76 (RFC 2045 §6.8).
    fileprivate mutating func base64(_ bytes: [UInt8]) {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for start in stride(from: 0, to: bytes.count, by: 57) {
            let line = bytes[start..<Swift.min(start + 57, bytes.count)]
            for place in stride(from: line.startIndex, to: line.endIndex, by: 3) {
                let group = line[place..<Swift.min(place + 3, line.endIndex)]
                let value = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
                for index in 0..<4 {
                    let digit = Int(value >> (18 - 6 * UInt32(index)) & 63)
                    self.append(index <= group.count ? alphabet[digit] : UInt8(ascii: "="))
                }
            }
            self.line("")
        }
    }
}
