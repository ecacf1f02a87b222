import Mail

/// Every mail event, with every field filled.
enum EventSamples {
    static let id = QueueID(value: 1_795_237_800_123_456)

    static var reason: Reason {
        var reason = Reason(stage: "recipient", restriction: "check_sender_access texthash:senders")
        (reason.table, reason.file, reason.line) = ("texthash:senders", "/etc/postern/rules/senders", 3)
        (reason.key, reason.value, reason.facts) = ("s@example.org", "REJECT", ["example.org A -> 192.0.2.1"])
        return reason
    }

    static var all: [MailEvent] {
        guard let sender = Mailbox("s@example.org"), let recipient = Mailbox("\"a,b\"@example.com"),
            let other = Mailbox("u@example.com")
        else { return [] }
        let client = Endpoint(.v4(0xC000_0207), port: 4711)
        let reply = Reply(554, .init(7, 1), "say \"no\" \\ [ref 4K7Q2M]")
        let tls = TLSSummary(version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", bits: 256, keyBits: 256)
        var refusal = MailEvent.Refusal(session: "\(self.id)", client: client, command: "RCPT", reply: reply)
        (refusal.helo, refusal.reversePath, refusal.forwardPath) = ("", .null, "u@example.com")
        (refusal.reference, refusal.reason, refusal.generation, refusal.tls) = ("4K7Q2M", self.reason, 3, tls)
        var note = MailEvent.Note(
            session: "\(self.id)", client: client, kind: "effect", text: "HOLD it", reason: self.reason)
        (note.helo, note.reversePath, note.forwardPath) = ("h", .mailbox(sender), "u@example.com")
        var screened = MailEvent.Screened(session: "\(self.id)", client: client, result: "failed")
        (screened.local, screened.tests, screened.isNew) = (client, ["pregreet:enforce"], true)
        (screened.score, screened.lists, screened.isPartial) = (3, ["zen.example:3"], true)
        (screened.pregreeting, screened.after, screened.helo) = ("EHLO x\\r\\n", .milliseconds(104), "h")
        (screened.reversePath, screened.reply) = (.mailbox(sender), reply)
        var envelope = Envelope(reversePath: .mailbox(sender), parameters: MailParameters())
        envelope.recipients = [Recipient(recipient), Recipient(other)]
        var queued = MailEvent.Queued(envelope: envelope, bytes: 2048)
        queued.session = "\(self.id)"
        queued.client = ClientIdentity(address: client.address, port: 4711, hostname: nil, helo: "h", proto: "ESMTPS")
        (queued.about, queued.authentication, queued.tls, queued.isHeld) = (self.id, "spf=pass dkim=none", tls, true)
        var outcome = MailEvent.Outcome(
            reversePath: .mailbox(sender), recipients: [recipient, other], destination: "[192.0.2.25]:25",
            remote: "mail.example.com[192.0.2.25]:25", reply: reply, age: .milliseconds(1500))
        (outcome.tls, outcome.bytes) = ("dane TLSv1.3/X/256", 2048)
        let due = Timestamp(seconds: 1_795_237_900)
        return [
            .refused(refusal), .screened(screened), .noted(note),
            .tlsFailed(.init(session: "\(self.id)", client: client, detail: "no shared cipher")),
            .queued(self.id, queued), .attempted(self.id, outcome, due: due), .delivered(self.id, outcome),
            .failed(self.id, outcome, notice: self.id), .operated(self.id, action: "hold"),
            .destinationDown("[192.0.2.25]:25", reply: reply, due: due), .destinationUp("[192.0.2.25]:25"),
            .damaged(self.id, detail: "checksum"), .unsigned(self.id, detail: "no such key"),
            .alarm("the queue is full", isRaised: true), .started(generation: 1, hostname: "mx.example.com"), .ended,
            .reloaded(generation: 2, warnings: 0), .reloadRefused(generation: 1, detail: "postern.yaml:1: no"),
        ]
    }

    /// Does not compile when an event is added; then it belongs into ``all`` as well.
    static func number(of event: MailEvent) -> Int {
        switch event {
        case .refused: 0
        case .screened: 1
        case .tlsFailed: 2
        case .noted: 3
        case .queued: 4
        case .attempted: 5
        case .delivered: 6
        case .failed: 7
        case .operated: 8
        case .destinationDown: 9
        case .destinationUp: 10
        case .damaged: 11
        case .unsigned: 12
        case .alarm: 13
        case .started: 14
        case .ended: 15
        case .reloaded: 16
        case .reloadRefused: 17
        }
    }

    static let count = 18
}
