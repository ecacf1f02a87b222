import Foundation
import Harness
import Synchronization
import Testing

/// The daemon is killed with SIGKILL again and again while mail comes in and goes out.
@Suite(.serialized) struct KillTests {
    private static let messages = 2400
    private static let kills = 60
    private static let clients = 8

    /// What clients know of each message: how often its end was sent, and whether a 250 came back.
    private struct Fate {
        var attempts = 0
        var isPromised = false
    }

    @Test func `every message that was promised arrives whole, and twice only around a kill`() throws {
        let sink = try SMTPSink(keepsMessages: true)
        let postern = try PosternProcess(
            primary: sink.address, more: "forwarder: {probe_minimum: 1s, probe_maximum: 1s}")
        let next = Mutex(0)
        let fates = Mutex<[Int: Fate]>([:])
        let workers = (0..<Self.clients).map { _ in
            Worker {
                while let number = next.withLock({ value in
                    defer { value += 1 }
                    return value < Self.messages ? value : nil
                }) { self.deliver(number, to: postern.address, fates) }
            }
        }
        var killTimes: [Date] = []
        for _ in 0..<Self.kills {
            // Sometimes right after the start, sometimes after a while.
            usleep(UInt32.random(in: 0...250_000))
            killTimes.append(Date())
            postern.kill()
            try postern.start()
        }
        for worker in workers { try worker.wait() }
        let known = fates.withLock { $0 }
        #expect(known.count == Self.messages)
        #expect(known.values.filter { !$0.isPromised }.isEmpty)
        try postern.waitUntilEmpty(within: .seconds(120))
        #expect(try postern.command("queue", "fsck").ending == .exited(0))
        try postern.stop()
        try self.check(try sink.messages(), known, killTimes)
    }

    /// Sends one message until it gets a 250, as every mail server does.
    private func deliver(_ number: Int, to address: Endpoint, _ fates: borrowing Mutex<[Int: Fate]>) {
        // Connections that break are what this is about.
        while true {
            do {
                let client = try SMTPClient(address, patience: .seconds(30))
                _ = try client.reply()
                try client.command("EHLO client.example")
                try client.command("MAIL FROM:<s@client.example>")
                try client.command("RCPT TO:<user@example.test>")
                guard try client.command("DATA").code == 354 else { continue }
                try client.send(dotStuffed(Self.content(number)))
                fates.withLock { $0[number, default: Fate()].attempts += 1 }
                try client.send(".\r\n")
                guard try client.reply().code == 250 else { continue }
                fates.withLock { $0[number, default: Fate()].isPromised = true }
                return
            } catch {
                usleep(20_000)
            }
        }
    }

    /// Every tenth message is longer than what is kept in memory.
    private static func content(_ number: Int) -> [UInt8] {
        let lines = number.isMultiple(of: 10) ? 9000 : Int.random(in: 1...100)
        var text = "Subject: \(number)\r\nX-Lines: \(lines)\r\n\r\n"
        for line in 0..<lines { text += "\(number) \(line) abcdefghij\r\n" }
        return Array(text.utf8)
    }

    private func check(_ messages: [SMTPSink.Message], _ fates: [Int: Fate], _ killTimes: [Date]) throws {
        var copies: [Int: [String]] = [:]
        for message in messages {
            let text = String(decoding: message.content, as: UTF8.self)
            let number = try #require(Self.field("Subject", in: text).flatMap { Int($0) })
            let lines = try #require(Self.field("X-Lines", in: text).flatMap { Int($0) })
            let expected = (0..<lines).map { "\(number) \($0) abcdefghij\n" }.joined()
            #expect(text.hasSuffix("\n\n" + expected), "message \(number) is damaged")
            let id = try #require(
                text.firstRange(of: "with ESMTP id ").map { text[$0.upperBound...].prefix { $0 != "\n" } })
            copies[number, default: []].append(String(id))
        }
        for (number, fate) in fates {
            let ids = copies[number] ?? []
            #expect(!ids.isEmpty, "message \(number) is lost")
            // Different queue IDs are attempts of the client, which heard nothing and sent it again.
            #expect(Set(ids).count <= fate.attempts, "message \(number) came as \(ids), sent \(fate.attempts) times")
        }
        // The same queue ID twice: we died between the primary's 250 and writing it down. That can happen to what was
        // under way at a kill, which is at most one message a connection.
        let repeated = copies.values.reduce(0) { $0 + $1.count - Set($1).count }
        #expect(repeated <= killTimes.count * 20)
        print(
            "killed \(killTimes.count) times: \(fates.count) messages, \(messages.count) arrived, \(repeated) of them again by us"
        )
    }

    private static func field(_ name: String, in text: String) -> Substring? {
        text.split(separator: "\n").first { $0.hasPrefix("\(name): ") }?.dropFirst(name.count + 2)
    }
}

/// A thread with work that can be waited for.
final class Worker: Sendable {
    private let done = DispatchSemaphore(value: 0)

    init(_ body: @escaping @Sendable () -> Void) {
        Thread.detachNewThread {
            body()
            self.done.signal()
        }
    }

    func wait(within seconds: Double = 300) throws {
        guard self.done.wait(timeout: .now() + seconds) == .success else { throw HarnessError("a worker does not end") }
    }
}
