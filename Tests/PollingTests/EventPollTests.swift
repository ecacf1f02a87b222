import Glibc
import NIOCore
import Polling
import Testing

struct EventPollTests {
    /// What one wait reports.
    private func reports(_ poll: EventPoll, until deadline: NIODeadline?) -> [(number: UInt64, EventPoll.Interest)] {
        var list: [(number: UInt64, EventPoll.Interest)] = []
        poll.wait(until: deadline) { list.append(($0, $1)) }
        return list
    }

    private func pair() throws -> (CInt, CInt) {
        var descriptors: [CInt] = [0, 0]
        try check("socketpair", socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &descriptors))
        return (descriptors[0], descriptors[1])
    }

    @Test func `what was sent is reported once where only edges are wanted, and until it is read elsewhere`() throws {
        let poll = try EventPoll(wakeup: Wakeup())
        let (near, far) = try self.pair()
        defer { for descriptor in [near, far] { close(descriptor) } }
        try poll.add(near, [.readable, .ended, .edges], number: 7)
        #expect(self.reports(poll, until: .now()).isEmpty)
        #expect(write(far, "x", 1) == 1)
        let first = self.reports(poll, until: nil)
        #expect(first.map(\.number) == [7] && first[0].1.contains(.readable))
        #expect(self.reports(poll, until: .now()).isEmpty)
        #expect(write(far, "x", 1) == 1)
        #expect(self.reports(poll, until: nil).count == 1)
        poll.remove(near)
        try poll.add(near, .readable, number: 8)
        for _ in 0..<2 { #expect(self.reports(poll, until: nil).map(\.number) == [8]) }
    }

    @Test func `an end is reported`() throws {
        let poll = try EventPoll(wakeup: Wakeup())
        let (near, far) = try self.pair()
        defer { close(near) }
        try poll.add(near, [.readable, .ended, .edges], number: 1)
        close(far)
        #expect(self.reports(poll, until: nil).first?.1.contains(.ended) == true)
    }

    @Test func `a wakeup ends the waiting, also one that came before, and is not reported`() throws {
        let wakeup = try Wakeup()
        let poll = try EventPoll(wakeup: wakeup)
        wakeup.signal()
        wakeup.signal()
        #expect(self.reports(poll, until: nil).isEmpty)
        let thread = try JoinableThread("test") { wakeup.signal() }
        #expect(self.reports(poll, until: nil).isEmpty)
        thread.join()
    }

    @Test func `what is refused is thrown`() throws {
        let poll = try EventPoll(wakeup: Wakeup())
        #expect(throws: SystemError(call: "epoll_ctl", code: EBADF)) { try poll.add(-1, .readable, number: 1) }
    }
}
