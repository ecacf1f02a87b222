import Mail
import Testing

/// Parts, and what is done to hide them.
struct StructureTests {
    private static let part = "Content-Disposition: attachment; filename=x.exe"

    private func names(_ text: String) -> [String] { MIMEFixture.examine(text).parts.flatMap(\.names) }

    @Test func `parts have paths, types and dispositions`() {
        let structure = MIMEFixture.examine(
            """
            Content-Type: multipart/mixed; boundary="a"

            preamble
            --a
            Content-Type: multipart/alternative; boundary=b

            --b

            text
            --b
            Content-Type: TEXT/Html

            <p>
            --b--
            --a
            Content-Type: image/png; name="i.png"
            Content-Disposition: INLINE

            --a--
            epilogue
            """)
        #expect(structure.parts.map(\.path) == ["1", "1.1", "1.1.1", "1.1.2", "1.2"])
        #expect(
            structure.parts.map(\.type) == [
                "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "image/png",
            ])
        #expect(structure.parts.map(\.disposition) == [nil, nil, nil, nil, "inline"])
        #expect(structure.defects.isEmpty)
    }

    @Test(arguments: [
        // How it is declared, and what stands behind the dashes.
        ("multipart/mixed; boundary=b", "b"), ("multipart/mixed; boundary=\"b c\"", "b c"),
        ("multipart/mixed; boundary=b c", "b c"), ("multipart/mixed; boundary=\"b \"", "b"),
        ("multipart/mixed; boundary='b'", "b"), ("multipart/mixed; boundary=b(c)", "b"),
        ("multipart/mixed; boundary=b\\;c", "b;c"), ("multipart/mixed; boundary=\"b", "b"),
        ("multipart/mixed; boundary=\"=?us-ascii?Q?b?=\"", "b"), ("multipart/mixed; boundary*=''%62", "b"),
        ("multipart/mixed; boundary*1=c; boundary*0=b", "bc"), ("multipart/mixed; boundary=a; boundary=b", "b"),
        ("multipart/mixed; boundary=b; boundary=a", "b"),
        ("multipart/mixed; boundary=a\r\nContent-Type: text/plain; boundary=b", "b"),
        ("text/plain\r\nContent-Type: multipart/mixed; boundary=b", "b"), ("x-multipart/mixed; boundary=b", "b"),
        ("multi\\part/mixed; boundary=b", "b"), ("() multipart/mixed; boundary=b", "b"),
        ("multipart/mixed; foo=\"bar;boundary=b", "b"), ("multipart/mixed; boundary=b", "bX"),
        ("multipart/mixed; boundary=b", "b\u{B}"), ("multipart/mixed; boundary=b", "b "),
        // Nobody declared it.
        ("multipart/mixed", "b"), ("multipart/mixed; boundary=a", "b"), ("multipart/mixed; boundary=\" \"", " "),
    ])
    func `a boundary is found`(type: String, boundary: String) {
        let text = "Content-Type: \(type)\r\n\r\n--\(boundary)\r\n\(Self.part)\r\n\r\nx\r\n--\(boundary)--\r\n"
        #expect(self.names(text) == ["x.exe"])
    }

    @Test func `without any Content-Type a boundary in the first line is found`() {
        #expect(self.names("MIME-Version: 1.0\r\n\r\n--b\r\n\(Self.part)\r\n\r\nx\r\n--b--\r\n") == ["x.exe"])
        #expect(self.names("Subject: x\r\n\r\nsee below\r\n--b\r\n\(Self.part)\r\n\r\nx\r\n").isEmpty)
    }

    @Test func `a boundary inside a text is none`() {
        let quoted = "Content-Type: text/plain\r\n\r\n--b\r\n\(Self.part)\r\n\r\nx\r\n--b--\r\n"
        #expect(self.names(quoted).isEmpty)
        #expect(
            self.names("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--b\r\n\(Self.part)\r\n\r\n--a--")
                .isEmpty)
    }

    @Test(arguments: ["--b\r", "\r--b\n", "--b\r\n", "--b\n"])
    func `a line ends in CR, LF or both`(line: String) {
        #expect(
            self.names("Content-Type: multipart/mixed; boundary=b\n\n\(line)\(Self.part)\n\nx\n--b--\n") == ["x.exe"])
    }

    @Test func `a longer boundary is meant before a shorter one`() {
        let text = """
            Content-Type: multipart/mixed; boundary=b

            --b
            Content-Type: multipart/mixed; boundary=b--

            --b--
            \(Self.part)

            x
            --b----
            --b--
            """
        #expect(self.names(text) == ["x.exe"])
    }

    @Test func `ends may be missing, and parts may follow them`() {
        let open = MIMEFixture.examine("Content-Type: multipart/mixed; boundary=b\n\n--b\n\(Self.part)\n\nx")
        #expect(open.parts.flatMap(\.names) == ["x.exe"])
        #expect(open.defects.map(\.kind) == [.missingTerminator])
        let after = MIMEFixture.examine(
            "Content-Type: multipart/mixed; boundary=b\n\n--b--\n--b\n\(Self.part)\n\nx\n--b--")
        #expect(after.parts.flatMap(\.names) == ["x.exe"])
        #expect(after.defects.map(\.kind).contains(.partAfterEnd))
    }

    @Test func `a header may end with a boundary`() {
        let text =
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n--b\n\n--c\n\(Self.part)\n\n--c--\n--b--\n"
        #expect(self.names(text) == ["x.exe"])
    }

    @Test(arguments: ["message/rfc822", "message/global", "message/partial", "Message/News"])
    func `a message in a message is read`(type: String) {
        let inner = "Subject: x\r\n\(Self.part)\r\n\r\nx\r\n"
        let outer = "Content-Type: \(type)\r\n"
        #expect(self.names("\(outer)\r\n\(inner)") == ["x.exe"])
        let encoded = MIMEFixture.base64(Array(inner.utf8))
        let structure = MIMEFixture.examine("\(outer)Content-Transfer-Encoding: base64\r\n\r\n\(encoded)\r\n")
        #expect(structure.parts.map(\.path) == ["1", "1.1"])
        #expect(structure.parts[1].names == ["x.exe"])
        // A client may ignore the encoding.
        #expect(self.names("\(outer)Content-Transfer-Encoding: base64\r\n\r\n\(inner)") == ["x.exe"])
    }

    @Test func `a digest has messages unless it says otherwise`() {
        #expect(
            self.names("Content-Type: multipart/digest; boundary=b\n\n--b\n\n\(Self.part)\n\nx\n--b--\n") == ["x.exe"])
    }

    @Test func `an encoded multipart is read`() {
        let inner = MIMEFixture.base64(Array("--b\r\n\(Self.part)\r\n\r\nx\r\n--b--\r\n".utf8))
        let structure = MIMEFixture.examine(
            "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n\(inner)\r\n")
        #expect(structure.parts.map(\.path) == ["1", "1.1"])
        #expect(structure.parts[1].names == ["x.exe"])
        #expect(structure.defects.map(\.kind).contains(.encodedContainer))
    }

    @Test func `files in a text are found`() {
        let text = "Subject: x\n\nHello\nbegin 644 x y.exe\n#86)C\n`\nend\nbegin 0755 z.com\n#86)C\nend\nbegin to do\n"
        let structure = MIMEFixture.examine(text)
        #expect(structure.parts.map(\.names) == [[], ["x y.exe"], ["z.com"]])
        #expect(structure.parts.map(\.path) == ["1", "1.1", "1.2"])
    }

    @Test func `what begins in an inexact way does not end the part before`() {
        let zip = MIMEFixture.base64(MIMEFixture.zip([.init(name: "x.exe")]))
        let (first, second) = (zip.prefix(40), zip.dropFirst(40))
        let structure = MIMEFixture.examine(
            Array(
                "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n\(first)\n--bX\n\(second)\n--b--\n"
                    .utf8))
        #expect(structure.parts[1].archive?.entries.map(\.name) == ["x.exe"])
    }

    @Test func `parts and depth are limited`() {
        var limits = MIMELimits()
        limits.parts = 10
        limits.depth = 3
        let many = "Content-Type: multipart/mixed; boundary=b\n\n" + String(repeating: "--b\n\nx\n", count: 100)
        let structure = MIMEFixture.examine(many, limits: limits)
        #expect(structure.parts.count == 10)
        #expect(structure.defects.map(\.kind).contains(.tooManyParts))
        let deep = (0..<10).map { "Content-Type: multipart/mixed; boundary=b\($0)x\n\n--b\($0)x\n" }.joined()
        let nested = MIMEFixture.examine(deep, limits: limits)
        #expect(nested.parts.count == 4)
        #expect(nested.defects.map(\.kind).contains(.tooDeep))
    }
}
