import Foundation
import Synchronization

/// What a client does that need not care for any protocol, step by step.
package struct BotScript: Sendable {
    package enum Step: Sendable {
        case send(String)
        /// One octet after the other, with this pause before each.
        case drip(String, every: Duration)
        /// Waits for the last line of the next reply.
        case reply
        /// Waits for a line that begins with this, and leaves out those before it.
        case line(String)
        /// Sends no more, and can still read.
        case finishSending
        /// Ends the connection with a reset (RST).
        case reset
        /// Reads until the server ends the connection.
        case end
    }

    package let name: String
    /// The address that it connects from, such as `127.66.0.1`.
    package let source: String
    package let steps: [Step]
    /// Goes on when the server has ended its side, until nothing can be sent any more.
    package let ignoresEnd: Bool

    package init(_ name: String, from source: String, ignoresEnd: Bool = false, _ steps: [Step]) {
        self.name = name
        self.source = source
        self.steps = steps
        self.ignoresEnd = ignoresEnd
    }

    package var reversePath: String { "s-\(self.name)@bot.example" }
    package var forwardPath: String { "r-\(self.name)@example.test" }

    /// The lines of a dialog up to the content, whose recipient tells whose it is.
    package static func dialog(_ name: String, lineEnd: String = "\r\n") -> [String] {
        ["EHLO bot.example", "MAIL FROM:<s-\(name)@bot.example>", "RCPT TO:<r-\(name)@example.test>"]
            .map { $0 + lineEnd }
    }
}

/// What a bot saw.
package struct BotTranscript: Sendable {
    package fileprivate(set) var bytes: [UInt8] = []
    /// How its connection ended; nil if it ended it itself.
    package fileprivate(set) var end: SMTPClient.End?
    /// Why it did not come to anything.
    package fileprivate(set) var error: String?
    package fileprivate(set) var isOver = false

    package var text: String { String(decoding: self.bytes, as: UTF8.self) }

    /// The codes of all replies; of one with many lines that of the last.
    package var codes: [Int] {
        self.text.split(separator: "\r\n").filter { $0.dropFirst(3).first != "-" }.compactMap { Int($0.prefix(3)) }
    }

    /// What was said last.
    package var lastLine: String { self.text.split(separator: "\r\n").last.map(String.init) ?? "" }
}

/// Many clients on one thread, each with a socket that never blocks.
package final class Bots: Sendable {
    private let state: Mutex<[String: BotTranscript]>

    /// Starts them all at once. Their names must differ.
    package init(_ server: Endpoint, _ scripts: [BotScript], patience: Duration = .seconds(60)) {
        self.state = Mutex([:])
        let deadline = ContinuousClock.now + patience
        Thread.detachNewThread {
            var bots = scripts.map { Bot($0, server) }
            while bots.contains(where: { !$0.transcript.isOver }), ContinuousClock.now < deadline {
                Bot.wait(for: bots)
                for index in bots.indices { bots[index].proceed() }
                self.publish(bots)
            }
            for index in bots.indices where !bots[index].transcript.isOver {
                bots[index].fail("it did not end in time")
            }
            self.publish(bots)
        }
    }

    private func publish(_ bots: [Bot]) {
        self.state.withLock { state in for bot in bots { state[bot.script.name] = bot.transcript } }
    }

    /// What they have seen so far, by name.
    package var transcripts: [String: BotTranscript] { self.state.withLock { $0 } }

    /// Waits until all have come to their end.
    @discardableResult
    package func finish() throws -> [String: BotTranscript] {
        try eventually("the end of the bots", within: .seconds(120)) {
            let transcripts = self.transcripts
            return !transcripts.isEmpty && transcripts.values.allSatisfy(\.isOver)
        }
        let transcripts = self.transcripts
        let errors = transcripts.compactMap { name, transcript in transcript.error.map { "\(name): \($0)" } }
        guard errors.isEmpty else { throw HarnessError("bots: \(errors.sorted().joined(separator: "; "))") }
        return transcripts
    }
}

/// One of them.
private struct Bot {
    let script: BotScript
    private(set) var transcript = BotTranscript()
    private var socket: Int32 = -1
    private var isConnected = false
    private var hasSeenEnd = false
    private var step = 0
    /// Of the step: octets that are out, and when the next may go.
    private var sent = 0
    private var nextDrip: ContinuousClock.Instant?
    /// Octets of the transcript that earlier steps have waited for.
    private var readTo = 0

