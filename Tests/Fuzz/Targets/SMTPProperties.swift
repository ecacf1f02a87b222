import Mail
import SMTP

enum SMTPProperties {
    // MARK: Lines

    /// Lines are the same however the octets arrive, and hold no LF; only what has no line end stays.
    static func line(_ bytes: [UInt8]) throws {
        let whole = Self.frames([bytes[...]])
        try require(whole == Self.frames(pieces(of: bytes)), "other lines in pieces")
        try require(whole == Self.frames(bytes.indices.map { bytes[$0...$0] }), "other lines by octets")
        for case .line(let line, _) in whole {
            try require(!line.contains(10) && line.count < 64, "a line of \(line.count) octets")
        }
        try require(whole.count == bytes.count { $0 == 10 }, "not one frame a line feed")
    }

    private static func frames(_ input: [ArraySlice<UInt8>]) -> [LineFramer.Frame] {
        var framer = LineFramer(limitBytes: 64)
        var frames: [LineFramer.Frame] = []
        var buffer: [UInt8] = []
        for piece in input {
            buffer += piece
            while true {
                let (consumed, frame) = buffer.withUnsafeBytes { framer.next($0) }
                buffer.removeFirst(consumed)
                guard let frame else { break }
                frames.append(frame)
            }
        }
        return frames
    }

    // MARK: Commands

    /// What a command carries can be written down again, and means the same then.
    static func command(_ bytes: [UInt8]) throws {
        guard let command = try? Command(line: bytes[...]) else { return }
        switch command {
        case .mail(let path, let parameters):
            try Self.checkText("\(path)")
            if let envelope = parameters.envelopeID { try Self.checkText(envelope) }
            guard case .mailbox(let mailbox) = path else { return }
            try require(Mailbox("\(mailbox)") == mailbox, "\(mailbox) is another mailbox")
        case .rcpt(let path, let parameters):
            try Self.checkText("\(path)")
            if let original = parameters.originalRecipient { try Self.checkText("\(original)") }
        case .ehlo(let name), .helo(let name): try Self.checkText("\(name)")
        default: break
        }
    }

    private static func checkText(_ text: String) throws {
        try require(
            !text.utf8.contains { $0 == 13 || $0 == 10 || $0 == 0 }, "a control character in \(text.debugDescription)")
    }

    // MARK: Content

    /// Content is the same however it arrives, has no bare CR or LF, and is read as itself by whoever comes next.
    static func data(_ bytes: [UInt8]) throws {
        for transfer in [ContentReader.Transfer.data, .bdat] {
            let whole = Self.read(transfer, [bytes[...]])
            let cut = Self.read(transfer, pieces(of: bytes))
            try require(whole == cut, "other content in pieces")
            try require(!whole.content.hasBareLineEnding, "a bare line end left")
        }
        let read = Self.read(.data, [bytes[...]])
        guard read.isAtEnd else { return }
        var stuffer = DotStuffer()
        var stuffed: [UInt8] = []
        for piece in pieces(of: read.content) { stuffed += stuffer.stuff(Array(piece)) }
        let again = Self.read(.data, [(stuffed + Array(".\r\n".utf8))[...]])
        try require(
            again.isAtEnd && again.consumed == stuffed.count + 3, "the message ends elsewhere at the next server")
        try require(again.content == read.content, "another message at the next server")
    }

    private struct Read: Equatable {
        var content: [UInt8] = []
        var consumed = 0
        var isAtEnd = false
        var sawBare = false
    }

    private static func read(_ transfer: ContentReader.Transfer, _ input: [ArraySlice<UInt8>]) -> Read {
        var reader = ContentReader(transfer, limitBytes: 1 << 20)
        var result = Read()
        for piece in input where !result.isAtEnd {
            let (consumed, isAtEnd) = piece.withUnsafeBytes { reader.read($0, into: &result.content) }
            result.consumed += consumed
            result.isAtEnd = isAtEnd
        }
        if transfer == .bdat { reader.finish(into: &result.content) }
        result.sawBare = reader.sawBareLineEnding
        return result
    }

    // MARK: Replies

    /// A reply has a code and its lines; what is written of it is read as the same.
    static func reply(_ bytes: [UInt8]) throws {
        var parser = ReplyParser()
        for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
            guard let reply = try? parser.next(Array(line)) else { continue }
            try require((200...599).contains(reply.code), "code \(reply.code)")
            var output: [UInt8] = []
            reply.append(to: &output)
            try require(!output.hasBareLineEnding && output.suffix(2) == [13, 10], "written with a bare line end")
            try Self.checkText(reply.oneLine)
            var second = ReplyParser()
            var again: Reply?
            for line in output.split(separator: 10) { again = try? second.next(Array(line.dropLast())) }
            try require(
                again?.code == reply.code && again?.detail == reply.detail, "\(reply) is \(String(describing: again))")
        }
    }

    // MARK: xtext

    static func xtext(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        let encoded = XText.encode(text)
        try require(encoded.utf8.allSatisfy { $0 > 32 && $0 < 127 }, "encoded is not printable")
        try require(XText.decode(encoded).map { $0 == Array(text.utf8) } ?? false, "decoded is not what was encoded")
        _ = XText.decode(text)
        if let original = OriginalRecipient(text) { try Self.checkText(original.addressType + original.address) }
    }
}
