import SMTP
import Testing

struct ContentReaderTests {
    /// Reads pieces one after the other.
    private func read(
        _ pieces: [ArraySlice<UInt8>], _ transfer: ContentReader.Transfer = .data, limit: Int = 1 << 20
    ) -> (content: String, consumed: Int?, isBare: Bool) {
        var reader = ContentReader(transfer, limitBytes: limit)
        var content: [UInt8] = []
        var consumed = 0
        for piece in pieces {
            let result = Array(piece).withUnsafeBytes { reader.read($0, into: &content) }
            consumed += result.consumedBytes
            if result.isAtEnd { return (String(decoding: content, as: UTF8.self), consumed, reader.sawBareLineEnding) }
        }
        if transfer == .bdat { reader.finish(into: &content) }
        return (String(decoding: content, as: UTF8.self), nil, reader.sawBareLineEnding)
    }

    /// Every way of arriving comes to the same: whole, one octet at a time, split at every place.
    private func readEveryWay(
        _ text: String, _ transfer: ContentReader.Transfer = .data
    ) -> (content: String, consumed: Int?, isBare: Bool) {
        let bytes = Array(text.utf8)
        let whole = self.read([bytes[...]], transfer)
        let single = self.read(bytes.indices.map { bytes[$0...$0] }, transfer)
        #expect(single == whole)
        for cut in 0...bytes.count { #expect(self.read([bytes[..<cut], bytes[cut...]], transfer) == whole) }
        return whole
    }

    @Test(arguments: [
        (".\r\n", ""), ("a\r\n.\r\n", "a\r\n"), ("a\r\n\r\nb\r\n.\r\n", "a\r\n\r\nb\r\n"), ("..\r\n.\r\n", ".\r\n"),
        ("..a\r\n...\r\n.b\r\n.\r\n", ".a\r\n..\r\nb\r\n"), ("a.\r\n.\r\n", "a.\r\n"), ("\r\n.\r\n", "\r\n"),
    ])
    func `lines are unstuffed up to the end marker`(input: String, content: String) {
        let result = self.readEveryWay(input + "QUIT\r\n")
        #expect(result == (content, input.utf8.count, false))
    }

    /// SEMANTICS §12: nothing but CRLF.CRLF ends content, and what is kept has no bare CR or LF.
    @Test(arguments: [
        ("a\n.\n", "a\r\n"), ("a\n.\r\n", "a\r\n"), ("a\r\n.\nb\r\n", "a\r\nb\r\n"), ("a\r.\r\n", "a .\r\n"),
        ("a\n.\rb\r\n", "a\r\n b\r\n"),
        ("a\rb\r\n", "a b\r\n"), ("a\nb\n", "a\r\nb\r\n"), ("\n", "\r\n"), ("\r\r\n", " \r\n"),
        ("a\r\n\n.\r\nb\r\n", "a\r\n\r\nb\r\n"),
        ("\n..x\r\n", "\r\n.x\r\n"), ("a\r\n.\r\rb\r\n", "a\r\n  b\r\n"), ("a\r\n.\rb\r\n", "a\r\n b\r\n"),
        ("\r\n.\r.\r\n", "\r\n .\r\n"),
    ])
    func `bare line ends end nothing and are made harmless`(input: String, content: String) {
        // The line behind it brings the state back to that after a CRLF.
        let result = self.readEveryWay(input + "z\r\n.\r\n")
        #expect(result == (content + "z\r\n", input.utf8.count + 6, true))
    }

    @Test func `a lone dot behind a bare line feed does not end content even at once`() {
        #expect(self.readEveryWay("a\n.\r\n").consumed == nil)
        #expect(self.readEveryWay("a\r\n.\n").consumed == nil)
    }

    @Test(arguments: [
        ("", ""), ("a", "a\r\n"), ("a\r\n", "a\r\n"), (".\r\n", ".\r\n"), ("..\r\n.\r\n", "..\r\n.\r\n"),
        ("a\nb", "a\r\nb\r\n"),
        ("a\r", "a \r\n"), ("a\r\n.\r\nb", "a\r\n.\r\nb\r\n"), ("\r", " \r\n"), ("\n.\n", "\r\n.\r\n"),
    ])
    func `counted octets are kept with their dots and get a last line end`(input: String, content: String) {
        #expect(self.readEveryWay(input, .bdat).content == content)
    }

    @Test func `above the limit content is counted and not kept`() {
        let input = String(repeating: "0123456789\r\n", count: 10) + ".\r\n"
        var reader = ContentReader(.data, limitBytes: 50)
        var content: [UInt8] = []
        let result = Array(input.utf8).withUnsafeBytes { reader.read($0, into: &content) }
        #expect(result.isAtEnd)
        #expect(reader.isTooLarge)
        #expect(reader.contentBytes == 120)
        #expect(content.count <= 50)
    }

    @Test func `random octets keep no bare line end and end only where they should`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("\r\n\r\n\r\n..a".utf8)
        for _ in 0..<2000 {
            let bytes = (0..<40).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }
            let text = String(decoding: bytes, as: UTF8.self)
            let result = self.readEveryWay(text)
            let kept = Array(result.content.utf8)
            for (index, byte) in kept.enumerated() {
                if byte == 0x0A { #expect(index > 0 && kept[index - 1] == 0x0D) }
                // A CR at the very end of what has come so far is not decided yet and not kept.
                if byte == 0x0D { #expect(index + 1 < kept.count && kept[index + 1] == 0x0A) }
            }
            if let end = result.consumed {
                #expect(Array(("\r\n" + text).utf8)[..<(end + 2)].suffix(5) == Array("\r\n.\r\n".utf8)[...])
            }
        }
    }
}

struct LineFramerTests {
    private func frames(_ pieces: [[UInt8]], limit: Int = 20, cuts: Bool = false) -> [LineFramer.Frame] {
        var framer = LineFramer(limitBytes: limit, cutsLongLines: cuts)
        var buffer: [UInt8] = []
        var frames: [LineFramer.Frame] = []
        for piece in pieces {
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

    @Test func `lines come out the same wherever the input is cut`() {
        let input = Array("HELO a\r\nNOOP\n\r\n\n\(String(repeating: "x", count: 30))\r\nQUIT\r\nrest".utf8)
        let expected: [LineFramer.Frame] = [
            .line(Array("HELO a".utf8), isBare: false), .line(Array("NOOP".utf8), isBare: true),
            .line([], isBare: false),
            .line([], isBare: true), .tooLong, .line(Array("QUIT".utf8), isBare: false),
        ]
        #expect(self.frames([input]) == expected)
        #expect(self.frames(input.map { [$0] }) == expected)
        for cut in 0...input.count { #expect(self.frames([Array(input[..<cut]), Array(input[cut...])]) == expected) }
    }

    @Test func `the limit counts the line end`() {
        let text = String(repeating: "x", count: 18)
        #expect(self.frames([Array("\(text)\r\n".utf8)]) == [.line(Array(text.utf8), isBare: false)])
        #expect(self.frames([Array("\(text)x\r\n".utf8)]) == [.tooLong])
    }

    @Test func `of long lines the beginning comes out, wherever the input is cut`() {
        let long = String(repeating: "0123456789", count: 5)
        let input = Array("\(long)\r\nQUIT\r\n\(long)\n\(long)".utf8)
        let beginning = LineFramer.Frame.line(Array(long.utf8.prefix(20)), isBare: false)
        let expected = [beginning, .line(Array("QUIT".utf8), isBare: false), beginning]
        #expect(self.frames([input], cuts: true) == expected)
        #expect(self.frames(input.map { [$0] }, cuts: true) == expected)
        for cut in 0...input.count {
            #expect(self.frames([Array(input[..<cut]), Array(input[cut...])], cuts: true) == expected)
        }
    }
}

struct DotStufferTests {
    @Test(arguments: [
        ("a\r\n", "a\r\n"), (".\r\n", "..\r\n"), ("a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n"), ("", ""),
        ("a.b\r\n", "a.b\r\n"),
    ])
    func `dots are doubled wherever the content is cut`(content: String, stuffed: String) {
        let bytes = Array(content.utf8)
        for cut in 0...bytes.count {
            var stuffer = DotStuffer()
            let output = stuffer.stuff(Array(bytes[..<cut])) + stuffer.stuff(Array(bytes[cut...]))
            #expect(String(decoding: output, as: UTF8.self) == stuffed)
        }
    }

    @Test func `what is stuffed is read back`() {
        let content = "a\r\n.\r\n..\r\n\r\n.x\r\nend\r\n"
        var stuffer = DotStuffer()
        var reader = ContentReader(.data, limitBytes: 1000)
        var output: [UInt8] = []
        let sent = stuffer.stuff(Array(content.utf8)) + Array(".\r\n".utf8)
        #expect(sent.withUnsafeBytes { reader.read($0, into: &output) }.isAtEnd)
        #expect(String(decoding: output, as: UTF8.self) == content)
    }
}
