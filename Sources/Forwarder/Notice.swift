package import Mail
package import Queue
import SMTP

/// A delivery status notification (RFC 3461, RFC 3464; RFC 6533 for what is not ASCII), as content to be queued.
package struct Notice: Sendable {
    package struct RecipientReport: Sendable {
        /// Place in the envelope.
        package let recipient: Int
        package let reply: Reply
        package let remote: String?
        package let lastAttempt: Timestamp?

        package init(recipient: Int, reply: Reply, remote: String?, lastAttempt: Timestamp?) {
            self.recipient = recipient
            self.reply = reply
            self.remote = remote
            self.lastAttempt = lastAttempt
        }
    }

    package let id: QueueID
    package let kind: NoticeKind
    package let message: QueuedMessage
    package let reports: [RecipientReport]
    package let hostname: String
    package let time: Timestamp
    /// Until when delivery is tried; for delays, and to say that it is over.
    package let expiry: Timestamp
    package let hasExpired: Bool
    /// The message, or its header, as it was stored.
    package let returned: [UInt8]
    package let returnsWhole: Bool

    package init(
        id: QueueID, kind: NoticeKind, message: QueuedMessage, reports: [RecipientReport], hostname: String,
        time: Timestamp, expiry: Timestamp, hasExpired: Bool, returned: [UInt8], returnsWhole: Bool
    ) {
        self.id = id
        self.kind = kind
        self.message = message
        self.reports = reports
        self.hostname = hostname
        self.time = time
        self.expiry = expiry
        self.hasExpired = hasExpired
        self.returned = returned
        self.returnsWhole = returnsWhole
    }

    /// The sender of the message, to whom the notice goes, from nobody.
    package var envelope: Envelope? {
        guard case .mailbox(let sender) = self.message.envelope.reversePath else { return nil }
        var parameters = MailParameters()
        parameters.body = .eightBitMIME
        parameters.smtputf8 = !sender.isASCII
        // RFC 8689 §5: the notice is to be as safe as the message.
        if self.message.envelope.parameters.tls == .required { parameters.tls = .required }
        var envelope = Envelope(reversePath: .null, parameters: parameters)
        // RFC 3461 §6.1: a notice asks for none.
        var options = RecipientParameters()
        options.notify = .never
        envelope.recipients = [Recipient(sender, parameters: options)]
        return envelope
    }

    /// Parts may hold UTF-8 where the message did, for then the sender's side understands it (RFC 6533 §4).
    private var isInternational: Bool { self.message.needsSMTPUTF8 }

    /// The whole content, lines ended by CRLF.
    package var content: [UInt8] {
        let boundary = self.boundary
        var output: [UInt8] = []
        self.appendHeader(boundary, to: &output)
        Self.appendPart(boundary, "text/plain; charset=utf-8", to: &output)
        self.appendText(to: &output)
        Self.appendPart(
            boundary, self.isInternational ? "message/global-delivery-status" : "message/delivery-status", to: &output)
        self.appendStatus(to: &output)
        Self.appendPart(boundary, self.returnedType, to: &output)
        output += self.returned
        if !output.hasSuffix("\r\n") { output += "\r\n".utf8 }
        output += "\r\n--\(boundary)--\r\n".utf8
        return output
    }

    /// A line that is not in what is returned.
    private var boundary: String {
        var boundary = "\(self.id)/\(self.hostname)"
        while self.returned.contains(sequence: Array(boundary.utf8)) { boundary = "=" + boundary }
        return boundary
    }

    private var returnedType: String {
        switch (self.returnsWhole, self.isInternational) {
        case (true, false): "message/rfc822"
        case (true, true): "message/global"
        case (false, false): "text/rfc822-headers"
        case (false, true): "message/global-headers"
        }
    }
}

// MARK: - Header and text

extension Notice {
    private func appendHeader(_ boundary: String, to output: inout [UInt8]) {
        let subject =
            switch self.kind {
            case .failure: "Undelivered Mail Returned to Sender"
            case .delay: "Delayed Mail (still being retried)"
            case .relayed: "Successful Mail Relay Report"
            }
        output.line("Received: by \(self.hostname) (Postern) id \(self.id); \(self.time.rfc5322)")
        output.line("Date: \(self.time.rfc5322)")
        output.line("From: Mail Delivery System <MAILER-DAEMON@\(self.hostname)>")
        output.line("To: <\(self.message.envelope.reversePath)>")
        output.line("Subject: \(subject)")
        output.line("Message-ID: <\(self.id)@\(self.hostname)>")
        output.line("Auto-Submitted: auto-replied")
        output.line("MIME-Version: 1.0")
        output.line("Content-Type: multipart/report; report-type=delivery-status;")
        output.line("\tboundary=\"\(boundary)\"")
        output.line("Content-Transfer-Encoding: 8bit")
        output.line("")
        output.line("This is a MIME-encapsulated message.")
    }

    private static func appendPart(_ boundary: String, _ type: String, to output: inout [UInt8]) {
        output.line("")
        output.line("--\(boundary)")
        output.line("Content-Type: \(type)")
        output.line("Content-Transfer-Encoding: 8bit")
        output.line("")
    }

    private func appendText(to output: inout [UInt8]) {
        output.line("This is the mail system at host \(self.hostname).")
        output.line("")
        for line in self.explanation { output.line(line) }
        for report in self.reports {
            let recipient = self.message.envelope.recipients[report.recipient]
            let place = report.remote.map { "host \($0) said: " } ?? ""
            output.line("")
            output.folded("<\(recipient.mailbox)>: \(place)\(report.reply.oneLine)", indent: "    ")
        }
    }