    init(_ script: BotScript, _ server: Endpoint) {
        self.script = script
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        self.socket = Glibc.socket(server.isV6 ? AF_INET6 : AF_INET, kind, 0)
        do {
            let bound = try Endpoint(script.source, 0).withSocketAddress { bind(self.socket, $0, $1) }
            guard bound == 0 else { throw HarnessError("cannot bind", code: errno) }
            let result = try server.withSocketAddress { connect(self.socket, $0, $1) }
            guard result == 0 || errno == EINPROGRESS else { throw HarnessError("cannot connect", code: errno) }
            var one: Int32 = 1
            setsockopt(self.socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        } catch { self.fail("\(error)") }
    }

    /// Until one of them has something to do; not longer than a drip takes.
    static func wait(for bots: [Bot]) {
        var descriptors = bots.map { bot in
            let events = (bot.hasSeenEnd ? 0 : POLLIN) | (bot.wantsToSend ? POLLOUT : 0)
            return pollfd(fd: bot.socket, events: Int16(events), revents: 0)
        }
        poll(&descriptors, nfds_t(descriptors.count), 10)
    }

    private var wantsToSend: Bool {
        guard self.isConnected, self.step < self.script.steps.count else { return true }
        if case .send = self.script.steps[self.step] { return true }
        return false
    }

    mutating func proceed() {
        guard !self.transcript.isOver else { return }
        if !self.isConnected {
            var descriptor = pollfd(fd: self.socket, events: Int16(POLLOUT), revents: 0)
            guard poll(&descriptor, 1, 0) == 1 else { return }
            self.isConnected = true
        }
        self.read()
        while !self.transcript.isOver, self.step < self.script.steps.count {
            guard self.perform(self.script.steps[self.step]) else { return }
            (self.step, self.sent, self.nextDrip) = (self.step + 1, 0, nil)
        }
        if !self.transcript.isOver { self.close() }
    }

    /// - Returns: whether the step is done.
    private mutating func perform(_ step: BotScript.Step) -> Bool {
        switch step {
        case .send(let text): return self.send(Array(text.utf8)[self.sent...], atMost: .max)
        case .drip(let text, let pause):
            guard ContinuousClock.now >= self.nextDrip ?? .now + pause else {
                if self.nextDrip == nil { self.nextDrip = .now + pause }
                return false
            }
            self.nextDrip = .now + pause
            return self.send(Array(text.utf8)[self.sent...], atMost: 1)
        case .reply: return self.take { $0.dropFirst(3).first != UInt8(ascii: "-") }
        case .line(let start): return self.take { $0.starts(with: start.utf8) }
        case .finishSending:
            shutdown(self.socket, Int32(SHUT_WR))
            return true
        case .reset:
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(self.socket, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
            self.close()
            return true
        case .end: return false
        }
    }

    private mutating func send(_ bytes: ArraySlice<UInt8>, atMost limit: Int) -> Bool {
        guard !bytes.isEmpty else { return true }
        let count = bytes.prefix(limit).withUnsafeBytes {
            Glibc.send(self.socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count < 0, errno != EAGAIN, errno != EINTR { self.end(.reset) }
        self.sent += max(count, 0)
        return count == bytes.count
    }

    /// Goes on behind the first new line for which it is so.
    private mutating func take(where isWanted: (ArraySlice<UInt8>) -> Bool) -> Bool {
        while let end = self.transcript.bytes[self.readTo...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = self.transcript.bytes[self.readTo..<end]
            self.readTo = end + 1
            if isWanted(line) { return true }
        }
        return self.hasSeenEnd
    }

    private mutating func read() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !self.hasSeenEnd {
            let count = recv(self.socket, &buffer, buffer.count, 0)
            if count > 0 {
                self.transcript.bytes += buffer[..<count]
            } else if count == 0 {
                self.hasSeenEnd = true
                if !self.script.ignoresEnd { self.end(.closed) }
            } else {
                if errno != EAGAIN, errno != EINTR { self.end(.reset) }
                return
            }
        }
    }

    private mutating func end(_ end: SMTPClient.End) {
        self.hasSeenEnd = true
        self.transcript.end = end
        self.close()
    }

    mutating func fail(_ reason: String) {
        self.transcript.error = "\(reason); step \(self.step), read '\(self.transcript.text)'"
        self.close()
    }

    private mutating func close() {
        if self.socket >= 0 { Glibc.close(self.socket) }
        self.socket = -1
        self.transcript.isOver = true
    }
}
