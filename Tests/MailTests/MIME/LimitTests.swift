import Daemon
import Mail
import Testing

/// However a message comes and whatever is in it, the result is the same, and the time grows with the size only.
struct LimitTests {
    private static func work(_ content: [UInt8]) -> Int {
        var examiner = MIMEExaminer(makeInflater: ArchiveInflater.make)
        content.withUnsafeBytes { examiner.feed($0) }
        _ = examiner.finish()
        return examiner.examinedBytes
    }

    private static func repeated(_ text: String, _ count: Int, after start: String = "") -> [UInt8] {
        Array((start + String(repeating: text, count: count)).utf8)
    }

    private static let start =
        "Content-Type: multipart/mixed; boundary=b; boundary=c\r\nContent-Transfer-Encoding: x\r\n\r\n"

    @Test(arguments: [
        ("text", "text and more\r\n"), ("boundaries", "--b\r\n\r\n"), ("inexact boundaries", "--bX\r\n\r\n"),
        ("unknown boundaries", "--d\r\n"), ("suspects", "--d\r\nContent-Type: a/b\r\n\r\n"),
        ("fields", "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n"), ("files", "begin 644 x\r\n"),
        ("junk in base64", "--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAB=C.D\r\n"),
        ("junk in quoted-printable", "--bX\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=x==\r\n"),
        ("signatures", "PK\u{3}\u{4}PK\u{1}\u{2}"), ("names", "--b\r\nContent-Type: a/b; name=x; name=\"y\r\n\r\n"),
        ("messages", "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQ29u\r\n"),
    ])
    func `twice the size takes no more than twice the work`(name: String, line: String) {
        // Long enough for every limit to be reached.
        let count = 150_000 / line.utf8.count
        let once = Self.work(Self.repeated(line, count, after: Self.start))
        let twice = Self.work(Self.repeated(line, 2 * count, after: Self.start))
        #expect(twice <= once * 2 + once / 10, "\(name): \(once) and \(twice)")
        #expect(once <= 150_000 * 64, "\(name): \(once)")
    }

    @Test func `a header of one field takes no more work for being long`() {
        for text in ["name=", "name*0=", "(", "\"", "=?a?b?", ";name", "name(", "\\", "\r"] {
            let content = Self.repeated(text, 20_000, after: "Content-Type: a/b; ")
            let structure = MIMEStructure(of: content)
            #expect(structure.parts.count == 1)
            #expect(structure.parts[0].names.count <= MIMELimits().names)
        }
    }

    @Test func `pieces make no difference`() {
        let zip = MIMEFixture.zip([
            .init(name: "a.zip", content: MIMEFixture.zip([.init(name: "b.exe")]), isDeflated: true)
        ])
        let message = MIMEFixture.attachment(
            "Content-Type: a/b; name=x\rContent-Transfer-Encoding: base64",
            Array(MIMEFixture.base64(zip).replacing("A", with: "=A\r\n").utf8))
        let whole = MIMEFixture.examine(message)
        for size in [1, 2, 3, 7, 64] {
            var examiner = MIMEExaminer(makeInflater: ArchiveInflater.make)
            for start in stride(from: 0, to: message.count, by: size) {
                message[start..<min(start + size, message.count)].withUnsafeBytes { examiner.feed($0) }
            }
            let structure = examiner.finish()
            #expect(structure == whole, "pieces of \(size)")
        }
    }
}
