import Mail
import SMTP
import Testing

struct CommandTests {
    private func read(_ line: String) -> Result<Command, CommandError> {
        Result { () throws(CommandError) in try Command(line: Array(line.utf8)[...]) }
    }

    private func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }

    @Test func `commands are read in any case`() throws {
        #expect(self.read("ehlo Client.Example") == .success(.ehlo("Client.Example")))
        #expect(self.read("HELO [192.0.2.1]") == .success(.helo("[192.0.2.1]")))
        #expect(self.read("DATA ") == .success(.data))
        #expect(self.read("NOOP whatever it is") == .success(.noop))
        #expect(self.read("HELP me") == .success(.help))
        #expect(self.read("VRFY user") == .success(.vrfy(" user")))
        #expect(self.read("BDAT 1000") == .success(.bdat(bytes: 1000, isLast: false)))
        #expect(self.read("bdat 0 last") == .success(.bdat(bytes: 0, isLast: true)))
    }

    @Test func `paths are read with and without what old programs do`() throws {
        let user = try self.mailbox("user@example.com")
        for line in [
            "MAIL FROM:<user@example.com>", "MAIL FROM: <user@example.com>", "mail from:user@example.com",
            "MAIL FROM:<@a.example,@b.example:user@example.com>",
        ] { #expect(self.read(line) == .success(.mail(.mailbox(user)))) }
        #expect(self.read("MAIL FROM:<>") == .success(.mail(.null)))
        #expect(self.read("RCPT TO:<PostMaster>") == .success(.rcpt(.postmaster)))
        #expect(self.read("RCPT TO:<@us.example:user@example.com>") == .success(.rcpt(.mailbox(user))))
    }

    @Test func `parameters are read`() throws {
        var mail = MailParameters()
        mail.declaredBytes = 1000
        mail.body = .eightBitMIME
        mail.smtputf8 = true
        mail.noticeReturn = .headers
        mail.envelopeID = "QQ+2B314159"
        #expect(
            self.read("MAIL FROM:<> SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B314159")
                == .success(.mail(.null, mail)))
        var recipient = RecipientParameters()
        recipient.notify = [.success, .delay]
        recipient.originalRecipient = "rfc822;Bob+2B@Example.COM"
        #expect(
            self.read("RCPT TO:<a@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2B@Example.COM")
                == .success(.rcpt(.mailbox(try self.mailbox("a@b.example")), recipient)))
        recipient.notify = .never
        recipient.originalRecipient = nil
        #expect(
            self.read("RCPT TO:<a@b.example> NOTIFY=never")
                == .success(.rcpt(.mailbox(try self.mailbox("a@b.example")), recipient)))
    }

    @Test(arguments: [
        ("", CommandError.unrecognized), ("FOO", .unrecognized), ("MAILFROM <>", .unrecognized),
        ("MAIL LALA:<>", .unrecognized),
        ("EXPN list", .notImplemented), ("TURN", .notImplemented), ("STARTTLS now", .syntax(expected: "no argument")),
        ("AUTH PLAIN", .notImplemented),
        ("GET / HTTP/1.1", .notSMTP), ("POST /evil HTTP/1.1", .notSMTP), ("CONNECT a:25 HTTP/1.0", .notSMTP),
        ("Subject: hello", .notSMTP), ("X-Mailer:x", .notSMTP),
        ("HELO", .badName), ("EHLO ", .badName), ("EHLO a b", .badName), ("EHLO a\u{7}b", .badName),
        ("EHLO a\u{85}b", .badName), ("HELO a\u{2028}b", .badName),
        ("MAIL FROM:", .syntax(expected: "MAIL FROM:<address>")), ("RCPT TO:", .syntax(expected: "RCPT TO:<address>")),
        ("MAIL FROM:<user>", .badReversePath), ("MAIL FROM:<user@>", .badReversePath),
        ("MAIL FROM:<user@a", .badReversePath),
        ("MAIL FROM:<user@a>x", .badReversePath), ("MAIL FROM:<a@b@c>", .badReversePath),
        ("RCPT TO:<>", .badForwardPath),
        ("RCPT TO:<user>", .badForwardPath), ("RCPT TO:<user@domain.>", .badForwardPath),
        ("RCPT TO:<us\u{0}er@a>", .badForwardPath),
        ("MAIL FROM:<ü@example.com>", .nonASCIIPath), ("MAIL FROM:<a@bücher.example>", .nonASCIIPath),
        ("MAIL FROM:<> SIZE", .badParameter("SIZE")), ("MAIL FROM:<> SIZE=x", .badParameter("SIZE")),
        ("MAIL FROM:<> SIZE=1 SIZE=2", .badParameter("SIZE")), ("MAIL FROM:<> BODY=BINARYMIME", .badParameter("BODY")),
        ("MAIL FROM:<> SMTPUTF8=1", .badParameter("SMTPUTF8")),
        ("MAIL FROM:<> REQUIRETLS=1", .badParameter("REQUIRETLS")), ("MAIL FROM:<> RET=SOME", .badParameter("RET")),
        ("MAIL FROM:<> ENVID=a=b", .badParameter("ENVID")), ("MAIL FROM:<> FOO=1", .unknownParameter("FOO")),
        ("MAIL FROM:<> AUTH=<>", .unknownParameter("AUTH")),
        ("RCPT TO:<a@b> NOTIFY=NEVER,DELAY", .badParameter("NOTIFY")),
        ("RCPT TO:<a@b> NOTIFY=", .badParameter("NOTIFY")), ("RCPT TO:<a@b> ORCPT=rfc822", .badParameter("ORCPT")),
        ("RCPT TO:<a@b> ORCPT=rfc822;a+0Ab", .badParameter("ORCPT")),
        ("RCPT TO:<a@b> ORCPT=utf-8;\(String(repeating: "ü", count: 90))@c", .badParameter("ORCPT")),
        ("RCPT TO:<a@b> SIZE=1", .unknownParameter("SIZE")),
        ("DATA now", .syntax(expected: "no argument")), ("RSET x", .syntax(expected: "no argument")),
        ("BDAT", .syntax(expected: "BDAT size [LAST]")), ("BDAT -1", .syntax(expected: "BDAT size [LAST]")),
        ("BDAT 99999999999999999999 LAST", .syntax(expected: "BDAT size [LAST]")),
        ("BDAT 1 MORE", .syntax(expected: "BDAT size [LAST]")),
        ("VRFY", .syntax(expected: "VRFY address")),
    ])
    func `what is no command says why`(line: String, error: CommandError) {
        #expect(self.read(line) == .failure(error))
    }

    @Test func `STARTTLS and REQUIRETLS are read in any letters`() {
        #expect(self.read("starttls ") == .success(.starttls))
        var parameters = MailParameters()
        parameters.tls = .required
        #expect(self.read("MAIL FROM:<> requireTLS") == .success(.mail(.null, parameters)))
    }

    @Test func `a path above 256 octets is too long`() throws {
        let local = String(repeating: "a", count: 240)
        #expect(
            self.read("RCPT TO:<\(local)@example.com>")
                == .success(.rcpt(.mailbox(try self.mailbox("\(local)@example.com")))))
        #expect(self.read("RCPT TO:<\(local)aaa@example.com>") == .failure(.pathTooLong))
        #expect(self.read("MAIL FROM:<\(String(repeating: "x", count: 400))>") == .failure(.pathTooLong))
    }

    @Test func `an address of another alphabet needs SMTPUTF8`() throws {
        let sender = try self.mailbox("δοκιμή@παράδειγμα.gr")
        guard case .success(.mail(let path, let parameters)) = self.read("MAIL FROM:<\(sender)> SMTPUTF8") else {
            Issue.record("refused")
            return
        }
        #expect(path == .mailbox(sender))
        #expect(parameters.smtputf8)
    }

    @Test func `no line of any octets traps`() {
        for first in UInt8.min...255 {
            for tail in ["", " ", "AIL FROM:<", "CPT TO:<a@b> \u{0}", "DAT 1"] {
                _ = try? Command(line: ([first] + Array(tail.utf8))[...])
            }
        }
        for line in [
            "MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME", "RCPT TO:<\"a b\"@[IPv6:::1]> ORCPT=utf-8;\\x{20AC}@x NOTIFY=NEVER",
        ] {
            for index in line.utf8.indices {
                var bytes = Array(line.utf8)
                let offset = line.utf8.distance(from: line.startIndex, to: index)
                for octet in [0, 0x0D, 0x20, 0x22, 0x3C, 0x3E, 0x5C, 0x80, 0xC3, 0xFF] as [UInt8] {
                    bytes[offset] = octet
                    _ = try? Command(line: bytes[...])
                }
                _ = try? Command(line: bytes[..<offset])
            }
        }
    }
}

struct XTextTests {
    @Test func `xtext decodes to what was encoded`() {
        let text = "a+b=c d\u{7F}é"
        #expect(XText.encode(text) == "a+2Bb+3Dc+20d+7F+C3+A9")
        #expect(XText.decode(XText.encode(text)).map { String(decoding: $0, as: UTF8.self) } == text)
        for broken in ["+", "+2", "+GG", "a=b", "a b", "+2g"] { #expect(XText.decode(broken) == nil) }
    }

    @Test func `an original recipient may be written in UTF-8 form`() {
        #expect(OriginalRecipient("utf-8;\\x{20AC}uro@example.com")?.address == "€uro@example.com")
        #expect(OriginalRecipient("utf-8;€uro@example.com")?.address == "€uro@example.com")
        #expect(OriginalRecipient("rfc822;a+2Bb@example.com")?.address == "a+b@example.com")
        for broken in ["", "rfc822", ";a", "rfc822;", "utf-8;\\x{}", "utf-8;\\x{110000}", "rfc822;a+0D+0A", "r c;a"] {
            #expect(OriginalRecipient(broken) == nil)
        }
    }
}