    private var explanation: [String] {
        switch self.kind {
        case .failure:
            let reason =
                self.hasExpired
                ? [
                    "I'm sorry to have to inform you that your message could not be",
                    "delivered in time to one or more recipients, and that it is given up.",
                ]
                : [
                    "I'm sorry to have to inform you that your message could not",
                    "be delivered to one or more recipients.",
                ]
            return reason + [
                "", "The reasons are below, and after them",
                self.returnsWhole ? "your message." : "the header of your message.",
            ]
        case .delay:
            return [
                "Your message has not been delivered yet to one or more recipients.", "",
                "It will be retried until \(self.expiry.rfc5322).", "YOU DO NOT NEED TO RESEND YOUR MESSAGE.",
            ]
        case .relayed:
            return [
                "Your message was handed on to a mail system that does not send",
                "reports of success, so this is the last you will hear of it unless", "it fails.",
            ]
        }
    }
}

// MARK: - The part for programs

extension Notice {
    private func appendStatus(to output: inout [UInt8]) {
        output.line("Reporting-MTA: dns; \(self.hostname)")
        if let id = self.message.envelope.parameters.envelopeID.flatMap(XText.decode) {
            let text = String(decoding: id, as: UTF8.self).printable(maximumBytes: 200)
            if text.isASCII { output.line("Original-Envelope-Id: \(text)") }
        }
        output.line("X-Postern-Queue-ID: \(self.message.id)")
        output.line("Arrival-Date: \(self.message.arrival.rfc5322)")
        for report in self.reports {
            output.line("")
            self.appendFields(report, to: &output)
        }
    }

    private func appendFields(_ report: RecipientReport, to output: inout [UInt8]) {
        let recipient = self.message.envelope.recipients[report.recipient]
        if let original = recipient.parameters.originalRecipient.flatMap({ OriginalRecipient($0) }) {
            output.line("Original-Recipient: \(self.typed(original.address, type: original.addressType))")
        }
        output.line("Final-Recipient: \(self.typed(recipient.mailbox.description, type: "rfc822"))")
        output.line("Action: \(self.action)")
        output.line("Status: \(self.status(report.reply))")
        // A reply of ours is no diagnosis of another server.
        if let remote = report.remote {
            output.line("Remote-MTA: dns; \(remote.prefix { $0 != "[" })")
            output.folded("Diagnostic-Code: smtp; \(report.reply.oneLine.ascii)", indent: "    ")
        } else {
            output.folded(
                "Diagnostic-Code: X-Postern; \(report.reply.lines.joined(separator: " ").ascii)", indent: "    ")
        }
        if let time = report.lastAttempt { output.line("Last-Attempt-Date: \(time.rfc5322)") }
        if self.kind == .delay { output.line("Will-Retry-Until: \(self.expiry.rfc5322)") }
    }

    private var action: String {
        switch self.kind {
        case .failure: "failed"
        case .delay: "delayed"
        case .relayed: "relayed"
        }
    }

    /// The class follows what happened, whatever the reply was: a delay is 4, a success 2. A failure by age keeps
    /// the temporary status of the actual problem (RFC 3463 §3.5, X.4.7).
    private func status(_ reply: Reply) -> String {
        switch self.kind {
        case .relayed: reply.outcome == .accepted ? reply.status : "2.0.0"
        case .failure, .delay: reply.status
        }
    }

    /// An address with its type; where it is not ASCII, as RFC 6533 §3 writes it.
    private func typed(_ address: String, type: String) -> String {
        if address.isASCII { return "\(type.equalsIgnoringCase("utf-8") ? "rfc822" : type);\(address)" }
        guard !self.isInternational else { return "utf-8;\(address)" }
        let escaped = address.unicodeScalars.map { scalar in
            scalar.isASCII && scalar != "\\"
                ? String(scalar) : "\\x{\(String(scalar.value, radix: 16, uppercase: true))}"
        }
        return "utf-8;\(escaped.joined())"
    }
}

// MARK: - Lines

extension [UInt8] {
    fileprivate mutating func line(_ text: String) {
        self += text.utf8
        self += [ASCII.carriageReturn, ASCII.lineFeed]
    }

    /// Breaks long text at blanks, so that no line comes near the 998 octets of RFC 5322 §2.1.1.
    fileprivate mutating func folded(_ text: String, indent: String) {
        var line = ""
        for word in text.split(separator: " ", omittingEmptySubsequences: true) {
            if !line.isEmpty, line.utf8.count + word.utf8.count > 76 {
                self.line(line)
                line = indent + word
            } else {
                line += line.isEmpty ? String(word) : " " + word
            }
        }
        self.line(line)
    }

    fileprivate func hasSuffix(_ text: StaticString) -> Bool {
        text.withUTF8Buffer { self.suffix($0.count).elementsEqual($0) }
    }

    fileprivate func contains(sequence: [UInt8]) -> Bool {
        guard let first = sequence.first, self.count >= sequence.count else { return false }
        return self.indices.dropLast(sequence.count - 1).contains {
            self[$0] == first && self[$0..<$0 + sequence.count].elementsEqual(sequence)
        }
    }
}

extension String {
    /// With `?` for what is not ASCII.
    fileprivate var ascii: String {
        String(decoding: self.unicodeScalars.map { $0.isASCII ? UInt8($0.value) : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
