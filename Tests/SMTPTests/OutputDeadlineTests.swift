import Mail
import SMTP
import Testing

struct OutputDeadlineTests {
    private static func limits(command: Duration, stress: Duration) -> SessionLimits {
        var limits = SessionLimits()
        limits.commandTimeout = command
        limits.stressTimeout = stress
        return limits
    }

    private let limits = Self.limits(command: .microseconds(10), stress: .microseconds(4))

    @Test func `it runs from the first moment at which nothing is taken, until something is again`() {
        var output = OutputDeadline(self.limits)
        #expect(output.deadline == nil)
        output.stop(at: 1000)
        output.stop(at: 5000)
        #expect(output.deadline == 11_000)
        output.resume()
        #expect(output.deadline == nil)
        output.stop(at: 6000)
        #expect(output.deadline == 16_000)
    }

    @Test func `under stress there is less time, also for what has begun, and never more`() {
        var output = OutputDeadline(self.limits)
        output.hurry(self.limits.underStress, at: 0)
        #expect(output.deadline == nil)
        output.stop(at: 1000)
        #expect(output.deadline == 5000)
        var begun = OutputDeadline(self.limits)
        begun.stop(at: 1000)
        begun.hurry(self.limits.underStress, at: 2000)
        #expect(begun.deadline == 6000)
        begun.hurry(self.limits.underStress, at: 3000)
        #expect(begun.deadline == 6000)
    }

    @Test func `a limit without end does not overflow`() {
        var output = OutputDeadline(Self.limits(command: .seconds(Int64.max / 2_000_000), stress: .seconds(1)))
        output.stop(at: 1_000_000)
        #expect(output.deadline.map { $0 > 1_000_000 } == true)
    }
}

extension ServerSessionTests {
    @Test func `whoever reads nothing is left without a word, also while it waits for an answer`() throws {
        let end: [ServerSession.Action] = [
            .unsaid(Reply(421, .init(4, 2), "Timeout exceeded")), .close,
        ]
        var ready = ServerSession(hostname: "mx.example.test")
        #expect(ready.handle(.outputTimedOut) == end)
        #expect(ready.handle(.outputTimedOut) == [])
        var deciding = ServerSession(hostname: "mx.example.test")
        _ = deciding.handle(.command(.ehlo("client.example")))
        #expect(deciding.expectation == .nothing)
        #expect(deciding.handle(.outputTimedOut) == end)
        var handshaking = ServerSession(hostname: "mx.example.test", tls: .offered)
        _ = handshaking.handle(.command(.starttls))
        #expect(handshaking.expectation == .handshake)
        #expect(handshaking.handle(.outputTimedOut) == end)
    }
}
