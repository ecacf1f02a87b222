import Mail
import SMTP
import Testing

/// Who may have what, with a clock that the test sets.
struct ClientLimitsTests {
    private static let second: UInt64 = 1_000_000_000
    private let clients = ClientLimits()
    private var limits = SessionLimits()
    private let start = 1000 * second

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    /// Whether a connection is admitted that ends at once.
    private func isAdmitted(_ address: String, at now: UInt64) throws -> Bool {
        let address = try self.address(address)
        do {
            _ = try self.clients.admit(
                address, as: .unknown, capacity: 5000, limits: self.limits, isExempt: false, now: now)
            return true
        } catch { return false }
    }

    @Test mutating func `IPv6 clients are counted by their network, IPv4 clients each`() throws {
        self.limits.connectionsPerClient = 1
        var first: ClientLimits.Place? = try self.admit("2001:db8:1:2::1")
        #expect(try !self.isAdmitted("2001:db8:1:2:ffff::9", at: self.start))
        #expect(try self.isAdmitted("2001:db8:1:3::1", at: self.start))
        var second: ClientLimits.Place? = try self.admit("192.0.2.1")
        #expect(try !self.isAdmitted("192.0.2.1", at: self.start))
        #expect(try !self.isAdmitted("::ffff:192.0.2.1", at: self.start))
        #expect(try self.isAdmitted("192.0.2.2", at: self.start))
        #expect(self.clients.openConnections == 2)
        withExtendedLifetime(first) {}
        first = nil
        withExtendedLifetime(second) {}
        second = nil
        #expect(try self.isAdmitted("2001:db8:1:2:ffff::9", at: self.start))
        #expect(try self.isAdmitted("192.0.2.1", at: self.start))
        #expect(self.clients.openConnections == 0)
    }

    private func admit(_ address: String, as standing: ClientLimits.Standing = .unknown) throws -> ClientLimits.Place {
        try self.clients.admit(
            self.address(address), as: standing, capacity: 5000, limits: self.limits, isExempt: false, now: self.start)
    }

    @Test mutating func `other prefixes make other clients`() throws {
        self.limits.connectionsPerClient = 1
        self.limits.clientPrefixIPv4 = 24
        self.limits.clientPrefixIPv6 = 48
        var first: ClientLimits.Place? = try self.admit("192.0.2.1")
        var second: ClientLimits.Place? = try self.admit("2001:db8:1:2::1")
        #expect(try !self.isAdmitted("192.0.2.200", at: self.start))
        #expect(try self.isAdmitted("192.0.3.1", at: self.start))
        #expect(try !self.isAdmitted("2001:db8:1:3::1", at: self.start))
        #expect(try self.isAdmitted("2001:db8:2:2::1", at: self.start))
        withExtendedLifetime(first) {}
        first = nil
        withExtendedLifetime(second) {}
        second = nil
    }

    @Test mutating func `a rate begins anew a minute after its first event`() throws {
        self.limits.connectionRatePerClient = 3
        for _ in 0..<3 { #expect(try self.isAdmitted("192.0.2.1", at: self.start)) }
        #expect(try !self.isAdmitted("192.0.2.1", at: self.start + 59 * Self.second))
        #expect(try self.isAdmitted("192.0.2.1", at: self.start + 61 * Self.second))
        self.limits.messageRatePerClient = 1
        let address = try self.address("192.0.2.7")
        #expect(self.clients.count(.messages, address, limits: self.limits, now: self.start))
        #expect(!self.clients.count(.messages, address, limits: self.limits, now: self.start))
        #expect(self.clients.count(.recipients, address, limits: self.limits, now: self.start), "no limit is set")
        #expect(self.clients.count(.messages, address, limits: self.limits, now: self.start + 61 * Self.second))
    }

    @Test mutating func `clients that are gone are forgotten when their minute is over`() throws {
        self.limits.connectionRatePerClient = 10
        var open: ClientLimits.Place? = try self.admit("192.0.2.1")
        for number in 0..<1000 { #expect(try self.isAdmitted("10.0.\(number / 250).\(number % 250)", at: self.start)) }
        #expect(self.clients.knownClients == 1001)
        #expect(try self.isAdmitted("192.0.2.2", at: self.start + 30 * Self.second))
        #expect(self.clients.knownClients == 1002, "their minute is not over")
        #expect(try self.isAdmitted("192.0.2.3", at: self.start + 62 * Self.second))
        #expect(self.clients.knownClients == 3, "one is connected, two came lately")
        withExtendedLifetime(open) {}
        open = nil
    }

    @Test func `a client is not remembered where no rate is limited`() throws {
        for number in 0..<100 { #expect(try self.isAdmitted("10.0.0.\(number)", at: self.start)) }
        #expect(self.clients.knownClients == 0)
    }

    @Test func `places of known clients are not for others`() throws {
        let address = try self.address("192.0.2.1")
        let unknown = try self.admit("192.0.2.1")
        #expect(throws: ClientLimits.Refusal.allConnections) {
            try self.clients.admit(
                address, as: .unknown, capacity: 1, limits: self.limits, isExempt: true, now: self.start)
        }
        let known = try self.clients.admit(
            address, as: .known, capacity: 1, limits: self.limits, isExempt: false, now: self.start)
        #expect(self.clients.openConnections(.known) == 1 && self.clients.openConnections(.unknown) == 1)
        withExtendedLifetime((unknown, known)) {}
    }

    @Test func `a failure is remembered as long as the client has a connection open`() throws {
        var first: ClientLimits.Place? = try self.admit("2001:db8::1")
        let other = try self.admit("2001:db8:0:1::1")
        first?.noteFailure()
        var second: ClientLimits.Place? = try self.admit("2001:db8::2")
        first = nil
        #expect(second?.clientHasFailed == true)
        #expect(!other.clientHasFailed)
        second = nil
        let third = try self.admit("2001:db8::1")
        #expect(!third.clientHasFailed)
        withExtendedLifetime((first, second)) {}
    }
}
