import Mail
package import NIOCore
package import Resolver
package import TLS

/// What TLSA records say of a server.
package enum AssociationFinding: Hashable, Sendable {
    /// Nothing that is proven.
    case none
    /// Those that its certificate must match one of. The base is the name that they stand under.
    case usable([TLSAssociation], base: String, records: [TLSAssociation])
    /// There are proven records, and none of them can be checked against: TLS is needed, with anybody (RFC 7672 §2.2).
    case unusable(base: String, records: [TLSAssociation])
    /// It is not known now, and the server must not be used until it is (RFC 7672 §2.1.2).
    case failed(base: String, isBogus: Bool, String)
}

/// Finds the TLSA records of servers (RFC 7672 §2.2).
package struct AssociationFinder: Sendable {
    private let names: any NameService
    private let loop: any EventLoop

    package init(names: any NameService, loop: any EventLoop) {
        self.names = names
        self.loop = loop
    }

    /// Never fails.
    package func find(for server: ServerAddress) -> EventLoopFuture<AssociationFinding> {
        if case .address? = server.origin.hop?.host { return self.loop.makeSucceededFuture(.none) }
        let (name, port) = (server.name.asciiLowercased, server.port)
        guard server.origin.isAddressSecure else {
            return server.origin.canonicalName == nil
                ? self.loop.makeSucceededFuture(.none) : self.findBehindInsecureAlias(name, port)
        }
        // RFC 7672 §2.2.2: under what the alias stands for, then under the alias.
        guard let canonical = server.origin.canonicalName else { return self.lookUp(name, port) }
        return self.lookUp(canonical, port).flatMap { finding in
            finding == .none ? self.lookUp(name, port) : self.loop.makeSucceededFuture(finding)
        }
    }

    /// An address that is not proven may yet be reached through an alias that is: its owner then speaks for the server.
    /// RFC 7672 §2.2.2 leaves this to the client; Postfix asks, and so do we.
    private func findBehindInsecureAlias(_ name: String, _ port: Int) -> EventLoopFuture<AssociationFinding> {
        self.ask(name, .cname).flatMap { result in
            switch result {
            case .success(let answer) where answer.security == .secure: return self.lookUp(name, port)
            case .success: return self.loop.makeSucceededFuture(.none)
            // It was an alias a moment ago.
            case .failure(let failure): return self.loop.makeSucceededFuture(Self.failed(name, failure))
            }
        }
    }

    private func lookUp(_ base: String, _ port: Int) -> EventLoopFuture<AssociationFinding> {
        self.ask("_\(port)._tcp.\(base)", .tlsa).map { result in
            switch result {
            case .success(let answer):
                guard answer.security == .secure else { return .none }
                return Self.judge(answer.records, base)
            // Whether that there are none is proven does not matter: the addresses are, and a zone that is signed
            // cannot lead to an unsigned answer without saying so (RFC 7672 §2.1.1).
            case .failure(let failure) where failure.negative != nil: return .none
            // Too long with what is put in front: nobody can have records there.
            case .failure(.invalidName): return .none
            case .failure(let failure): return Self.failed(base, failure)
            }
        }
    }

    private static func failed(_ base: String, _ failure: DNSFailure) -> AssociationFinding {
        .failed(base: base, isBogus: failure.security == .bogus, "\(failure)")
    }

    private static func judge(_ records: [DNSRecord], _ base: String) -> AssociationFinding {
        let all = records.compactMap { record -> TLSAssociation? in
            guard case .tlsa(let data) = record else { return nil }
            return TLSAssociation(
                usage: data.usage, selector: data.selector, matching: data.matching, data: data.data)
        }
        let usable = Self.strongest(of: all.filter { Self.isForMail($0) && $0.isUsable })
        return usable.isEmpty ? .unusable(base: base, records: all) : .usable(usable, base: base, records: all)
    }

    /// RFC 7672 §3.1.3: usages 0 and 1 name authorities of the web, which mail does not agree on.
    private static func isForMail(_ association: TLSAssociation) -> Bool {
        association.usage == 2 || association.usage == 3
    }

    /// Of digests of the same thing only the strongest count (RFC 7671 §9); whole certificates and keys always do.
    private static func strongest(of associations: [TLSAssociation]) -> [TLSAssociation] {
        associations.filter { one in
            one.matching == 0
                || !associations.contains {
                    $0.usage == one.usage && $0.selector == one.selector && $0.matching > one.matching
                }
        }
    }

    private func ask(_ name: String, _ type: DNSType) -> EventLoopFuture<DNSResult> {
        guard let question = try? DNSQuestion(name, type) else {
            return self.loop.makeSucceededFuture(.failure(.invalidName))
        }
        let promise = self.loop.makePromise(of: DNSResult.self)
        self.names.resolve(question, on: self.loop) { promise.succeed($0) }
        return promise.futureResult
    }
}
