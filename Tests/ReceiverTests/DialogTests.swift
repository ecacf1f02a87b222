import Harness
import Mail
import SMTP
import Testing

/// Every dialog against the session as a value and against a real socket, whole and cut off after each line.
@Suite(.serialized) struct DialogTests {
    @Test func `all dialogs can be read`() throws {
        #expect(Dialog.all.count >= 30)
    }

    @Test(arguments: Dialog.all) func `the session says what the dialog says`(dialog: Dialog) throws {
        try self.play(dialog, steps: dialog.steps.count, pieces: .whole)
    }

    @Test(arguments: Dialog.all) func `arriving octet by octet changes nothing but what may be pipelined`(
        dialog: Dialog
    ) throws {
        // Whether more had arrived already is the very thing that these are about.
        guard !dialog.name.hasPrefix("pipelining-"), !dialog.name.hasPrefix("not-smtp"),
            !dialog.name.hasPrefix("screener-pipelining"), !dialog.name.hasPrefix("starttls-injection")
        else { return }
        try self.play(dialog, steps: dialog.steps.count, pieces: .octets)
    }

    @Test(arguments: Dialog.all) func `a client that goes away leaves only what was promised`(dialog: Dialog) throws {
        for count in 0..<dialog.steps.count { try self.play(dialog, steps: count, pieces: .whole) }
    }

    private enum Pieces { case whole, octets }

    private func play(_ dialog: Dialog, steps: Int, pieces: Pieces) throws {
        var driver = SessionDriver(
            limits: dialog.limits, policy: try dialog.policy, screening: dialog.screening, tls: dialog.tls)
        var replies = Replies()
        var promised = 0
        for (index, step) in dialog.steps.prefix(steps).enumerated() {
            switch step {
            case .send(let bytes):
                if pieces == .whole { driver.send(bytes) } else { for byte in bytes { driver.send([byte]) } }
            case .handshake: driver.handle(.tlsEstablished)
            case .expect(let code, let text):
                try replies.add(driver.takeOutput())
                let reply = replies.next()
                expect(reply, code: code, text: text, in: dialog, step: index)
                if reply?.lines[0].hasPrefix("Ok: queued as") ?? false { promised += 1 }
            case .expectClose:
                #expect(driver.isClosed, "\(dialog.name)")
                #expect(replies.list.isEmpty, "\(dialog.name): \(replies.list)")
            }
        }
        try replies.add(driver.takeOutput())
        promised += replies.list.filter { $0.lines[0].hasPrefix("Ok: queued as") }.count
        driver.disconnect()
        #expect(driver.stored.count == promised, "\(dialog.name), cut after \(steps)")
        for message in driver.stored { #expect(message.content.isCanonical) }
        #expect(!driver.hasLeftovers)
    }

    @Test(arguments: Dialog.all) func `a socket says what the dialog says`(dialog: Dialog) async throws {
        try await withServer(
            limits: dialog.limits, policy: dialog.policy, screener: dialog.screener, isRejected: dialog.isRejected,
            tls: dialog.tls
        ) { server in
            _ = try await onOwnThread { try self.play(dialog, steps: dialog.steps.count, at: server) }
        }
    }

    @Test(arguments: Dialog.all) func `a socket that is closed anywhere leaves only what was promised`(dialog: Dialog)
        async throws
    {
        try await withServer(
            limits: dialog.limits, policy: dialog.policy, screener: dialog.screener, isRejected: dialog.isRejected,
            tls: dialog.tls
        ) { server in
            // A hundred recipients are a hundred times the same.
            let cuts = dialog.steps.count > 60 ? [0, 10, dialog.steps.count - 4] : Array(0..<dialog.steps.count)
            var promised = 0
            for count in cuts { promised += try await onOwnThread { try self.play(dialog, steps: count, at: server) } }
            try eventually("the sessions end") { server.server.sessionCount == 0 }
            let messages = try server.messages()
            // What was cut off behind its last octet may have been taken without anybody hearing of it.
            #expect(messages.count >= promised)
            for message in messages { #expect(message.content.isCanonical) }
            #expect(messages.count <= promised + 2 * cuts.count)
        }
    }

    /// - Returns: how many messages were answered with `queued`.
    @discardableResult
    private func play(_ dialog: Dialog, steps: Int, at server: SMTPServerFixture) throws -> Int {
        let client: any DialogClient =
            dialog.tls == .none
            ? try SMTPClient(server.address, patience: .seconds(20)) : try SecureClient(server.address)
        var promised = 0
        for (index, step) in dialog.steps.prefix(steps).enumerated() {
            switch step {
            case .send(let bytes): try client.send(bytes)
            case .handshake: try client.startTLS()
            case .expect(let code, let text):
                let reply = try client.nextReply()
                expect(reply, code: code, text: text, in: dialog, step: index)
                if reply?.lines[0].hasPrefix("Ok: queued as") ?? false { promised += 1 }
            case .expectClose:
                let rest = try client.rest()
                #expect(rest.isEmpty, "\(dialog.name): \(String(decoding: rest, as: UTF8.self))")
            }
        }
        client.close()
        return promised
    }
}

/// What a dialog is played with.
protocol DialogClient {
    func send(_ bytes: [UInt8]) throws
    func startTLS() throws
    func nextReply() throws -> Reply?
    /// Everything up to the end.
    func rest() throws -> [UInt8]
    func close()
}

extension SMTPClient: DialogClient {
    func send(_ bytes: [UInt8]) throws { try self.send(bytes, pieceBytes: .max) }

    func startTLS() throws { throw HarnessError("this client has no TLS") }

    func nextReply() throws -> Mail.Reply? {
        var replies = Replies()
        try replies.add(try self.reply().bytes)
        return replies.next()
    }

    func rest() throws -> [UInt8] { try self.readToEnd().bytes }
}

extension String {
    /// Lines end in CRLF, and there is no other CR or LF.
    var isCanonical: Bool {
        let bytes = Array(self.utf8)
        for (index, byte) in bytes.enumerated() {
            if byte == 0x0A, index == 0 || bytes[index - 1] != 0x0D { return false }
            if byte == 0x0D, index + 1 == bytes.count || bytes[index + 1] != 0x0A { return false }
        }
        return bytes.isEmpty || bytes.last == 0x0A
    }
}
