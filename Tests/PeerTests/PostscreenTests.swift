import Harness
import Testing

/// The same clients in front of Postfix's postscreen and of Postern: they hear the same replies, but for the
/// differences that are meant and listed here (Sources/SCREENER.md).
///
/// Of a reply its code counts, and from 400 on its enhanced code; `220-` is a greeting that is held back.
@Suite(.serialized) struct PostscreenTests {
    /// A difference that is meant; both sides must be exactly so.
    private struct Difference {
        let postscreen: String
        let postern: String
        let reason: String
    }

    /// By the name of the client, where failures are enforced and the session is tested.
    private static let differences: [String: Difference] = [
        "good": .init(
            postscreen: "220-, 220, 250, 250, 450 4.3.2, 221", postern: "220-, 220, 250, 250, 250, 221",
            reason: "a client that passes the tests of the session goes on in it, and need not come again"),
        "pregreeter": .init(
            postscreen: "220-, 250, 250, 550 5.5.1, 221", postern: "220-, 220, 250, 250, 550 5.5.1, 221",
            reason: "the greeting is completed: a hasty but honest client would wait for its end for good"),
        "pregreeter-data": .init(
            postscreen: "220-, 250, 250, 550 5.5.1, 554 5.5.1",
            postern: "220-, 220, 250, 250, 550 5.5.1, 554 5.5.1, 221",
            reason: "the greeting is completed, and DATA without a recipient does not end the session"),
        "talker": .init(
            postscreen: "220-, 250, 250, 550 5.5.1, " + String(repeating: "250, ", count: 17) + "421",
            postern: "220-, 220, 250, 250, 550 5.5.1, " + String(repeating: "250, ", count: 17) + "421 4.7.0",
            reason: "the greeting is completed, and 421 has an enhanced code; the limit of 20 commands is the same"),
        "others": .init(
            postscreen: "220-, 250, 250, 550 5.5.1, 250, 502 5.5.2, 550 5.5.1, 221",
            postern: "220-, 220, 250, 250, 550 5.5.1, 250, 500 5.5.2, 252, 221",
            reason: "the receiver's own session answers: unknown commands are 500, and VRFY tells nothing to anybody"),
        "http": .init(
            postscreen: "220-, 220, 521 5.7.0", postern: "220-, 220, 521 5.5.1",
            reason: "who fails a test is told so in the same way, whichever it is"),
        "connect": .init(
            postscreen: "220-, 220, 521 5.7.0", postern: "220-, 220, 521 5.5.1",
            reason: "who fails a test is told so in the same way, whichever it is"),
        "header": .init(
            postscreen: "220-, 220, 521 5.7.0", postern: "220-, 220, 521 5.5.1",
            reason: "who fails a test is told so in the same way, whichever it is"),
        "denied": .init(
            postscreen: "220-, 220, 250, 250, 550 5.3.2, 221", postern: "220, 250, 250, 550 5.3.2, 221",
            reason: "the outcome is known, and no test could change it: there is nothing to wait for"),
    ]

    /// Where the lists of DNS are, for postscreen. Other programs have no business at this address.
    private static let listHost = "127.153.\(Int.random(in: 0...255)).\(Int.random(in: 1...254))"

    private static let zone = """
        $ORIGIN bl.example.test.
        $TTL 300
        @ SOA ns hostmaster 1 3600 900 604800 300
        @ NS ns
        ns A 127.0.0.1
        2.0.0.127 A 127.0.0.2
        9.3.80.127 A 127.0.0.3
        10.3.80.127 A 127.0.0.2

        """
    private static let clients = "127.80.0.0/16 dunno\n127.81.0.0/16 permit\n127.82.0.0/16 reject\n"

    private static let postscreen = [
        "postscreen_greet_wait": "1s", "postscreen_access_list": "cidr:/etc/postfix/clients",
        "postscreen_cache_map": "lmdb:$data_directory/postscreen_cache",
    ]

