package import Mail

// The records of the queue, format 1. A record of another format is damage to this version.

extension QueuedMessage {
    static let format: UInt8 = 1

    /// What never changes about the message, with the lanes it began in.
    package func encoded() -> [UInt8] {
        var writer = RecordWriter(format: Self.format)
        writer.write(self.arrival)
        writer.write(
            byte: (self.about == nil ? 0 : 1) | (self.needsSMTPUTF8 ? 2 : 0) | (self.headBytes == 0 ? 0 : 4))
        if let about = self.about { writer.write(fixed: about.value) }
        writer.write(self.client)
        writer.write(self.envelope.parameters)
        writer.write(self.envelope.reversePath.description)
        writer.write(self.contentBytes)
        if self.headBytes > 0 { writer.write(self.headBytes) }
        writer.write(fixed: self.contentChecksum)
        writer.write(self.progress.lanes.count)
        for lane in self.progress.lanes { writer.write(lane.name) }
        writer.write(self.envelope.recipients.count)
        for (recipient, state) in zip(self.envelope.recipients, self.progress.recipients) {
            writer.write(recipient.mailbox.description)
            writer.write(state.lane)
            writer.write(byte: recipient.parameters.notify.map { $0.rawValue + 1 } ?? 0)
            writer.write(optional: recipient.parameters.originalRecipient)
        }
        return writer.finish()
    }

    /// - Parameter progress: the record of its progress; nil if nothing has been tried.
    package init(id: QueueID, record: UnsafeRawBufferPointer, progress: Progress?) throws(RecordReader.Damage) {
        var reader = try RecordReader(record, format: Self.format)
        let arrival = try reader.readTime()
        let flags = try reader.readByte()
        let about = flags & 1 == 0 ? nil : QueueID(value: try reader.readFixed())
        let client = try reader.readClient()
        let parameters = try reader.readMailParameters()
        var envelope = Envelope(reversePath: try reader.readReversePath(), parameters: parameters)
        let bytes = try reader.readInt()
        let headBytes = flags & 4 == 0 ? 0 : try reader.readInt()
        guard 0...max(0, bytes) ~= headBytes else { throw RecordReader.Damage(what: "head longer than content") }
        let checksum = try reader.readFixed()
        var lanes: [Progress.Lane] = []
        for _ in 0..<(try reader.readCount()) { lanes.append(Progress.Lane(name: try reader.readText(), due: arrival)) }
        var states: [Progress.RecipientState] = []
        for _ in 0..<(try reader.readCount()) {
            let (recipient, lane) = try reader.readRecipient()
            guard lanes.indices.contains(lane) else { throw RecordReader.Damage(what: "recipient without lane") }
            envelope.recipients.append(recipient)
            states.append(Progress.RecipientState(lane: lane))
        }
        guard reader.isAtEnd, progress.map({ $0.recipients.count == states.count }) ?? true else {
            throw RecordReader.Damage(what: "record does not end where it should")
        }
        self.init(
            id: id, arrival: arrival, envelope: envelope, client: client, about: about, contentBytes: bytes,
            headBytes: headBytes, contentChecksum: checksum, needsSMTPUTF8: flags & 2 != 0,
            progress: progress ?? Progress(lanes: lanes, recipients: states))
    }
}

extension Progress {
    static let format: UInt8 = 1

    package func encoded() -> [UInt8] {
        var writer = RecordWriter(format: Self.format)
        writer.write(byte: (self.isHeld ? 1 : 0) | (self.wasDelayNotified ? 2 : 0))
        writer.write(self.lanes.count)
        for lane in self.lanes {
            writer.write(lane.name)
            writer.write(lane.due)
        }
        writer.write(self.recipients.count)
        for state in self.recipients {
            writer.write(byte: state.status.rawValue)
            writer.write(state.lane)
            writer.write(state.attempts)
            writer.write(state.lastAttempt ?? Timestamp(microseconds: 0))
            writer.write(state.lastReply)
            writer.write(optional: state.lastRemote)
        }
        return writer.finish()
    }

    package init(record: UnsafeRawBufferPointer) throws(RecordReader.Damage) {
        var reader = try RecordReader(record, format: Self.format)
        let flags = try reader.readByte()
        var lanes: [Lane] = []
        for _ in 0..<(try reader.readCount()) {
            lanes.append(Lane(name: try reader.readText(), due: try reader.readTime()))
        }
        var states: [RecipientState] = []
        for _ in 0..<(try reader.readCount()) {
            guard let status = RecipientState.Status(rawValue: try reader.readByte()) else {
                throw RecordReader.Damage(what: "unknown state of a recipient")
            }
            var state = RecipientState(lane: try reader.readInt())
            guard lanes.indices.contains(state.lane) else { throw RecordReader.Damage(what: "recipient without lane") }
            state.status = status
            state.attempts = try reader.readInt()
            let time = try reader.readTime()
            state.lastAttempt = time.microseconds == 0 ? nil : time
            state.lastReply = try reader.readReply()
            state.lastRemote = try reader.readOptionalText()
            states.append(state)
        }
        guard reader.isAtEnd else { throw RecordReader.Damage(what: "record does not end where it should") }
        self.init(lanes: lanes, recipients: states)
        self.isHeld = flags & 1 != 0
        self.wasDelayNotified = flags & 2 != 0
    }
}

