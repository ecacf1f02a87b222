import Mail
import SMTP
import Testing

/// The screener's tests inside a session, SEMANTICS §1 (after-220 phase).
struct SessionScreeningTests {
    private typealias Facts = ServerSession.LineFacts

    /// A session with input as it would come over a socket; policy accepts everybody.
    private struct Driver {
        private var session: ServerSession
        private var input = ServerInput(limits: SessionLimits())
        private(set) var findings: [SessionScreening.Finding] = []
        private(set) var isClosed = false
        private var content: [UInt8] = []

        init(
            _ actions: [ScreeningTest: ScreeningAction] = [:], refusal: Reply? = nil,
            tls: ServerSession.TLSOffer = .none
        ) {
            self.session = ServerSession(
                hostname: "mx.example.test", screening: SessionScreening(refusal: refusal, actions: actions), tls: tls)
        }

        mutating func establish() {
            var replies: [String] = []
            self.handle(.tlsEstablished, &replies)
        }

        /// What is answered to octets that arrive together.
        mutating func send(_ text: String) -> [String] {
            var bytes = Array(text.utf8)
            var replies: [String] = []
            while !self.isClosed {
                let expectation = self.session.expectation
                let (consumed, event) = bytes.withUnsafeBytes {
                    self.input.next($0, expecting: expectation, content: &self.content)
                }
                bytes.removeFirst(consumed)
                guard let event else { break }
                self.handle(event, &replies)
            }
            return replies
        }

        private mutating func handle(_ event: ServerSession.Event, _ replies: inout [String]) {
            for action in self.session.handle(event) {
                switch action {
                case .reply(let reply): replies += reply.lines.count > 1 ? reply.lines : [reply.oneLine]
                case .screened(let finding): self.findings.append(finding)
                case .close: self.isClosed = true
                case .ask(let question):
                    let decision = ServerSession.Decision(
                        question: question.number, verdict: .accept(Mailbox("user@example.test")))
                    self.handle(.decided(decision), &replies)
                case .store: self.handle(.stored(.success(QueueID(value: 1))), &replies)
                case .startTLS: self.handle(.tlsEstablished, &replies)
                case .unsaid, .beginContent, .dropContent, .delay: break
                }
            }
        }
    }

    private func codes(_ replies: [String]) -> [String] { replies.map { String($0.prefix(3)) } }

    @Test func `a session without tests finds nothing and offers pipelining`() {
        var driver = Driver()
        let greeting = driver.send("EHLO client.example\r\n")
        #expect(greeting.contains("PIPELINING"))
        let replies = driver.send("MAIL FROM:<a@b.example>\nRCPT TO:<user@example.test>\r\n")
        #expect(self.codes(replies) == ["250", "250"])
        #expect(driver.findings.isEmpty)
    }

    @Test func `a client that waits for replies passes at its first recipient, and sends its message`() {
        var driver = Driver([.pipelining: .enforce, .nonSMTP: .drop, .bareNewline: .enforce])
        let greeting = driver.send("EHLO client.example\r\n")
        #expect(!greeting.contains("PIPELINING"))
        _ = driver.send("MAIL FROM:<a@b.example>\r\n")
        #expect(driver.findings.isEmpty)
        #expect(driver.send("RCPT TO:<user@example.test>\r\n") == ["250 2.1.5 Ok"])
        #expect(driver.findings == [.passed(failing: [])])
        #expect(driver.send("RCPT TO:<other@example.test>\r\n") == ["250 2.1.5 Ok"])
        #expect(driver.send("DATA\r\n") == ["354 End data with <CR><LF>.<CR><LF>"])
        #expect(self.codes(driver.send("Subject: x\r\n\r\nx\r\n.\r\n")) == ["250"])
        #expect(driver.findings.count == 1)
    }

    @Test func `a client that does not wait is refused at its recipients`() {
        var driver = Driver([.pipelining: .enforce])
        _ = driver.send("EHLO client.example\r\n")
        let replies = driver.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<user@example.test>\r\n")
        #expect(replies == ["250 2.1.0 Ok", "550 5.5.1 Protocol error: you did not wait for a reply"])
        #expect(driver.findings == [.failed(.pipelining, .enforce)])
        #expect(driver.send("DATA\r\n") == ["554 5.5.1 No valid recipients"])
    }

    @Test func `octets of BDAT and what follows QUIT are no pipelining`() {
        var driver = Driver([.pipelining: .enforce])
        _ = driver.send("EHLO client.example\r\n")
        _ = driver.send("MAIL FROM:<a@b.example>\r\n")
        _ = driver.send("RCPT TO:<user@example.test>\r\n")
        #expect(self.codes(driver.send("BDAT 5 LAST\r\na\r\nb\n")) == ["250"])
        _ = driver.send("QUIT\r\nx")
        #expect(driver.findings == [.passed(failing: [])])
    }

    @Test(arguments: ["GET / HTTP/1.1", "POST / HTTP/1.0", "CONNECT mx:25 HTTP/1.1", "Subject: x"])
    func `who speaks something else is dropped, heard out, or treated as everybody else`(line: String) {
        var dropped = Driver([.nonSMTP: .drop])
        #expect(dropped.send(line + "\r\n") == ["521 5.5.1 Protocol error: that is not SMTP"])
        #expect(dropped.isClosed && dropped.findings == [.failed(.nonSMTP, .drop)])

        var enforced = Driver([.nonSMTP: .enforce])
        #expect(self.codes(enforced.send(line + "\r\n")) == ["500"])
        _ = enforced.send("HELO bot\r\n")
        _ = enforced.send("MAIL FROM:<a@b.example>\r\n")
        #expect(
            enforced.send("RCPT TO:<user@example.test>\r\n") == ["550 5.5.1 Protocol error: that is not SMTP"])

