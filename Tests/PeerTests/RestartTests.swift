import Foundation
import Harness
import Synchronization
import Testing

/// The daemon is told to end, and started again, while mail comes in.
@Suite(.serialized) struct RestartTests {
    private static let quick = "forwarder: {probe_minimum: 1s, probe_maximum: 1s}"

    /// What clients know.
    private struct Tally {
        var next = 0
        var promised: Set<Int> = []
        var attempts: [Int: Int] = [:]
        var refusedConnections = 0
        var isOver = false
    }

    /// systemd holds the socket meanwhile; what comes while nobody accepts waits in its queue.
    @Test func `over a restart with a passed socket no connection is refused and no message lost`() throws {
        let sink = try SMTPSink(keepsMessages: true)
        let postern = try PosternProcess(primary: sink.address, more: Self.quick, starts: false)
        let socket = try ListeningSocket(postern.address)
        try postern.start(listeners: [socket.descriptor])
        let tally = Mutex(Tally())
        let workers = (0..<6).map { _ in
            Worker { while let number = self.nextNumber(tally) { self.deliver(number, to: postern.address, tally) } }
        }
        for restart in 1...4 {
            // Some mail has gone through since the last start.
            try eventually("mail in round \(restart)") { tally.withLock { $0.promised.count } >= restart * 100 }
            #expect(try postern.stop() == .exited(0))
            try postern.start(listeners: [socket.descriptor])
        }
        try eventually("mail after the last start") { tally.withLock { $0.promised.count } >= 500 }
        tally.withLock { $0.isOver = true }
        for worker in workers { try worker.wait() }
        try postern.waitUntilEmpty()
        #expect(try postern.stop() == .exited(0))
        let known = tally.withLock { $0 }
        #expect(known.refusedConnections == 0)
        try self.check(sink, known)
    }

    private func nextNumber(_ tally: borrowing Mutex<Tally>) -> Int? {
        tally.withLock { tally in
            guard !tally.isOver else { return nil }
            defer { tally.next += 1 }
            return tally.next
        }
    }

    /// Sends one message until it gets a 250; a service that ends says 421, and the client comes again.
    private func deliver(_ number: Int, to address: Endpoint, _ tally: borrowing Mutex<Tally>) {
        while true {
            guard let client = try? SMTPClient(address, patience: .seconds(30)) else {
                tally.withLock { $0.refusedConnections += 1 }
                usleep(10_000)
                continue
            }
            // Whatever goes wrong behind the connection is the service's right while it ends.
            if (try? self.deliver(number, over: client, tally)) == true { return }
        }
    }

    private func deliver(_ number: Int, over client: SMTPClient, _ tally: borrowing Mutex<Tally>) throws -> Bool {
        guard try client.reply().code == 220 else { return false }
        for command in ["EHLO client.example", "MAIL FROM:<s@client.example>", "RCPT TO:<user@example.test>"] {
            guard try client.command(command).code == 250 else { return false }
        }
        guard try client.command("DATA").code == 354 else { return false }
        tally.withLock { $0.attempts[number, default: 0] += 1 }
        try client.send("Subject: \(number)\r\n\r\nbody \(number)\r\n.\r\n")
        guard try client.reply().code == 250 else { return false }
        tally.withLock { _ = $0.promised.insert(number) }
        return true
    }

    private func check(_ sink: SMTPSink, _ known: Tally) throws {
        var copies: [Int: [String]] = [:]
        for message in try sink.messages() {
            let text = String(decoding: message.content, as: UTF8.self)
            let subject = try #require(
                text.firstRange(of: "Subject: ").map { text[$0.upperBound...].prefix { $0 != "\n" } })
            let id = try #require(
                text.firstRange(of: "with ESMTP id ").map { text[$0.upperBound...].prefix { $0 != "\n" } })
            copies[try #require(Int(subject)), default: []].append(String(id))
        }
        for number in known.promised {
            let ids = copies[number] ?? []
            #expect(!ids.isEmpty, "message \(number) is lost")
            // Nobody was killed: each message that was queued goes out once.
            #expect(Set(ids).count == ids.count, "message \(number) was sent again: \(ids)")
            #expect(ids.count <= known.attempts[number] ?? 0)
        }
    }

    @Test func `SIGTERM under load ends with 0, and what was promised arrives once`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(primary: sink.address, more: Self.quick)
        let load = Worker {
            var source = SMTPSource()
            source.messages = 100_000
            source.sessions = 20
            // It gives up when the service ends.
            _ = try? source.send(to: postern.address)
        }
        try eventually("some mail to be delivered") { sink.count >= 100 }
        #expect(try postern.stop() == .exited(0))
        try load.wait()
        let queued = postern.log.split(separator: "\n").filter { $0.contains("event=queued") }.count
        #expect(queued >= 100)
        try postern.start()
        try postern.waitUntilEmpty()
        try sink.wait(for: queued)
        #expect(try postern.stop() == .exited(0))
    }

    @Test func `who is in a transaction finishes it, who is idle hears 421, and then it ends`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(primary: sink.address, more: Self.quick)
        let idle = try SMTPClient(postern.address)
        _ = try idle.reply()
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        try client.command("MAIL FROM:<s@client.example>")
        postern.signal(SIGTERM)
        #expect(try idle.reply().code == 421)
        #expect(throws: HarnessError.self) { try SMTPClient(postern.address) }
        #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
        #expect(try client.command("DATA").code == 354)
        try client.send("Subject: last\r\n\r\n.\r\n")
        #expect(try client.reply().code == 250)
        #expect(try client.reply().code == 421)
        #expect(try client.readToEnd().end == .closed)
        idle.close()
        client.close()
        #expect(try postern.waitForEnd() == .exited(0))
        try postern.start()
        try sink.wait(for: 1)
    }
}