// MARK: - Parts of records

extension RecordWriter {
    fileprivate mutating func write(_ client: ClientIdentity?) {
        guard let client else { return self.write(byte: 0) }
        switch client.address {
        case .v4(let value):
            self.write(byte: 4)
            self.write(UInt64(value))
        case .v6(let high, let low):
            self.write(byte: 6)
            self.write(fixed: high)
            self.write(fixed: low)
        }
        self.write(client.port)
        self.write(optional: client.hostname)
        self.write(client.helo)
        self.write(client.proto)
    }

    fileprivate mutating func write(_ parameters: MailParameters) {
        self.write(byte: parameters.body.map { $0.rawValue + 1 } ?? 0)
        self.write(byte: parameters.noticeReturn.map { $0.rawValue + 1 } ?? 0)
        self.write(byte: (parameters.smtputf8 ? 1 : 0) | parameters.tls.bits)
        self.write(optional: parameters.envelopeID)
    }

    fileprivate mutating func write(_ reply: Reply?) {
        guard let reply else { return self.write(0) }
        self.write(reply.code)
        self.write(byte: reply.detail == nil ? 0 : 1)
        if let detail = reply.detail {
            self.write(detail.subject)
            self.write(detail.detail)
        }
        self.write(reply.lines.joined(separator: " "))
    }
}

extension RecordReader {
    fileprivate mutating func readClient() throws(Damage) -> ClientIdentity? {
        let address: IPAddress
        switch try self.readByte() {
        case 0: return nil
        case 4: address = .v4(UInt32(truncatingIfNeeded: try self.readNumber()))
        case 6: address = .v6(high: try self.readFixed(), low: try self.readFixed())
        default: throw Damage(what: "unknown address family")
        }
        return ClientIdentity(
            address: address, port: try self.readInt(), hostname: try self.readOptionalText(),
            helo: try self.readText(), proto: try self.readText())
    }

    fileprivate mutating func readMailParameters() throws(Damage) -> MailParameters {
        var parameters = MailParameters()
        parameters.body = try self.readChoice(MailParameters.Body.init(rawValue:))
        parameters.noticeReturn = try self.readChoice(MailParameters.Return.init(rawValue:))
        let flags = try self.readByte()
        parameters.smtputf8 = flags & 1 != 0
        parameters.tls = TLSRequirement(bits: flags)
        parameters.envelopeID = try self.readOptionalText()
        return parameters
    }

    private mutating func readChoice<Choice>(_ make: (UInt8) -> Choice?) throws(Damage) -> Choice? {
        let value = try self.readByte()
        guard value > 0 else { return nil }
        guard let choice = make(value - 1) else { throw Damage(what: "unknown parameter") }
        return choice
    }

    fileprivate mutating func readReversePath() throws(Damage) -> ReversePath {
        let text = try self.readText()
        guard !text.isEmpty else { return .null }
        guard let mailbox = Mailbox(text) else { throw Damage(what: "unreadable reverse-path") }
        return .mailbox(mailbox)
    }

    fileprivate mutating func readRecipient() throws(Damage) -> (Recipient, lane: Int) {
        guard let mailbox = Mailbox(try self.readText()) else { throw Damage(what: "unreadable recipient") }
        let lane = try self.readInt()
        var parameters = RecipientParameters()
        let notify = try self.readByte()
        parameters.notify = notify == 0 ? nil : NoticeConditions(rawValue: notify - 1)
        parameters.originalRecipient = try self.readOptionalText()
        return (Recipient(mailbox, parameters: parameters), lane)
    }

    fileprivate mutating func readReply() throws(Damage) -> Reply? {
        let code = try self.readInt()
        guard code != 0 else { return nil }
        var detail: Reply.Detail?
        if try self.readByte() != 0 { detail = Reply.Detail(try self.readInt(), try self.readInt()) }
        return Reply(code, detail, try self.readText())
    }
}

extension TLSRequirement {
    /// In the octet that SMTPUTF8 is in, so that records of the time before can be read.
    fileprivate var bits: UInt8 {
        switch self {
        case .unspecified: 0
        case .required: 2
        case .optional: 4
        }
    }

    fileprivate init(bits: UInt8) {
        self = bits & 2 != 0 ? .required : bits & 4 != 0 ? .optional : .unspecified
    }
}
