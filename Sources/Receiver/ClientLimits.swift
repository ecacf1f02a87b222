package import Mail
package import SMTP
import Synchronization

/// How much each client has open and has sent lately. A client is a prefix of addresses.
///
/// Rates are counted by the minute: a window begins with the first event and ends a minute later (SEMANTICS §13).
package final class ClientLimits: Sendable {
    package enum Refusal: Error, Sendable { case allConnections, clientConnections, connectionRate }

    package enum Rate: Int, Sendable { case connections, messages, recipients }

    fileprivate struct Client {
        var open = 0
        /// Nanoseconds of the monotonic clock; 0 if nothing was counted.
        var windowStart: UInt64 = 0
        var counts = [0, 0, 0]
    }

    fileprivate struct Shared {
        var open = 0
        var clients: [IPNetwork: Client] = [:]
        /// When those that were idle were forgotten last.
        var forgotten: UInt64 = 0
    }

    private let shared = Mutex(Shared())
    fileprivate static let windowNanoseconds: UInt64 = 60_000_000_000
    /// Clients remembered after their last connection, for the rates.
    private static let rememberedClients = 100_000

    package init() {}

    /// The right to have a connection open. It is given back when the permit goes.
    package struct Permit: ~Copyable, Sendable {
        private let limits: ClientLimits
        private let client: IPNetwork

        fileprivate init(_ limits: ClientLimits, _ client: IPNetwork) {
            self.limits = limits
            self.client = client
        }

        deinit { self.limits.release(self.client) }
    }

    package var openConnections: Int { self.shared.withLock { $0.open } }

    /// Clients that are connected, or whose rates are remembered.
    package var knownClients: Int { self.shared.withLock { $0.clients.count } }

    /// - Parameters:
    ///   - isExempt: only the limit on all connections counts for this client.
    ///   - now: nanoseconds of the monotonic clock.
    package func admit(
        _ address: IPAddress, limits: SessionLimits, isExempt: Bool, now: UInt64
    ) throws(Refusal) -> Permit {
        let network = Self.client(address, limits)
        let refusal = self.shared.withLock { shared -> Refusal? in
            shared.forgetIdle(now: now)
            guard shared.open < limits.connections else { return .allConnections }
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
            shared.open += 1
            return nil
        }
        if let refusal { throw refusal }
        return Permit(self, network)
    }

    /// Counts a message or recipient.
    ///
    /// - Returns: whether the client is within its rate.
    package func count(_ rate: Rate, _ address: IPAddress, limits: SessionLimits, now: UInt64) -> Bool {
        let limit = rate == .messages ? limits.messageRatePerClient : limits.recipientRatePerClient
        guard limit > 0 else { return true }
        let network = Self.client(address, limits)
        return self.shared.withLock { shared in
            var client = shared.clients[network] ?? Client()
            client.count(rate, now)
            shared.clients[network] = client
            return !client.exceeds(rate, limit)
        }
    }

    private func release(_ network: IPNetwork) {
        self.shared.withLock { shared in
            shared.open -= 1
            guard var client = shared.clients[network] else { return }
            client.open -= 1
            // Rates must outlive the connection, but not without bound.
            let isForgettable =
                client.open == 0 && (client.windowStart == 0 || shared.clients.count > Self.rememberedClients)
            shared.clients[network] = isForgettable ? nil : client
        }
    }

    private static func client(_ address: IPAddress, _ limits: SessionLimits) -> IPNetwork {
        address.network(prefixLength: address.width == 32 ? limits.clientPrefixIPv4 : limits.clientPrefixIPv6)
    }
}

extension ClientLimits.Shared {
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
            self.counts = [0, 0, 0]
        }
        self.counts[rate.rawValue] += 1
    }

    fileprivate func exceeds(_ rate: ClientLimits.Rate, _ limit: Int) -> Bool {
        limit > 0 && self.counts[rate.rawValue] > limit
    }
}
