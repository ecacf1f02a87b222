import Mail
import Testing

/// Transfer encodings, and what is done to hide content in them.
struct EncodingTests {
    private static let zip = MIMEFixture.zip([.init(name: "evil.exe")])
    private static let text = MIMEFixture.base64(Self.zip)

    private func entries(_ field: String, _ body: String) -> [String] {
        let message = MIMEFixture.attachment("Content-Type: text/plain\r\n\(field)", Array(body.utf8))
        return MIMEFixture.examine(message).parts.flatMap { $0.archive?.entries.map(\.name) ?? [] }
    }

    @Test(arguments: [
        "Content-Transfer-Encoding: base64", "content-transfer-encoding:BASE64", "Content-Transfer-Encoding : base64;",
        "Content-Transfer-Encoding: \"base64\"", "Content-Transfer-Encoding: ()base64 (x)",
        "Content-Transfer-Encoding: base64, 7bit", "Content-Transfer-Encoding: xbase64",
        "Content-Transfer-Encoding: =?utf-8?Q?base64?=", "Content-Transfer-Encoding: =?utf-8?B?YmFzZTY0?=",
        "Content-Transfer-Encoding: x-unknown", "Content-Transfer-Encoding:\rbase64",
        "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: quoted-printable",
        "X: y\r\n Content-Transfer-Encoding: base64", " \r\nContent-Transfer-Encoding: base64",
    ])
    func `an encoding is recognized`(field: String) {
        #expect(self.entries(field, Self.text) == ["evil.exe"])
    }

    private static func split(_ size: Int, by separator: String) -> String {
        let letters = Array(Self.text)
        return stride(from: 0, to: letters.count, by: size).map { start in
            String(letters[start..<min(start + size, letters.count)])
        }.joined(separator: separator)
    }

    /// Groups of two octets.
    private static func pairs(_ write: (String) -> String) -> String {
        stride(from: 0, to: Self.zip.count, by: 2).map { start in
            write(String(MIMEFixture.base64(Array(Self.zip[start..<min(start + 2, Self.zip.count)])).prefix(3)))
        }.joined()
    }

    @Test(arguments: [
        Self.split(76, by: "\r\n"), Self.split(3, by: "\r\n"), Self.split(2, by: "\r\n\r\n"), Self.split(1, by: " "),
        Self.split(1, by: "."), Self.split(4, by: "X\r\n"), Self.split(5, by: "="), Self.split(4, by: "#junk\r\n"),
        Self.pairs { "\($0)=" }, Self.pairs { "=\($0)" }, Self.pairs { "\($0.prefix(1))=\($0.dropFirst())" },
        Self.pairs { "\($0)=\r\n" }, "=\r\n" + Self.text, "A\r\n\r\n" + Self.text, "ABC\r\n" + Self.text,
        "ABC=\r\n" + Self.text, "\u{B}\r\n" + Self.text, Self.text.replacing("AA", with: "=A"),
    ])
    func `base64 is read as any client does`(body: String) {
        #expect(self.entries("Content-Transfer-Encoding: base64", body).contains("evil.exe"))
    }

    private static func quoted(_ write: (String) -> String) -> String {
        Self.zip.map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return write(digits.count == 1 ? "0\(digits)" : digits)
        }.joined()
    }

    @Test(arguments: [
        Self.quoted { "=\($0)" }, Self.quoted { "=\($0)=\r\n" }, Self.quoted { "=\($0.lowercased())" },
        Self.quoted { "=\($0)=  \r\n" }, Self.quoted { "==\($0)" }, Self.quoted { "= =\($0)" },
        Self.quoted { "=0=\($0)" }, Self.quoted { "=\($0)=\n" }, Self.quoted { "==a\($0)" },
    ])
    func `quoted-printable is read as any client does`(body: String) {
        #expect(self.entries("Content-Transfer-Encoding: quoted-printable", body) == ["evil.exe"])
    }

    @Test func `a header without its end does not hide what follows`() {
        for junk in ["ABCD\r\n", "ABCD\r\n\r\n", "ABC=\r\n \r\n", "ABCD\r\nABCD\r\n\r\n"] {
            let message =
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\(junk)\(Self.text)\r\n--b--\r\n"
            let structure = MIMEFixture.examine(message)
            #expect(structure.parts[1].archive?.entries.map(\.name) == ["evil.exe"])
            #expect(structure.defects.map(\.kind).contains(.missingSeparator))
        }
    }

    /// One line of uuencode for each 45 octets.
    private static var uuencoded: String {
        stride(from: 0, to: Self.zip.count, by: 45).map { start in
            let line = Self.zip[start..<min(start + 45, Self.zip.count)]
            let letters = stride(from: line.startIndex, to: line.endIndex, by: 3).flatMap { place -> [UInt8] in
                let group = (0..<3).map { place + $0 < line.endIndex ? Int(line[place + $0]) : 0 }
                let bits = group[0] << 16 | group[1] << 8 | group[2]
                return [18, 12, 6, 0].map { UInt8(32 + (bits >> $0) & 63) }
            }
            return String(decoding: [UInt8(32 + line.count)] + letters, as: UTF8.self) + "\r\n"
        }.joined()
    }

    @Test func `uuencode is read with and without its frame`() {
        #expect(self.entries("Content-Transfer-Encoding: x-uue", Self.uuencoded) == ["evil.exe"])
        let framed = "begin 644 x.zip\r\n\(Self.uuencoded)`\r\nend\r\n"
        #expect(self.entries("Content-Transfer-Encoding: uuencode", framed).contains("evil.exe"))
        let structure = MIMEFixture.examine("Subject: x\r\n\r\nHello\r\n\r\n\(framed)\r\nBye\r\n")
        #expect(structure.parts.map(\.names) == [[], ["x.zip"]])
        #expect(structure.parts[1].archive?.entries.map(\.name) == ["evil.exe"])
        #expect(structure.parts[1].contents == [.zip])
    }

    @Test func `content in octets is read`() {
        let structure = MIMEFixture.examine(MIMEFixture.attachment("Content-Type: text/plain", Self.zip))
        #expect(structure.parts[1].contents == [.zip])
    }

    @Test func `well-formed content has no defect`() {
        let message = MIMEFixture.attachment(
            "Content-Transfer-Encoding: base64", Array(Self.split(76, by: "\r\n").utf8))
        #expect(MIMEFixture.examine(message).defects.isEmpty)
    }
}