    /// Runs the scripts against both, one batch after the other.
    private func compare(
        postscreen: [String: String], screener: String, differing differences: [String: Difference] = [:],
        _ batches: [[BotScript]]
    ) throws {
        let names = try NSD(host: Self.listHost, port: 53, zones: ["bl.example.test": Self.zone])
        let postfix = try PostfixPrimary(
            settings: Self.postscreen.merging(postscreen) { $1 }, isScreened: true,
            files: [
                "etc/resolv.conf": "nameserver \(Self.listHost)\noptions attempts:1 timeout:1\n",
                "etc/postfix/clients": Self.clients,
            ])
        let postern = try PosternProcess(
            screener: "{greet_wait: 1s, access: [\"cidr:clients\"], \(screener)}",
            resolver: "{forwarders: [\"\(names.address)\"], timeout: 5s}", starts: false)
        try postern.rewrite("rules/clients", Self.clients)
        try postern.start()
        var unused = differences
        for scripts in batches {
            let both = [Bots(postfix.address, scripts), Bots(postern.address, scripts)]
            let seen = try both.map { try $0.finish() }
            for name in scripts.map(\.name) {
                self.compare(name, seen[0][name], seen[1][name], unused.removeValue(forKey: name))
            }
        }
        #expect(unused.isEmpty, "differences of clients that were not there")
        try postern.waitUntilDeserted()
    }

    private func compare(
        _ name: String, _ first: BotTranscript?, _ second: BotTranscript?, _ difference: Difference?
    ) {
        let theirs = first.map(Self.replies) ?? ""
        let ours = second.map(Self.replies) ?? ""
        if let difference {
            #expect(theirs == difference.postscreen, "\(name), postscreen: \(first?.text ?? "")")
            #expect(ours == difference.postern, "\(name), since \(difference.reason): \(second?.text ?? "")")
            #expect(difference.postscreen != difference.postern, "\(name) does not differ")
        } else {
            #expect(theirs == ours, "\(name): \(first?.text ?? "")\n\(second?.text ?? "")")
        }
    }

    private static func replies(_ transcript: BotTranscript) -> String {
        transcript.text.split(separator: "\r\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 2)
            if line.dropFirst(3).first == "-" { return line.hasPrefix("220-") ? "220-" : nil }
            guard let code = words.first, code >= "400", words.count > 1,
                words[1].wholeMatch(of: /[45]\.\d+\.\d+/) != nil
            else { return words.first.map(String.init) }
            return "\(code) \(words[1])"
        }.joined(separator: ", ")
    }

    // MARK: - Clients

    private static let quit: [BotScript.Step] = [.send("QUIT\r\n"), .end]

    private static func steps(_ lines: [String]) -> [BotScript.Step] { lines.flatMap { [.send($0), .reply] } }

    /// A dialog up to the recipient, in which every reply is waited for.
    private static func recipient(_ name: String, lineEnd: String = "\r\n") -> [BotScript.Step] {
        [.reply] + self.steps(BotScript.dialog(name, lineEnd: lineEnd))
    }

    /// A whole message.
    private static func message(_ name: String) -> [BotScript.Step] {
        self.recipient(name) + self.steps(["DATA\r\n", "Subject: x\r\n\r\nx\r\n.\r\n"]) + self.quit
    }

    /// Says EHLO before the greeting. Whether that is completed is up to the server.
    private static func hasty(_ name: String, _ more: [String] = []) -> [BotScript.Step] {
        let lines = BotScript.dialog(name)
        return [.send(lines[0]), .line("250 "), .send(lines[1]), .line("250 "), .send(lines[2]), .reply]
            + self.steps(more) + self.quit
    }

    // MARK: - Comparing

