package import HTTPS
package import Mail
package import NIOCore
package import Resolver

/// The addresses of a server, from DNS and never from the system's resolver.
package struct ServerAddresses: Sendable {
    private let names: any NameService
    private let allowsLoopback: Bool

    package init(names: any NameService, allowsLoopback: Bool = false) {
        self.names = names
        self.allowsLoopback = allowsLoopback
    }

    /// IPv6 and IPv4 by turns, so that a host with many of one kind is tried with the other too; empty if there are none,
    /// or DNS fails. It never fails.
    ///
    /// Whoever has a domain says where we connect to. What only this host and its link can reach is left out; addresses of
    /// private networks are not, since nothing tells which of them are somebody's mail servers. All that can be done
    /// there is a GET or POST over TLS with a path that is given.
    package func find(_ host: String, on loop: any EventLoop) -> EventLoopFuture<[IPAddress]> {
        let lookups = [DNSType.aaaa, .a].map { self.lookUp(host, $0, on: loop) }
        return EventLoopFuture.whenAllSucceed(lookups, on: loop).map { found in
            (0..<(found.map(\.count).max() ?? 0)).flatMap { place in
                found.compactMap { $0.dropFirst(place).first }
            }
            .filter { self.allowsLoopback || !$0.isOfThisHostOrLink }
        }
    }

    private func lookUp(_ host: String, _ type: DNSType, on loop: any EventLoop) -> EventLoopFuture<[IPAddress]> {
        let promise = loop.makePromise(of: [IPAddress].self)
        guard let name = DNSName(host) else {
            promise.succeed([])
            return promise.futureResult
        }
        self.names.resolve(DNSQuestion(name, type), on: loop) { result in
            switch result {
            case .success(let answer): promise.succeed(answer.records.compactMap { IPAddress($0) })
            case .failure: promise.succeed([])
            }
        }
        return promise.futureResult
    }
}

extension IPAddress {
    fileprivate init?(_ record: DNSRecord) {
        switch record {
        case .a(let value): self = .v4(value)
        case .aaaa(let high, let low):
            // An IPv4 address in IPv6's clothes is the IPv4 address.
            self = high == 0 && low >> 32 == 0xFFFF ? .v4(UInt32(truncatingIfNeeded: low)) : .v6(high: high, low: low)
        case .mx, .txt, .ptr, .ns, .cname, .soa, .tlsa, .other: return nil
        }
    }

    /// Unspecified, loopback, link-local, multicast and reserved (RFC 6890).
    var isOfThisHostOrLink: Bool {
        switch self {
        case .v4(let value):
            value >> 24 == 0 || value >> 24 == 127 || value >> 16 == 0xA9FE || value >> 29 == 7
        case .v6(let high, let low):
            // ::, ::1 and IPv4-compatible addresses; fe80::/10; ff00::/8.
            high == 0 && low >> 32 == 0 || high >> 54 == 0x3FA || high >> 56 == 0xFF
        }
    }
}

/// Gets the policy of a domain from `mta-sts.` and the domain (RFC 8461 §3.3).
package struct STSFetcher: Sendable {
    private let client: HTTPSClient
    private let addresses: ServerAddresses
    private let timeout: Duration
    private let port: Int

    package init(client: HTTPSClient, names: any NameService, options: STSOptions = STSOptions()) {
        self.client = client
        self.addresses = ServerAddresses(names: names, allowsLoopback: options.allowLoopback)
        self.timeout = options.timeout
        self.port = options.port
    }

    /// - Returns: fails with an ``STSFault`` and nothing else, and within the timeout.
    package func fetch(_ domain: String, on loop: any EventLoop) -> EventLoopFuture<STSPolicy> {
        let promise = loop.makePromise(of: STSPolicy.self)
        let start = NIODeadline.now()
        // DNS may be silent too. The request keeps its own time.
        let timer = loop.scheduleTask(in: TimeAmount(self.timeout)) {
            promise.fail(STSFault(.stsPolicyFetchError, "\(HTTPSError.timeout)"))
        }
        let host = "mta-sts.\(domain)"
        self.addresses.find(host, on: loop).flatMap { addresses in
            var request = HTTPSRequest(
                .get, host: host, path: "/.well-known/mta-sts.txt", addresses: addresses.map(\.description),
                timeout: self.timeout - Duration(NIODeadline.now() - start))
            request.port = self.port
            request.limitBytes = STSPolicy.longestBody
            return self.client.send(request, on: loop)
        }
        .whenComplete { result in
            timer.cancel()
            promise.completeWith(Self.policy(from: result).mapError { $0 })
        }
        return promise.futureResult
    }

    private static func policy(from result: Result<HTTPSResponse, any Error>) -> Result<STSPolicy, STSFault> {
        switch result {
        case .success(let response):
            Result { () throws(STSFault) in try Self.policy(in: response) }
        case .failure(HTTPSError.untrusted(let why)):
            .failure(STSFault(.stsWebPKIInvalid, "\(HTTPSError.untrusted(why))"))
        case .failure(let error): .failure(STSFault(.stsPolicyFetchError, "\(error)"))
        }
    }

    private static func policy(in response: HTTPSResponse) throws(STSFault) -> STSPolicy {
        guard response.status == 200 else {
            throw STSFault(.stsPolicyFetchError, "\(HTTPSError.status(response.status))")
        }
        guard response.mediaType == "text/plain" else { throw .invalid("the media type is not text/plain") }
        return try STSPolicy(published: response.body)
    }
}
