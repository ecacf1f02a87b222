import Harness
import Mail
import Receiver
import Rules
import SMTP
import Testing

/// The tricks by which relays were opened, all of them by a stranger, all of them in vain.
struct OpenRelayTests {
    static let tricks = [
        // Plainly elsewhere.
        "<victim@elsewhere.example>", "victim@elsewhere.example", "<victim@ELSEWHERE.EXAMPLE>",
        "<\"victim\"@elsewhere.example>",
        // Routed through us: percent hack, bang paths, quoted addresses, at signs.
        "<victim%elsewhere.example@example.test>", "<victim%elsewhere.example@mx.example.test>",
        "<user%example.test@elsewhere.example>",
        "<elsewhere.example!victim@example.test>", "<elsewhere.example!victim>",
        "<\"victim@elsewhere.example\"@example.test>",
        "<\"victim%elsewhere.example\"@example.test>", "<\"elsewhere.example!victim\"@example.test>",
        "<victim@elsewhere.example@example.test>",
        "<\"victim@elsewhere.example\">", "<victim%elsewhere.example>", "<victim@elsewhere.example%example.test>",
        "<user@example.test@elsewhere.example>", "<\"user\\@example.test\"@elsewhere.example>",
        // Source routes.
        "<@example.test:victim@elsewhere.example>", "<@mx.example.test,@example.test:victim@elsewhere.example>",
        "<@elsewhere.example:victim@other.example>", "<@[127.0.0.1]:victim@elsewhere.example>",
        // Literals and names of ours.
        "<victim@[127.0.0.1]>", "<user@[127.0.0.1]>", "<victim@[IPv6:::1]>", "<victim@mx.example.test>",
        "<victim@localhost>",
        "<victim%elsewhere.example@[127.0.0.1]>", "<victim@127.0.0.1>",
        // Domains that only look like ours.
        "<user@example.test.>", "<user@example.test.elsewhere.example>", "<user@xexample.test>", "<user@example.tes>",
        "<user@.example.test>",
        "<user@sub.example.test>", "<user@example.test:25>", "<user@example.test\u{0}.elsewhere.example>",
        "<user@exam\u{200B}ple.test>",
        "<user@еxample.test>", "<user@example。test.elsewhere.example>",
        // What is none, or ends early.
        "<>", "<user>", "<@example.test>", "<user@>", "<user@example.test> <victim@elsewhere.example>",
        "<user@example.test,victim@elsewhere.example>",
        "<user@example.test>,<victim@elsewhere.example>", "<user@example.test\\r\\nRCPT TO:<victim@elsewhere.example>>",
    ]

    @Test(arguments: Self.tricks) func `no trick opens the relay`(path: String) throws {
        for parameters in ["", " SMTPUTF8"] {
            var driver = SessionDriver(limits: SessionLimits(), policy: try Dialog(file: "basic.dialog").policy)
            driver.send("EHLO client.example\r\nMAIL FROM:<a@client.example>\(parameters)\r\n".utf8)
            _ = driver.takeOutput()
            driver.send("RCPT TO:\(path)\r\n".utf8)
            let reply = String(decoding: driver.takeOutput(), as: UTF8.self)
            #expect(reply.first == "5", "\(path): \(reply)")
        }
    }

    @Test func `neither the sender nor the HELO name opens it`() throws {
        for (helo, sender) in [
            ("localhost", "user@example.test"), ("[127.0.0.1]", ""), ("mx.example.test", "postmaster@mx.example.test"),
            ("example.test", "user@example.test"),
        ] {
            var driver = SessionDriver(limits: SessionLimits(), policy: try Dialog(file: "basic.dialog").policy)
            driver.send("EHLO \(helo)\r\nMAIL FROM:<\(sender)>\r\n".utf8)
            _ = driver.takeOutput()
            driver.send("RCPT TO:<victim@elsewhere.example>\r\n".utf8)
            #expect(driver.takeOutput().starts(with: Array("554 5.7.1".utf8)))
        }
    }

    @Test func `what is ours is taken, in any case`() throws {
        var driver = SessionDriver(limits: SessionLimits(), policy: try Dialog(file: "basic.dialog").policy)
        driver.send("EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n".utf8)
        _ = driver.takeOutput()
        for path in [
            "<user@example.test>", "<USER@EXAMPLE.TEST>", "<\"user\"@Example.Test>",
            "<@elsewhere.example:other@example.test>", "<anybody@open.test>",
        ] {
            driver.send("RCPT TO:\(path)\r\n".utf8)
            #expect(driver.takeOutput().starts(with: Array("250".utf8)), "\(path)")
        }
    }
}