    @Test func `where failures are enforced, and the session is tested too`() throws {
        let lines = BotScript.dialog("pipeliner").joined()
        try self.compare(
            postscreen: [
                "postscreen_greet_action": "enforce", "postscreen_denylist_action": "enforce",
                "postscreen_pipelining_enable": "yes", "postscreen_pipelining_action": "enforce",
                "postscreen_non_smtp_command_enable": "yes", "postscreen_non_smtp_command_action": "drop",
                "postscreen_bare_newline_enable": "yes", "postscreen_bare_newline_action": "enforce",
            ],
            screener: "access_action: enforce, pipelining: enforce, non_smtp: drop, bare_newline: enforce",
            differing: Self.differences,
            [
                [
                    BotScript("good", from: "127.80.1.1", Self.recipient("good") + Self.quit),
                    BotScript("permitted", from: "127.81.1.1", Self.message("permitted")),
                    BotScript("pregreeter", from: "127.80.1.2", Self.hasty("pregreeter")),
                    BotScript("pregreeter-data", from: "127.80.1.3", Self.hasty("pregreeter-data", ["DATA\r\n"])),
                    BotScript(
                        "talker", from: "127.80.1.4", Self.hasty("talker", Array(repeating: "NOOP\r\n", count: 25))),
                    BotScript(
                        "others", from: "127.80.1.5", Self.hasty("others", ["RSET\r\n", "FOO\r\n", "VRFY x\r\n"])),
                    BotScript("pipeliner", from: "127.80.1.6", [.reply, .send(lines + "QUIT\r\n"), .end]),
                    BotScript(
                        "http", from: "127.80.1.7", [.reply, .send("GET / HTTP/1.1\r\nHost: mx2\r\n\r\n"), .end]),
                    BotScript("connect", from: "127.80.1.8", [.reply, .send("CONNECT mx2:25 HTTP/1.1\r\n\r\n"), .end]),
                    BotScript("header", from: "127.80.1.9", [.reply, .send("Subject: hello\r\n"), .end]),
                    BotScript("bare", from: "127.80.1.10", Self.recipient("bare", lineEnd: "\n") + Self.quit),
                    BotScript("half-open", from: "127.80.1.11", [.finishSending, .end]),
                    BotScript("denied", from: "127.82.1.1", Self.recipient("denied") + Self.quit),
                ],
                // Both remember who has passed, and only them.
                [
                    BotScript("good-again", from: "127.80.1.1", Self.message("good-again")),
                    BotScript("pregreeter-again", from: "127.80.1.2", [.reply] + Self.quit),
                    BotScript("pipeliner-again", from: "127.80.1.6", [.reply] + Self.quit),
                    BotScript("bare-again", from: "127.80.1.10", [.reply] + Self.quit),
                ],
            ])
    }

    @Test func `where clients are dropped`() throws {
        try self.compare(
            postscreen: ["postscreen_greet_action": "drop", "postscreen_denylist_action": "drop"],
            screener: "access_action: drop, pregreet: drop",
            [
                [
                    BotScript("good", from: "127.80.2.1", Self.message("good")),
                    BotScript("pregreeter", from: "127.80.2.2", Self.hasty("pregreeter")),
                    BotScript("denied", from: "127.82.2.1", Self.recipient("denied") + Self.quit),
                ],
                [
                    BotScript("good-again", from: "127.80.2.1", Self.message("good-again")),
                    BotScript("pregreeter-again", from: "127.80.2.2", Self.message("pregreeter-again")),
                ],
            ])
    }

    @Test func `where failures are ignored, and a list is asked`() throws {
        try self.compare(
            postscreen: [
                "postscreen_greet_action": "ignore", "postscreen_denylist_action": "ignore",
                "postscreen_dnsbl_sites": "bl.example.test=127.0.0.[2..3]", "postscreen_dnsbl_action": "enforce",
            ],
            screener: "access_action: ignore, pregreet: ignore, dnsbl: [\"bl.example.test=127.0.0.[2..3]\"]",
            [
                [
                    BotScript("good", from: "127.80.3.1", Self.message("good")),
                    BotScript("pregreeter", from: "127.80.3.2", Self.hasty("pregreeter")),
                    BotScript("denied", from: "127.82.3.1", Self.message("denied")),
                    BotScript("listed", from: "127.80.3.9", Self.recipient("listed") + Self.quit),
                    BotScript("listed-pregreeter", from: "127.80.3.10", Self.hasty("listed-pregreeter")),
                ],
                [
                    BotScript("good-again", from: "127.80.3.1", Self.message("good-again")),
                    BotScript("listed-again", from: "127.80.3.9", Self.recipient("listed-again") + Self.quit),
                ],
            ])
    }
}
