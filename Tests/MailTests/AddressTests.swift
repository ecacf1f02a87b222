import Mail
import Testing

struct IPAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("::", "::"),
        ("2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("fe80::", "fe80::"),
    ])
    func `addresses have one text`(text: String, canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "1.2.3.-4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        ":::", "1::2::3", "12345::", "::1.2.3", "::g", "1.2.3.4::", "+1.2.3.4",
    ])
    func `what is no address is not read`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func `a network contains its own addresses only`() throws {
        let network = try IPNetwork("192.0.2.128/25")
        #expect(network.contains(.v4(0xC000_0280)))
        #expect(!network.contains(.v4(0xC000_027F)))
        #expect(!network.contains(.v6(high: 0, low: 0xC000_0280)))
        #expect(try IPNetwork("::/0").contains(.v6(high: 1, low: 1)))
        #expect(try IPNetwork("[2001:db8::]/32").contains(.v6(high: 0x2001_0DB8_FFFF_0000, low: 7)))
    }

    @Test func `bits behind the prefix are an error and not a guess`() throws {
        #expect(throws: IPNetwork.SyntaxError.hostBitsSet(meant: try IPNetwork("10.0.0.0/8"))) {
            try IPNetwork("10.0.0.1/8")
        }
        for text in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "example.com"] {
            #expect(throws: IPNetwork.SyntaxError.notANetwork) { try IPNetwork(text) }
        }
    }
}

struct MailboxTests {
    @Test(arguments: [
        ("user@example.com", "user", "example.com"), ("User.Name+x@Example.COM", "User.Name+x", "example.com"),
        ("\"a b\"@example.com", "a b", "example.com"), ("\"a\\\"b\"@example.com", "a\"b", "example.com"),
        ("a..b.@example.jp", "a..b.", "example.jp"), ("a@[192.0.2.1]", "a", "[192.0.2.1]"),
        ("a@[IPv6:2001:DB8::1]", "a", "[IPv6:2001:db8::1]"),
        ("δοκιμή@παράδειγμα.gr", "δοκιμή", "xn--hxajbheg2az3al.gr"),
        ("a@bücher.example", "a", "xn--bcher-kva.example"), ("a@foo_bar.example", "a", "foo_bar.example"),
        ("!#$%&'*/=?^_`{|}~-@x.y", "!#$%&'*/=?^_`{|}~-", "x.y"),
    ])
    func `mailboxes are read and kept as they were written`(text: String, local: String, domain: String) {
        let mailbox = Mailbox(text)
        #expect(mailbox?.description == text)
        #expect(mailbox?.localPart.unquoted == local)
        #expect(mailbox?.domain.key == domain)
    }

    @Test(arguments: [
        "", "user", "@example.com", "user@", "user@@example.com", "a@b@c.example", "user@example.com.", "user@.example",
        "user@-a.example", "user@a-.example", "user@a..b", "us er@example.com", "user@exa mple.com",
        "\"user@example.com",
        "user\r\n@example.com", "user@example.com\r\nRCPT TO:<x@y>", "\"a\rb\"@example.com", "\"a\0\"@example.com",
        "user@[192.0.2.1", "user@[192.0.2.256]", "user@[example.com]", "user@[IPv6:192.0.2.1]", "user@xn--a-.example",
        "user@xn--bogus\u{80}.example", "a(b)@example.com", "<a@example.com>", "a@example.com,b@example.com",
        "user@\(String(repeating: "a", count: 64)).example", "user@\(String(repeating: "a.", count: 128))example",
    ])
    func `what is no mailbox is not read`(text: String) {
        #expect(Mailbox(text) == nil)
    }

    @Test func `a quoted local part is the same mailbox as a plain one`() {
        #expect(Mailbox("\"user\"@example.com") == Mailbox("user@EXAMPLE.com"))
        #expect(Mailbox("User@example.com") != Mailbox("user@example.com"))
        #expect(Mailbox("a@[IPv6:::1]") == Mailbox("a@[IPv6:0:0:0:0:0:0:0:1]"))
    }

    /// A dot with a combining mark behind it is one character to Unicode, and the end of a label to everybody else.
    @Test func `a dot ends a label whatever comes behind it`() {
        #expect(Punycode.asciiDomain("a.\u{301}b") == "a.xn--b-wbb")
        #expect(Domain("a.\u{301}b.example")?.key == "a.xn--b-wbb.example")
    }

    /// RFC 3492 §7.1, as far as the samples are in the form in which domains are compared.
    @Test(arguments: [
        ("ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"), ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
        ("למההםפשוטלאמדבריםעברית", "4dbcagdahymbxekheh6e0a7fei0b"),
        ("почемужеонинеговорятпорусски", "b1abfaaepdrnnbgefbadotcwatmq2g4l"),
        ("3年b組金八先生", "3b-ww4c5e180e575a65lsy2b"),
    ])
    func `labels are encoded as RFC 3492 shows`(label: String, encoded: String) {
        #expect(Punycode.asciiDomain(label) == "xn--" + encoded)
        #expect(Punycode.hasValidALabels("xn--" + encoded))
    }
}

struct ReplyTests {
    @Test func `a reply has its codes on every line`() {
        let reply = Reply(550, .init(1, 1), "First", "Second")
        var bytes: [UInt8] = []
        reply.append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "550-5.1.1 First\r\n550 5.1.1 Second\r\n")
        #expect(reply.oneLine == "550 5.1.1 First Second")
    }

    @Test func `nothing in a text can end a line`() {
        let reply = Reply(451, .init(3, 0), "bad\r\n250 Ok\u{2028}x\u{85}y\u{0}z")
        #expect(reply.lines == ["bad??250 Ok?x?y?z"])
        #expect(Reply(250, nil, String(repeating: "ä", count: 500)).lines[0].utf8.count == 480)
    }

    @Test func `354 has no enhanced code`() {
        #expect(Reply(354, .init(0, 0), "Go").enhanced == nil)
        #expect(Reply(550, nil, "No").status == "5.0.0")
    }
}

struct HeaderScannerTests {
    private let header =
        "Received: a\r\nreceived: b\r\n received: no\r\nX-Received: no\r\nRECEIVED :no\r\nReceived:c\r\n\r\nReceived: body\r\n"

    @Test func `Received fields are counted wherever the header is cut`() {
        let bytes = Array(self.header.utf8)
        for cut in 0...bytes.count {
            var scanner = HeaderScanner()
            bytes[..<cut].withUnsafeBytes { scanner.scan($0) }
            bytes[cut...].withUnsafeBytes { scanner.scan($0) }
            #expect(scanner.receivedCount == 3)
            #expect(scanner.isComplete)
            #expect(!scanner.hasEightBit)
        }
    }

    @Test func `octets above 127 count in the header only`() {
        for (text, expected) in [("Subject: ä\r\n\r\n", true), ("Subject: a\r\n\r\nä", false)] {
            var scanner = HeaderScanner()
            Array(text.utf8).withUnsafeBytes { scanner.scan($0) }
            #expect(scanner.hasEightBit == expected)
        }
    }
}
