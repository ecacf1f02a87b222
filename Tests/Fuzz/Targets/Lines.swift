import Mail
import SMTP

/// The framer cuts a stream as splitting it at each LF does.
func checkLines(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let limit = 32
    let frames = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        var input = LineInput(limitBytes: limit)
        return pieces.flatMap { input.take($0) }
    }
    let expected = bytes.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false).dropLast().map {
        line -> LineFramer.Frame in
        if line.count + 1 > limit { return .tooLong }
        return line.last == ASCII.carriageReturn
            ? .line(Array(line.dropLast()), isBare: false) : .line(Array(line), isBare: true)
    }
    try require(frames == expected, "\(shown(bytes)) is cut into\n\(frames) and not\n\(expected)")
}

/// A framer with what it has not consumed, as connections keep it.
struct LineInput {
    private var framer: LineFramer
    private var held: [UInt8] = []

    init(limitBytes: Int) {
        self.framer = LineFramer(limitBytes: limitBytes)
    }

    mutating func take(_ piece: ArraySlice<UInt8>) -> [LineFramer.Frame] {
        self.held += piece
        var frames: [LineFramer.Frame] = []
        while true {
            let (consumed, frame) = self.held.withUnsafeBytes { self.framer.next($0) }
            self.held.removeFirst(consumed)
            guard let frame else { return frames }
            frames.append(frame)
        }
    }
}

/// What is read as a command is sane, and what our client would make of it reads the same.
func checkCommand(_ bytes: [UInt8]) throws(Violation) {
    let line = bytes.prefix { $0 != ASCII.lineFeed }
    guard let command = try? Command(line: line) else { return }
    switch command {
    case .helo(let name), .ehlo(let name):
        try require(!name.isEmpty && name.isPrintable && !name.contains(" "), "unprintable name in \(command)")
    case .mail(let path, let parameters):
        if let mailbox = path.mailbox { try checkMailbox(mailbox) }
        guard let recipient = Mailbox("user@example.test") else { return }
        // REQUIRETLS is said over TLS alone, which this client does not have.
        var plain = parameters
        plain.tls = .unspecified
        var envelope = Envelope(reversePath: path, parameters: plain)
        envelope.recipients = [Recipient(recipient)]
        try checkCommands(for: envelope)
    case .rcpt(.mailbox(let mailbox), let parameters):
        try checkMailbox(mailbox)
        var mail = MailParameters()
        mail.smtputf8 = !mailbox.isASCII
        var envelope = Envelope(reversePath: .null, parameters: mail)
        envelope.recipients = [Recipient(mailbox, parameters: parameters)]
        try checkCommands(for: envelope)
    case .bdat(let size, _): try require(size >= 0, "\(command)")
    case .vrfy(let argument): try require(argument.isPrintable, "unprintable argument in \(command)")
    case .rcpt(.postmaster, _), .starttls, .data, .rset, .noop, .quit, .help: break
    }
}

/// The commands that our client sends for an envelope are the envelope.
private func checkCommands(for envelope: Envelope) throws(Violation) {
    let keywords = ["server.example", "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE 0"]
    var session = ClientSession(hostname: "mx.example.test")
    let delivery = ClientSession.Delivery(
        envelope: envelope, contentBytes: 1000, needsSMTPUTF8: envelope.parameters.smtputf8, client: nil,
        id: QueueID(value: 1))
    let events: [ClientSession.Event] = [
        .connected, .reply(Reply(220, nil, "hello")), .reply(Reply(code: 250, detail: nil, lines: keywords)),
        .deliver(delivery),
    ]
    let actions = events.map { session.handle($0) }.last ?? []
    var lines: [[UInt8]] = []
    var framer = LineInput(limitBytes: 4096)
    for case .send(let bytes) in actions {
        for case .line(let line, isBare: false) in framer.take(bytes[...]) { lines.append(line) }
    }
    try require(lines.count == 3, "not three lines: \(lines.map { shown($0) })")
    guard case .mail(let path, let mail)? = try? Command(line: lines[0][...]),
        case .rcpt(.mailbox(let mailbox), let rcpt)? = try? Command(line: lines[1][...])
    else { throw Violation(description: "not read again: \(lines.map { shown($0) })") }
    try require(path == envelope.reversePath, "reverse-path of \(shown(lines[0]))")
    try require(mail.smtputf8 == envelope.parameters.smtputf8, "SMTPUTF8 of \(shown(lines[0]))")
    try require(mail.noticeReturn == envelope.parameters.noticeReturn, "RET of \(shown(lines[0]))")
    try require(mail.envelopeID == envelope.parameters.envelopeID, "ENVID of \(shown(lines[0]))")
    try require([mailbox] == envelope.recipients.map(\.mailbox), "mailbox of \(shown(lines[1]))")
    let parameters = envelope.recipients.first?.parameters
    try require(rcpt.notify == parameters?.notify, "NOTIFY of \(shown(lines[1]))")
    try require(
        rcpt.originalRecipient.flatMap { OriginalRecipient($0) }
            == parameters?.originalRecipient.flatMap { OriginalRecipient($0) }, "ORCPT of \(shown(lines[1]))")
    try require(
        envelope.parameters.smtputf8 || lines.allSatisfy { $0.allSatisfy { $0 < 0x80 } },
        "not ASCII without SMTPUTF8: \(lines.map { shown($0) })")
}
