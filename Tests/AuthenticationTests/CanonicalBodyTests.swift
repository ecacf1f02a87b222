import Crypto
import Testing

@testable import Authentication

@Suite struct CanonicalBodyTests {
    static func hash(_ body: String, _ form: Canonicalization, limitBytes: Int? = nil) -> BodyHash? {
        let hashing = BodyHashing(form, limitBytes: limitBytes)
        return MessageDigester.digest(Array("A: b\r\n\r\n\(body)".utf8), needing: [hashing]).bodyHashes[hashing]
    }

    static func sha256(_ text: String) throws -> [UInt8] {
        var digest = try Digest(.sha256)
        Array(text.utf8).withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    @Test(arguments: [
        ("", "\r\n", ""),
        ("\r\n\r\n", "\r\n", ""),
        (" \t", " \t\r\n", ""),
        (" \r\n\t\r\n", " \r\n\t\r\n", ""),
        ("a", "a\r\n", "a\r\n"),
        ("a\r\n", "a\r\n", "a\r\n"),
        ("a\r\n\r\n\r\n", "a\r\n", "a\r\n"),
        ("\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"),
        // RFC 6376 §3.4.5.
        (" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"),
        ("a \r\n \r\nb", "a \r\n \r\nb\r\n", "a\r\n\r\nb\r\n"),
        // A CR or LF alone is text.
        ("a\rb \nc\r\n", "a\rb \nc\r\n", "a\rb \nc\r\n"),
        ("a \r", "a \r\r\n", "a \r\r\n"),
        ("a\r\r\n\r\n", "a\r\r\n", "a\r\r\n"),
        ("a\n\r\n", "a\n\r\n", "a\n\r\n"),
    ])
    func `Bodies have the forms of RFC 6376 §3_4`(body: String, simple: String, relaxed: String) throws {
        #expect(Self.hash(body, .simple)?.digest == (try Self.sha256(simple)))
        #expect(Self.hash(body, .relaxed)?.digest == (try Self.sha256(relaxed)))
        #expect(Self.hash(body, .simple)?.bodyBytes == simple.utf8.count)
        #expect(Self.hash(body, .relaxed)?.bodyBytes == relaxed.utf8.count)
    }

    @Test func `A hash stops at its length, which counts canonical octets`() throws {
        let body = "a  b\r\nc\r\n"
        for (length, text) in [(0, ""), (1, "a"), (3, "a b"), (4, "a b\r"), (8, "a b\r\nc\r\n"), (99, "a b\r\nc\r\n")] {
            let hash = try #require(Self.hash(body, .relaxed, limitBytes: length))
            #expect(hash.digest == (try Self.sha256(text)))
            #expect(hash.bodyBytes == 8)
        }
    }

    /// Longer than every buffer, with runs that cross their borders.
    @Test(arguments: [7, 1000, 32_767, 32_768, 32_769, 100_000])
    func `Pieces of any size make no difference to long bodies`(pieceBytes: Int) throws {
        var content = Array("Subject: x\r\n\r\n".utf8)
        for number in 0..<3000 {
            content += "word \t \(number)  \r\n".utf8
            if number % 500 == 0 { for _ in 0..<2000 { content += "\r\n".utf8 } }
        }
        content += [UInt8](repeating: 0x78, count: 70_000)
        let hashings = [
            BodyHashing(.simple), BodyHashing(.relaxed), BodyHashing(.simple, limitBytes: 40_000),
            BodyHashing(.relaxed, limitBytes: 40_000),
        ]
        let whole = MessageDigester.digest(content, needing: hashings)
        #expect(whole.bodyHashes.count == 4)
        let digester = MessageDigester(needing: hashings)
        for start in stride(from: 0, to: content.count, by: pieceBytes) {
            content[start..<min(start + pieceBytes, content.count)].withUnsafeBytes { digester.feed($0) }
        }
        let inPieces = digester.finish()
        #expect(inPieces == whole)
    }

    @Test func `Headers may be cut anywhere, be all there is, or be missing`() {
        for text in [
            "A: b\r\nB : c\r\n d\r\n\r\nbody\r\n", "A: b", "A: b\r\n", "\r\nbody", "", "A: b\r\n\r", "no field\r\n\r\n",
        ] {
            let content = Array(text.utf8)
            let whole = MessageDigester.digest(content, needing: [BodyHashing(.simple)])
            for place in content.indices {
                let digester = MessageDigester(needing: [BodyHashing(.simple)])
                content[..<place].withUnsafeBytes { digester.feed($0) }
                content[place...].withUnsafeBytes { digester.feed($0) }
                let inPieces = digester.finish()
                #expect(inPieces == whole, "\(text.debugDescription) at \(place)")
            }
        }
    }

    @Test func `Fields are split at lines that begin with neither space nor tab`() {
        let header = MessageDigester.digest(Array("A: b\r\nB \t: c\r\n\td\r\nodd\r\na:e\r\n\r\nC: f\r\n".utf8)).header
        #expect(header.fields.map(\.name) == ["a", "b", "", "a"])
        #expect(header.fields(named: "b").map { String(decoding: $0.value, as: UTF8.self) } == [" c\r\n\td"])
        #expect(header.indices(of: "a") == [0, 3])
        #expect(header.indices(of: "").isEmpty)
    }

    @Test func `By default a field that Postfix lets through fits, and no more than 131,072 octets in all`() {
        let field = "To: \(String(repeating: "b", count: 102_396))\r\n"
        let rest = "X: \(String(repeating: "b", count: 131_072 - 102_402 - 5))\r\n"
        for (more, isTooLarge) in [("", false), ("b", true)] {
            let message = MessageDigester.digest(Array("\(field)\(more)\(rest)\r\nbody\r\n".utf8))
            #expect(message.isHeaderTooLarge == isTooLarge)
            #expect(message.header.fields.count == (isTooLarge ? 0 : 2))
        }
    }

    @Test(arguments: ["A: b\r\nC: d\r\n\r\nbody\r\n", "A: b", "A: \(String(repeating: "b", count: 200_000))\r\n"])
    func `Nothing of a header is kept twice`(text: String) {
        var collector = HeaderCollector(limits: MessageLimits())
        _ = Array(text.utf8).withUnsafeBytes { collector.feed($0) }
        #expect(!collector.bytes.isEmpty)
        let header = collector.finish()
        #expect(header.fields.isEmpty == (text.utf8.count > 131_072))
        #expect(collector.bytes.capacity == 0)
    }

    @Test func `A header that is too long, or has too many fields, is known as such`() {
        var limits = MessageLimits()
        limits.headerBytes = 40
        limits.fields = 3
        let cases = [
            ("A: b\r\nA: b\r\nA: b\r\n\r\n", false), ("A: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", true),
            ("A: \(String(repeating: "b", count: 35))\r\n\r\n", false),
            ("A: \(String(repeating: "b", count: 36))\r\n\r\n", true),
            ("A: \(String(repeating: "b", count: 99))", true),
        ]
        for (text, isTooLarge) in cases {
            let message = MessageDigester.digest(Array(text.utf8), limits: limits)
            #expect(message.isHeaderTooLarge == isTooLarge, "\(text)")
            #expect(message.header.fields.isEmpty == isTooLarge)
        }
    }
}
