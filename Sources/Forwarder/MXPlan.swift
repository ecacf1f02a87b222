package import Mail

/// Which servers take a domain's mail, for a host that may be one of them (SEMANTICS §7).
///
/// Hosts that are as preferred as we are, or less, are no way towards the primary and are left out, so that two
/// backups do not play ball with a message.
package struct MXPlan: Sendable {
    /// What became of looking up the addresses of a host.
    package enum Addresses: Sendable, Equatable {
        case found([IPAddress])
        /// There is no such host, or it has no address.
        case none
        /// It is not known now.
        case unknown(String)
    }

    package struct Host: Sendable, Equatable {
        package let preference: Int
        package let name: String
        package let addresses: Addresses
        package let security: HostSecurity

        package init(preference: Int, name: String, addresses: Addresses, security: HostSecurity = HostSecurity()) {
            self.preference = preference
            self.name = name
            self.addresses = addresses
            self.security = security
        }
    }

    package enum Result: Sendable, Equatable {
        /// In the order in which they are to be tried.
        case servers([ServerAddress])
        case temporary(Reply)
        case permanent(Reply)
    }

    let domain: String
    let port: Int
    let identity: OwnIdentity
    private let way: ServerOrigin

    /// Of more addresses the first are tried.
    private static let maximumServers = 20

    /// - Parameter way: what all servers have in common.
    package init(domain: String, port: Int, identity: OwnIdentity, way: ServerOrigin = ServerOrigin()) {
        self.domain = domain
        self.port = port
        self.identity = identity
        self.way = way
    }

    /// - Parameter hosts: in any order; those of the same preference are taken in the order given here.
    package func servers(_ hosts: [Host]) -> Result {
        let sorted = hosts.enumerated().sorted {
            ($0.element.preference, $0.offset) < ($1.element.preference, $1.offset)
        }.map(\.element)
        let own = sorted.first(where: self.isOwn)?.preference
        let better = own.map { limit in sorted.filter { $0.preference < limit } } ?? sorted
        let servers = better.flatMap(self.servers(of:))
        if !servers.isEmpty { return .servers(Array(servers.prefix(Self.maximumServers))) }
        if own != nil {
            // A better host that has no address now is the primary whose DNS is broken: wait for it.
            return better.isEmpty
                ? .permanent(Reply(554, .init(4, 6), "mail for \(self.domain) loops back to myself"))
                : .temporary(Reply(451, .init(4, 4), "unable to find primary relay for \(self.domain)"))
        }
        for host in sorted {
            if case .unknown(let why) = host.addresses {
                return .temporary(Reply(451, .init(4, 3), "Host lookup error for \(host.name): \(why)"))
            }
        }
        return .permanent(Reply(550, .init(4, 4), "Host not found for \(self.domain)"))
    }

    private func isOwn(_ host: Host) -> Bool {
        guard case .found(let addresses) = host.addresses else { return host.name == self.identity.hostname }
        return host.name == self.identity.hostname || addresses.contains(where: self.identity.owns)
    }

    private func servers(of host: Host) -> [ServerAddress] {
        guard case .found(let addresses) = host.addresses else { return [] }
        return addresses.filter(self.identity.mayLead(to:)).map { address in
            var origin = self.way.leading(to: host.security, at: address)
            origin.preference = host.preference
            return ServerAddress(name: host.name, address: address, port: self.port, origin: origin)
        }
    }
}

/// A server to connect to.
package struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The host's name; the address where there is none.
    package let name: String
    package let address: IPAddress
    package let port: Int
    package let origin: ServerOrigin

    package init(name: String, address: IPAddress, port: Int, origin: ServerOrigin = ServerOrigin()) {
        self.name = name
        self.address = address
        self.port = port
        self.origin = origin
    }

    /// `mail.example.com[192.0.2.1]:25`
    package var description: String { "\(self.name)[\(self.address)]:\(self.port)" }
}

/// Who we are to others, so that mail is not sent in a circle.
package struct OwnIdentity: Sendable {
    /// What we call ourselves, in lower case.
    package let hostname: String
    /// Addresses of this machine, and those under which it is seen from outside.
    private let addresses: Set<IPAddress>
    private let listeners: Set<Endpoint>
    private let allowsLoopback: Bool

    package init(hostname: String, addresses: [IPAddress], listeners: [Endpoint], allowsLoopback: Bool) {
        self.hostname = hostname.asciiLowercased
        self.addresses = Set(addresses)
        self.listeners = Set(listeners)
        self.allowsLoopback = allowsLoopback
    }

    package func owns(_ address: IPAddress) -> Bool { self.addresses.contains(address) }

    /// Whether DNS may send us there: not to the loopback, which is everybody's own.
    func mayLead(to address: IPAddress) -> Bool {
        self.allowsLoopback || !(address.isLoopback || address.isUnspecified)
    }

    /// Whether a connection there would end in our own listener.
    package func listens(at address: IPAddress, port: Int) -> Bool {
        self.listeners.contains { listener in
            listener.port == port
                && (listener.address == address
                    || listener.address.isUnspecified && (self.owns(address) || address.isLoopback))
        }
    }
}
