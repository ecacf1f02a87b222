import Forwarder
import Mail
import Queue
import Testing

struct NoticeTests {
    private let time = Timestamp(seconds: 1_800_000_000)

    private func message(
        from: String = "sender@client.example",
        to: [(String, NoticeConditions?, String?)] = [("a@example.test", nil, nil)],
        about: QueueID? = nil, utf8: Bool = false, envelopeID: String? = nil
    ) throws -> QueuedMessage {
        var parameters = MailParameters()
        parameters.envelopeID = envelopeID
        var envelope = Envelope(
            reversePath: from.isEmpty ? .null : .mailbox(try #require(Mailbox(from))), parameters: parameters)
        for (address, notify, original) in to {
            var options = RecipientParameters()
            options.notify = notify
            options.originalRecipient = original
            envelope.recipients.append(Recipient(try #require(Mailbox(address)), parameters: options))
        }
        return QueuedMessage(
            id: QueueID(value: 77), arrival: self.time, envelope: envelope, client: nil, about: about, contentBytes: 10,
            contentChecksum: 0, needsSMTPUTF8: utf8, progress: Progress(laneNames: to.map { _ in "x" }, due: self.time))
    }

    private func notice(
        _ kind: NoticeKind, _ message: QueuedMessage, reply: Reply = Reply(550, .init(1, 1), "User unknown"),
        remote: String? = "mail.example.test[192.0.2.1]:25",
        returned: String = "Subject: x\r\n\r\nbody\r\n", whole: Bool = true, expired: Bool = false
    ) -> String {
        let reports = message.envelope.recipients.indices.map {
            Notice.RecipientReport(recipient: $0, reply: reply, remote: remote, lastAttempt: self.time)
        }
        let notice = Notice(
            id: QueueID(value: 99), kind: kind, message: message, reports: reports, hostname: "mx.example.test",
            time: self.time,
            expiry: self.time + .seconds(864_000), hasExpired: expired, returned: Array(returned.utf8),
            returnsWhole: whole)
        return String(decoding: notice.content, as: UTF8.self)
    }

    // MARK: Whether

    @Test func `nobody is told about a notice, a null sender, a program, or a forged sender`() throws {
        for kind in [NoticeKind.failure, .delay, .relayed] {
            #expect(NoticeDecision.recipients([0], of: try self.message(from: ""), for: kind).isEmpty)
            #expect(NoticeDecision.recipients([0], of: try self.message(about: QueueID(value: 1)), for: kind).isEmpty)
            #expect(
                NoticeDecision.recipients([0], of: try self.message(from: "MAILER-DAEMON@client.example"), for: kind)
                    .isEmpty)
            #expect(
                NoticeDecision.recipients([0], of: try self.message(from: "double-bounce@client.example"), for: kind)
                    .isEmpty)
            let forged = try self.message(to: [("a@example.test", [.success, .failure, .delay], nil)])
            #expect(NoticeDecision.recipients([0], of: forged, for: kind, trust: .failedAuthentication).isEmpty)
            #expect(NoticeDecision.recipients([0], of: forged, for: kind) == [0])
        }
    }

    @Test func `NOTIFY says who is told what`() throws {
        let conditions: [NoticeConditions?] = [nil, .never, .success, .failure, .delay, [.success, .failure]]
        let message = try self.message(
            to: conditions.enumerated().map { ("u\($0.offset)@example.test", $0.element, nil) })
        #expect(NoticeDecision.recipients(0..<6, of: message, for: .failure) == [0, 3, 5])
        #expect(NoticeDecision.recipients(0..<6, of: message, for: .delay) == [0, 4])
        #expect(NoticeDecision.recipients(0..<6, of: message, for: .relayed) == [2, 5])
    }

    // MARK: What

    @Test func `a failure has the fields of RFC 3464`() throws {
        let text = self.notice(
            .failure,
            try self.message(to: [("a@example.test", nil, "rfc822;Orig+2Binal@example.test")], envelopeID: "QQ+2B1"))
        for line in [
            "From: Mail Delivery System <MAILER-DAEMON@mx.example.test>", "To: <sender@client.example>",
            "Auto-Submitted: auto-replied",
            "Subject: Undelivered Mail Returned to Sender", "MIME-Version: 1.0", "Reporting-MTA: dns; mx.example.test",
            "Original-Envelope-Id: QQ+1", "X-Postern-Queue-ID: \(QueueID(value: 77))",
            "Original-Recipient: rfc822;Orig+inal@example.test",
            "Final-Recipient: rfc822;a@example.test", "Action: failed", "Status: 5.1.1",
            "Remote-MTA: dns; mail.example.test",
            "Diagnostic-Code: smtp; 550 5.1.1 User unknown", "Content-Type: message/rfc822",
            "Content-Type: message/delivery-status",
        ] { #expect(text.contains("\r\n\(line)\r\n"), "\(line)") }
        #expect(text.contains("boundary=\"\(QueueID(value: 99))/mx.example.test\""))
        #expect(!text.contains("Will-Retry-Until"))
        #expect(text.hasSuffix("body\r\n\r\n--\(QueueID(value: 99))/mx.example.test--\r\n"))
    }

    @Test func `a delay says until when it is tried, and returns the header`() throws {
        let text = self.notice(
            .delay, try self.message(), reply: Reply(451, .init(4, 1), "refused"), remote: nil,
            returned: "Subject: x\r\n", whole: false)
        for line in [
            "Action: delayed", "Status: 4.4.1", "Will-Retry-Until: \((self.time + .seconds(864_000)).rfc5322)",
            "Content-Type: text/rfc822-headers", "Diagnostic-Code: X-Postern; refused",
        ] {
            #expect(text.contains("\r\n\(line)\r\n"), "\(line)")
        }
        #expect(!text.contains("Remote-MTA"))
    }

    @Test func `a message that was handed on to a system without notices is relayed`() throws {
        let text = self.notice(
            .relayed, try self.message(), reply: Reply(250, .init(0, 0), "Ok"), returned: "Subject: x\r\n", whole: false
        )
        #expect(text.contains("\r\nAction: relayed\r\nStatus: 2.0.0\r\n"))
    }

    @Test func `an expired message keeps the status of its actual problem`() throws {
        let text = self.notice(
            .failure, try self.message(), reply: Reply(451, .init(4, 1), "connection refused"), remote: nil,
            expired: true)
        #expect(text.contains("\r\nAction: failed\r\nStatus: 4.4.1\r\n"))
        #expect(text.contains("given up"))
    }

    @Test func `other alphabets follow RFC 6533`() throws {
        let recipients: [(String, NoticeConditions?, String?)] = [("δ@example.test", nil, nil)]
        let plain = self.notice(.failure, try self.message(to: recipients))
        #expect(plain.contains("\r\nFinal-Recipient: utf-8;\\x{3B4}@example.test\r\n"))
        #expect(plain.contains("\r\nContent-Type: message/delivery-status\r\n"))
        let international = self.notice(
            .failure, try self.message(from: "δ@client.example", to: recipients, utf8: true))
        #expect(international.contains("\r\nFinal-Recipient: utf-8;δ@example.test\r\n"))
        for type in ["message/global-delivery-status", "message/global"] {
            #expect(international.contains("Content-Type: \(type)\r\n"))
        }
    }

    @Test func `it goes from nobody and asks for nothing`() throws {
        let message = try self.message(from: "δ@client.example")
        let notice = Notice(
            id: QueueID(value: 1), kind: .failure, message: message, reports: [], hostname: "h", time: self.time,
            expiry: self.time,
            hasExpired: false, returned: [], returnsWhole: false)
        let envelope = try #require(notice.envelope)
        #expect(envelope.reversePath == .null)
        #expect(envelope.recipients.map(\.mailbox.description) == ["δ@client.example"])
        #expect(envelope.recipients[0].parameters.notify == .never)
        #expect(envelope.parameters.smtputf8)
    }

    @Test func `nothing a server or a sender says gets out of its line or part`() throws {
        let boundary = "\(QueueID(value: 99))/mx.example.test"
        let evil = Reply(
            550, .init(7, 1), "no\r\n--\(boundary)--\r\nSubject: owned \(String(repeating: "long ", count: 80))")
        let text = self.notice(
            .failure, try self.message(), reply: evil, returned: "Subject: x\r\n\r\n--\(boundary)--\r\n")
        #expect(text.components(boundary: "\r\n--\(boundary)").count == 2)
        #expect(text.contains("boundary=\"=\(boundary)\""))
        for line in text.split(separator: "\r\n", omittingEmptySubsequences: false) { #expect(line.utf8.count <= 998) }
        #expect(!text.contains("\r\nSubject: owned"))
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() where byte == 0x0A { #expect(bytes[index - 1] == 0x0D) }
    }
}

extension String {
    fileprivate func components(boundary: String) -> [Substring] {
        self.split(separator: boundary, omittingEmptySubsequences: false)
    }
}