        var ignored = Driver([.nonSMTP: .ignore])
        #expect(self.codes(ignored.send(line + "\r\n")) == ["502"])
        #expect(ignored.isClosed && ignored.findings == [.failed(.nonSMTP, .ignore)])
    }

    @Test func `a bare line feed is a failure on any line`() {
        for lines in [["EHLO c\n", "MAIL FROM:<a@b.example>\r\n"], ["EHLO c\r\n", "MAIL FROM:<a@b.example>\n"]] {
            var driver = Driver([.bareNewline: .enforce])
            for line in lines { _ = driver.send(line) }
            #expect(
                driver.send("RCPT TO:<user@example.test>\r\n")
                    == ["550 5.5.1 Protocol error: a line did not end in CRLF"])
        }
        var dropped = Driver([.bareNewline: .drop])
        #expect(self.codes(dropped.send("EHLO c\n")) == ["521"])
    }

    @Test func `who fails a test without consequences passes the others`() {
        var driver = Driver([.bareNewline: .ignore, .pipelining: .enforce])
        _ = driver.send("EHLO c\n")
        _ = driver.send("MAIL FROM:<a@b.example>\n")
        #expect(self.codes(driver.send("RCPT TO:<user@example.test>\r\n")) == ["250"])
        #expect(driver.findings == [.failed(.bareNewline, .ignore), .passed(failing: [.bareNewline])])
    }

    @Test func `who fails after having passed has not passed after all`() {
        var driver = Driver([.pipelining: .enforce])
        for line in ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<user@example.test>"] {
            _ = driver.send(line + "\r\n")
        }
        let replies = driver.send("RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<user@example.test>\r\n")
        #expect(self.codes(replies) == ["250", "250", "550"])
        #expect(driver.findings == [.passed(failing: []), .failed(.pipelining, .enforce)])
    }

    @Test func `recipients accepted before the failure get no content`() {
        var driver = Driver([.pipelining: .enforce])
        for line in ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<user@example.test>"] {
            _ = driver.send(line + "\r\n")
        }
        #expect(self.codes(driver.send("DATA\r\nSubject: x\r\n.\r\n")) == ["550"])
        #expect(driver.isClosed)
    }

    @Test func `a client that failed before the greeting is refused at every recipient`() {
        let refusal = Reply(550, .init(7, 1), "Service unavailable; client [192.0.2.7] blocked using bl.example")
        var driver = Driver(refusal: refusal)
        _ = driver.send("EHLO bot\r\n")
        #expect(self.codes(driver.send("MAIL FROM:<a@b.example>\r\n")) == ["250"])
        #expect(driver.send("RCPT TO:<user@example.test>\r\n") == [refusal.oneLine])
        #expect(driver.send("RCPT TO:<nobody@elsewhere.example>\r\n") == [refusal.oneLine])
        #expect(self.codes(driver.send("BDAT 3 LAST\r\nabc")) == ["554"])
        #expect(driver.findings.isEmpty)
    }

    @Test func `and has no more than twenty commands`() {
        var driver = Driver(refusal: Reply(550, .init(7, 1), "no"))
        for _ in 0..<20 { #expect(self.codes(driver.send("NOOP\r\n")) == ["250"]) }
        #expect(driver.send("NOOP\r\n") == ["421 4.7.0 Too many errors"])
        #expect(driver.isClosed)
    }

    @Test func `what was found in plain text holds inside of TLS, and the tests go on there`() {
        var before = Driver([.bareNewline: .enforce], tls: .offered)
        _ = before.send("EHLO c\n")
        #expect(self.codes(before.send("STARTTLS\r\n")) == ["220"])
        for line in ["EHLO c\r\n", "MAIL FROM:<a@b.example>\r\n"] { _ = before.send(line) }
        #expect(self.codes(before.send("RCPT TO:<user@example.test>\r\n")) == ["550"])
        #expect(before.findings == [.failed(.bareNewline, .enforce)])

        for (test, line) in [
            (ScreeningTest.bareNewline, "NOOP\n"), (.pipelining, "NOOP\r\nNOOP\r\n"), (.nonSMTP, "Subject: x\r\n"),
        ] {
            var inside = Driver([test: .enforce], tls: .offered)
            _ = inside.send("STARTTLS\r\n")
            #expect(inside.send("EHLO c\r\n").contains("PIPELINING") == (test != .pipelining))
            _ = inside.send(line)
            _ = inside.send("MAIL FROM:<a@b.example>\r\n")
            #expect(self.codes(inside.send("RCPT TO:<user@example.test>\r\n")) == ["550"])
            #expect(inside.findings == [.failed(test, .enforce)])
        }
    }

    @Test func `who passes inside of TLS has passed`() {
        var driver = Driver([.pipelining: .enforce, .bareNewline: .enforce], tls: .implicit)
        driver.establish()
        for line in ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<user@example.test>"] {
            _ = driver.send(line + "\r\n")
        }
        #expect(driver.findings == [.passed(failing: [])])
    }

    @Test func `input behind STARTTLS fails the test for pipelining`() {
        for (action, expected) in [(ScreeningAction.drop, ["521"]), (.enforce, []), (.ignore, [])] {
            var driver = Driver([.pipelining: action], tls: .offered)
            #expect(self.codes(driver.send("STARTTLS\r\nEHLO c\r\n")) == expected)
            #expect(driver.isClosed && driver.findings == [.failed(.pipelining, action)])
        }
    }
}
