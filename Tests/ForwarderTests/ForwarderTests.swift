import Forwarder
import Harness
import Mail
import Queue
import SMTP
import Synchronization
import Testing

/// The forwarder with real sockets: a server that follows a script, or Postfix's smtp-sink.
@Suite(.serialized) struct ForwarderTests {
    @Test func `a message reaches the primary as it was stored`() async throws {
        let sink = try SMTPSink(keepsMessages: true)
        try await withForwarder(try ForwarderFixture(routes: ["*": "smtp:[127.0.0.1]:\(sink.address.port)"])) {
            fixture in
            fixture.forwarder.start(ticks: nil)
            let content = "Subject: dots\r\n\r\n.\r\n..\r\n.x\r\nend\r\n"
            try await fixture.add(try envelope(["a@example.test", "b@example.test"]), content)
            try await fixture.waitForMessages(0)
            let messages = try await onOwnThread {
                try sink.wait(for: 1)
                return try sink.messages()
            }
            #expect(messages.count == 1)
            #expect(messages.first?.recipientArguments.count == 2)
            let text = String(decoding: messages[0].content, as: UTF8.self)
            #expect(text.contains("Subject: dots\n\n.\n..\n.x\nend\n"))
        }
    }

    @Test func `large messages are read from the disk in pieces`() async throws {
        let sink = try SMTPSink(keepsMessages: true)
        try await withForwarder(try ForwarderFixture(routes: ["*": "smtp:[127.0.0.1]:\(sink.address.port)"])) {
            fixture in
            fixture.forwarder.start(ticks: nil)
            let lines = (0..<40_000).map { "line \($0) of a large message\r\n" }.joined()
            try await fixture.add(try envelope(), "Subject: large\r\n\r\n" + lines)
            try await fixture.waitForMessages(0)
            let messages = try await onOwnThread {
                try sink.wait(for: 1)
                return try sink.messages()
            }
            let text = String(decoding: messages[0].content, as: UTF8.self)
            #expect(
                text.hasSuffix(lines.replacing("\r\n", with: "\n")) || text.contains("line 39999 of a large message"))
            #expect(text.split(separator: "\n").filter { $0.hasPrefix("line ") }.count == 40_000)
        }
    }

    @Test func `recipients that are refused come back in one notice, the others arrive`() async throws {
        let sink = try SMTPSink(options: ["-f", "RCPT"])
        try await withForwarder(try ForwarderFixture(routes: ["example.test": "smtp:[127.0.0.1]:\(sink.address.port)"]))
        { fixture in
            fixture.forwarder.start(ticks: nil)
            let id = try await fixture.add(try envelope(["a@example.test", "b@example.test"]))
            // The notice waits: its own way is by MX, and no name exists, so it fails and is dropped without another.
            try await fixture.waitForMessages(0)
            typealias Failure = (QueueID, MailEvent.Outcome, notice: QueueID?)
            var failed: [Failure] = []
            try await fixture.waitUntil("both have failed") {
                failed = fixture.events.compactMap {
                    if case .failed(let id, let outcome, let notice) = $0 { (id, outcome, notice) } else { nil }
                }
                return failed.count == 2
            }
            #expect(failed.first?.0 == id)
            #expect(failed.first?.1.recipients.count == 2)
            #expect(failed.first?.2 == failed.last?.0)
            #expect(failed.last?.2 == nil)
        }
    }

    @Test func `a notice that cannot be signed goes without, and the log says so`() async throws {
        struct NoKey: Error {}
        let routes = ["example.test": "error:5.1.1 no", "*": "retry:4.4.1 later"]
        try await withForwarder(try ForwarderFixture(routes: routes) { _ in throw NoKey() }) { fixture in
            fixture.forwarder.start(ticks: nil)
            let id = try await fixture.add(try envelope())
            var notice: QueueID?
            try await fixture.waitUntil("the notice is queued") {
                notice = try fixture.messages().first { $0.about == id }?.id
                return notice != nil
            }
            let unsigned = fixture.events.compactMap { event in
                if case .unsigned(let id, let detail) = event { "\(id) \(detail)" } else { nil }
            }
            #expect(unsigned == [notice.map { "\($0) NoKey()" }])
        }
    }

    /// The heart of a backup MX.
    @Test func `ten days: a primary that is down for nine days and 23 hours loses nothing`() async throws {
        var lifetimes = QueueOptions()
        lifetimes.delayNotice = .zero
        let port = try freePort()
        try await withForwarder(try ForwarderFixture(routes: ["*": "smtp:[127.0.0.1]:\(port)"], lifetimes: lifetimes)) {
            fixture in
            fixture.forwarder.start(ticks: nil)
            for number in 0..<50 {
                try await fixture.add(
                    try envelope(["u\(number)@example.test"], from: number.isMultiple(of: 5) ? "" : "s@client.example"))
            }
            try await fixture.waitFor(.down)
            for _ in 0..<239 {
                fixture.pass(.seconds(3600))
                try await fixture.waitFor(.down)
            }
            #expect(try fixture.queue.statistics().messages == 50)
            let sink = try SMTPSink(port: port)
            fixture.pass(.seconds(300))
            try await fixture.waitForMessages(0)
            try await onOwnThread { try sink.wait(for: 50) }
            #expect(!fixture.events.contains { if case .failed = $0 { true } else { false } })
        }
    }

    @Test func `ten days: at the end each message expires with exactly one notice, and none for the null sender`()
        async throws
    {
        var lifetimes = QueueOptions()
        lifetimes.delayNotice = .zero
        let port = try freePort()
        let routes = [
            "example.test": "smtp:[127.0.0.1]:\(port)", "other.test": "smtp:[127.0.0.1]:\(port)",
            "*": "retry:4.4.1 the world is away",
        ]
        try await withForwarder(try ForwarderFixture(routes: routes, lifetimes: lifetimes)) { fixture in
            fixture.forwarder.start(ticks: nil)
            var ids: [QueueID] = []
            for number in 0..<20 {
                let sender = number.isMultiple(of: 4) ? "" : "s@client.example"
                ids.append(
                    try await fixture.add(try envelope(["u\(number)@example.test", "v@other.test"], from: sender)))
            }
            try await fixture.waitFor(.down)
            fixture.pass(.seconds(10 * 86_400 - 60))
            try await fixture.waitFor(.down)
            fixture.pass(.seconds(59))
            try await fixture.waitFor(.down)
            #expect(try fixture.queue.statistics().messages == 20)
            fixture.pass(.seconds(61))
            try await fixture.waitUntil("nothing but notices is left") {
                try fixture.messages().allSatisfy { $0.about != nil }
            }
            for _ in 0..<5 { fixture.pass(.seconds(61)) }
            let notices = try fixture.messages()
            #expect(notices.count == 15)
            #expect(
                Set(notices.map(\.about))
                    == Set(ids.enumerated().filter { !$0.offset.isMultiple(of: 4) }.map(\.element)))
            for notice in notices {
                let text = try fixture.content(notice)
                #expect(notice.envelope.reversePath == .null)
                #expect(notice.envelope.recipients.map(\.mailbox.description) == ["s@client.example"])
                #expect(text.split(separator: "\r\nAction: failed\r\n").count == 3)
                #expect(text.contains("\r\nStatus: 4.4.1\r\n"))
            }
            // A notice that cannot be delivered is given up in its time, without another.
            fixture.pass(.seconds(10 * 86_400))
            try await onOwnThread {
                try eventually("the notices to be given up") {
                    fixture.pass(.seconds(400))
                    return try fixture.queue.statistics().messages == 0
                }
            }
        }
    }

    @Test func `a delay is told once after its time, and not to who does not want it`() async throws {
        var lifetimes = QueueOptions()
        lifetimes.delayNotice = .seconds(4 * 3600)
        let port = try freePort()
        let routes = ["example.test": "smtp:[127.0.0.1]:\(port)", "*": "retry:4.4.1 later"]
        try await withForwarder(try ForwarderFixture(routes: routes, lifetimes: lifetimes)) { fixture in
            fixture.forwarder.start(ticks: nil)
            let id = try await fixture.add(try envelope())
            try await fixture.add(try envelope(from: ""))
            var silent = try envelope()
            var options = RecipientParameters()
            options.notify = .failure
            silent.recipients = [Recipient(silent.recipients[0].mailbox, parameters: options)]
            try await fixture.add(silent)
            try await fixture.waitFor(.down)
            fixture.pass(.seconds(4 * 3600 - 61))
            try await fixture.waitFor(.down)
            #expect(try fixture.queue.statistics().messages == 3)
            fixture.pass(.seconds(62))
            try await fixture.waitForMessages(4)
            for _ in 0..<3 {
                fixture.pass(.seconds(3600))
                try await fixture.waitFor(.down)
            }
            let notices = try fixture.messages().filter { $0.about != nil }
            #expect(notices.map(\.about) == [id])
            let text = try fixture.content(notices[0])
            #expect(text.contains("Action: delayed"))
            #expect(text.contains("451 4.4.1 connect to 127.0.0.1"))
            #expect(try fixture.queue.message(id)?.progress.wasDelayNotified == true)
        }
    }

    @Test func `what was delivered is not sent again because our disk was full`() async throws {
        // The commit that takes the message succeeds, those that follow do not.
        let commits = Mutex((count: 0, isFull: true))
        var probe = QueueProbe()
        probe.reached = { step throws(QueueError) in
            guard step == .beforeCommit else { return }
            let fails = commits.withLock { state in
                state.count += 1
                return state.count > 1 && state.isFull
            }
            if fails { throw .full }
        }
        let sink = try SMTPSink()
        let routes = ["*": "smtp:[127.0.0.1]:\(sink.address.port)"]
        var lifetimes = QueueOptions()
        lifetimes.delayNotice = .zero  // It would go to the same place.
        try await withForwarder(try ForwarderFixture(routes: routes, lifetimes: lifetimes, probe: probe)) { fixture in
            fixture.forwarder.start(ticks: nil)
            let id = try await fixture.add(try envelope())
            try await onOwnThread { try sink.wait(for: 1) }
            try await onOwnThread { try eventually("our disk was full once") { commits.withLock { $0.count > 1 } } }
            for _ in 0..<5 { fixture.pass(.seconds(4000)) }
            #expect(try fixture.queue.message(id) != nil)
            commits.withLock { $0.isFull = false }
            try await fixture.waitForMessages(0)
            #expect(sink.count == 1)
        }
    }

    @Test func `a next hop that is ourselves is not talked to`() async throws {
        let port = try freePort()
        try await withForwarder(
            try ForwarderFixture(
                routes: ["*": "smtp:[127.0.0.1]:\(port)"], listeners: [Mail.Endpoint(.v4(0x7F00_0001), port: port)])
        ) { fixture in
            fixture.forwarder.start(ticks: nil)
            try await fixture.add(try envelope())
            try await fixture.waitFor(.down)
            #expect(try await fixture.forwarder.status().first?.lastReply?.status == "4.4.6")
        }
    }
}
