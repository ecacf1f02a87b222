package import Mail
import Synchronization

/// How much each client has open and has sent lately. A client is a prefix of addresses.
///
/// Shared by the screener, which admits connections, and the receiver, which counts messages. Rates are counted by the
/// minute: a window begins with the first event and ends a minute later (SEMANTICS §13).
package final class ClientLimits: Sendable {
    package enum Refusal: Error, Sendable { case allConnections, clientConnections, connectionRate }

    package enum Rate: Int, Sendable { case connections, messages, recipients }

    /// Which places a connection takes: those of clients that are known to be good are not for others, so that a
    /// flood turns none of them away.
    package enum Standing: Int, Sendable { case known, unknown }

    fileprivate struct Client {
        var open = 0
        /// A connection that is still open, or was at the same time as one, has failed a test of the screener.
        var hasFailed = false
        /// Nanoseconds of the monotonic clock; 0 if nothing was counted.
        var windowStart: UInt64 = 0
        var counts: InlineArray<3, Int> = .init(repeating: 0)
    }

    fileprivate struct Shared {
        var open: InlineArray<2, Int> = .init(repeating: 0)
        var clients: [IPNetwork: Client] = [:]
        /// When those that were idle were forgotten last.
        var forgotten: UInt64 = 0
    }

    private let shared = Mutex(Shared())
    fileprivate static let windowNanoseconds: UInt64 = 60_000_000_000
    /// Clients remembered after their last connection, for the rates.
    private static let rememberedClients = 100_000

    package init() {}

    /// The right to have a connection open. It is given back when the last reference goes.
    package final class Place: Sendable {
        private let limits: ClientLimits
        private let client: IPNetwork
        package let standing: Standing

        fileprivate init(_ limits: ClientLimits, _ client: IPNetwork, _ standing: Standing) {
            self.limits = limits
            self.client = client
            self.standing = standing
        }

        deinit { self.limits.release(self.client, self.standing) }

        /// Remembers that the client failed a test, as long as it has any connection open.
        package func noteFailure() {
            self.limits.shared.withLock { $0.clients[self.client]?.hasFailed = true }
        }

        /// Whether another connection of the client has failed while this one was open.
        package var clientHasFailed: Bool {
            self.limits.shared.withLock { $0.clients[self.client]?.hasFailed ?? false }
        }
    }

    package var openConnections: Int { self.shared.withLock { $0.open[0] + $0.open[1] } }

    package func openConnections(_ standing: Standing) -> Int { self.shared.withLock { $0.open[standing.rawValue] } }

    /// Clients that are connected, or whose rates are remembered.
    package var knownClients: Int { self.shared.withLock { $0.clients.count } }

    /// - Parameters:
    ///   - capacity: connections that clients of this standing may have open, all together.
    ///   - isExempt: only the capacity counts for this client.
    ///   - now: nanoseconds of the monotonic clock.
    package func admit(
        _ address: IPAddress, as standing: Standing, capacity: Int, limits: SessionLimits, isExempt: Bool, now: UInt64
    ) throws(Refusal) -> Place {
        let network = limits.client(address)
        let refusal = self.shared.withLock { shared -> Refusal? in
            shared.forgetIdle(now: now)
            guard shared.open[standing.rawValue] < capacity else { return .allConnections }
            var client = shared.clients[network] ?? Client()
            if limits.connectionRatePerClient > 0 { client.count(.connections, now) }
            defer { shared.clients[network] = client }
            if !isExempt {
                if limits.connectionsPerClient > 0, client.open >= limits.connectionsPerClient {
                    return .clientConnections
                }
                if client.exceeds(.connections, limits.connectionRatePerClient) { return .connectionRate }
            }
            client.open += 1
            shared.open[standing.rawValue] += 1
            return nil
        }
        if let refusal { throw refusal }
        return Place(self, network, standing)
    }

    /// Counts a message or recipient.
    ///
    /// - Returns: whether the client is within its rate.
    package func count(_ rate: Rate, _ address: IPAddress, limits: SessionLimits, now: UInt64) -> Bool {
        let limit = rate == .messages ? limits.messageRatePerClient : limits.recipientRatePerClient
        guard limit > 0 else { return true }
        let network = limits.client(address)
        return self.shared.withLock { shared in
            var client = shared.clients[network] ?? Client()
            client.count(rate, now)
            shared.clients[network] = client
            return !client.exceeds(rate, limit)
        }
    }

    private func release(_ network: IPNetwork, _ standing: Standing) {
        self.shared.withLock { shared in
            shared.open[standing.rawValue] -= 1
            guard var client = shared.clients[network] else { return }
            client.open -= 1
            if client.open == 0 { client.hasFailed = false }
            // Rates must outlive the connection, but not without bound.
            let isForgettable =
                client.open == 0 && (client.windowStart == 0 || shared.clients.count > Self.rememberedClients)
            shared.clients[network] = isForgettable ? nil : client
            shared.shrink()
        }
    }
}

extension SessionLimits {
    /// The network that stands for a client.
    package func client(_ address: IPAddress) -> IPNetwork {
        address.network(prefixLength: address.width == 32 ? self.clientPrefixIPv4 : self.clientPrefixIPv6)
    }
}

extension ClientLimits.Shared {
    /// A dictionary keeps the room it once had: after a flood, for tens of thousands.
    fileprivate mutating func shrink() {
        guard self.clients.capacity > 1024, self.clients.count * 8 < self.clients.capacity else { return }
        self.clients = Dictionary(uniqueKeysWithValues: self.clients.map { ($0.key, $0.value) })
    }

    /// Forgets clients that have nothing open and whose minute is over, once in a minute.
    fileprivate mutating func forgetIdle(now: UInt64) {
        guard now &- self.forgotten > ClientLimits.windowNanoseconds else { return }
        self.forgotten = now
        self.clients = self.clients.filter { $0.value.open > 0 || !$0.value.isOver(now) }
    }
}

extension ClientLimits.Client {
    fileprivate func isOver(_ now: UInt64) -> Bool { now &- self.windowStart > ClientLimits.windowNanoseconds }

    fileprivate mutating func count(_ rate: ClientLimits.Rate, _ now: UInt64) {
        if self.isOver(now) {
            self.windowStart = now
            self.counts = .init(repeating: 0)
        }
        self.counts[rate.rawValue] += 1
    }

    fileprivate func exceeds(_ rate: ClientLimits.Rate, _ limit: Int) -> Bool {
        limit > 0 && self.counts[rate.rawValue] > limit
    }
}
