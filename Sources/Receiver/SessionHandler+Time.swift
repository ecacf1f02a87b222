import Glibc
import NIOCore
import SMTP

extension SessionHandler {
    /// How long the end of a refused connection is waited for.
    private static let lingerNanoseconds: UInt64 = 5_000_000_000

    static var now: UInt64 { NIODeadline.now().uptimeNanoseconds }

    func keepTime(isNew: Bool) {
        let now = Self.now
        guard !self.isClosing else { return self.beginLinger(at: now) }
        self.deadline.expect(self.isPaused ? .nothing : self.expectation, isNew: isNew, at: now)
        self.startTimer()
    }

    /// Runs beside what the client has to send by.
    func keepOutputTime(isWritable: Bool) {
        isWritable ? self.outputDeadline.resume() : self.outputDeadline.stop(at: Self.now)
        if !isWritable, !self.isClosing { self.startTimer() }
    }

    /// Begins once: nothing that still happens at the end prolongs it.
    private func beginLinger(at now: UInt64) {
        guard !self.isLingering else { return }
        self.isLingering = true
        self.startTimer(at: now + Self.lingerNanoseconds)
    }

    private func startTimer() {
        let deadlines = [self.deadline.deadline, self.outputDeadline.deadline].compactMap { $0 }
        guard let next = deadlines.min(), self.timer == nil || next < self.timerDeadline else { return }
        self.startTimer(at: next)
    }

    /// There is one timer, which is moved only when a deadline comes before it: else it looks again when it fires.
    private func startTimer(at deadline: UInt64) {
        self.timer?.cancel()
        self.timerDeadline = deadline
        let handler = NIOLoopBound(self, eventLoop: self.loop)
        self.timer = self.loop.scheduleTask(deadline: .uptimeNanoseconds(deadline)) { handler.value.timerFired() }
    }

    private func timerFired() {
        self.timer = nil
        guard !self.isClosing else { return self.abandon() }
        let now = Self.now
        if let deadline = self.outputDeadline.deadline, deadline <= now {
            self.lastCommand = "TIMEOUT"
            self.handle(.outputTimedOut)
            self.abandon()
        } else if let deadline = self.deadline.deadline, deadline <= now {
            self.lastCommand = "TIMEOUT"
            self.handle(.timedOut)
            self.advance()
        } else {
            self.startTimer()
        }
    }

    /// Closes at once. What the client has not read goes with a reset: the kernel would keep megabytes of it for
    /// minutes.
    private func abandon() {
        guard let context else { return }
        if !context.channel.isWritable, let socket = context.channel as? any SocketOptionProvider {
            // If it fails the connection ends all the same, only later.
            _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }

    /// A client that speaks a first line and then nothing more would keep its place for minutes.
    func hurry() {
        guard let connection, connection.place.standing == .unknown, !self.isClosing else { return }
        let limits = self.generation.limits.underStress
        self.deadline = InputDeadline(limits)
        self.outputDeadline.hurry(limits, at: Self.now)
        self.keepTime(isNew: true)
    }
}
