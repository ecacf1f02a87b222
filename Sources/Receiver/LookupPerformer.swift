import Mail
package import NIOCore
package import Resolver
package import Rules

/// Performs what an evaluation asks for.
package struct LookupPerformer: Sendable {
    private let names: any NameService
    private let policies: PolicyClient
    /// By the text in the configuration.
    private let services: [String: PolicyService]
    private let addresses: @Sendable (Lookup) async -> AddressFinding
    private let judge: @Sendable (Lookup) async -> Judgement

    /// - Parameters:
    ///   - addresses: answers ``Lookup/recipient(_:)`` and ``Lookup/verification(_:_:)``.
    ///   - judge: answers ``Lookup/spf(_:)`` and ``Lookup/greylist(_:)``.
    package init(
        names: any NameService, policies: PolicyClient, services: [String: PolicyService] = [:],
        addresses: @escaping @Sendable (Lookup) async -> AddressFinding = { _ in .unverified },
        judge: @escaping @Sendable (Lookup) async -> Judgement = { _ in .notAsked }
    ) {
        self.names = names
        self.policies = policies
        self.services = services
        self.addresses = addresses
        self.judge = judge
    }

    /// The answer, if it costs no waiting.
    package func known(_ lookup: Lookup) -> LookupAnswer? {
        guard case .names(let name, let type) = lookup else { return nil }
        guard let question = Self.question(name, type) else { return .names(.none) }
        return self.names.known(question).map { .names(NameAnswer($0, type)) }
    }

    package func answer(_ lookup: Lookup, on loop: any EventLoop) async -> LookupAnswer {
        if let answer = self.known(lookup) { return answer }
        switch lookup {
        case .names(let name, let type):
            guard let question = Self.question(name, type) else { return .names(.none) }
            do throws(DNSFailure) {
                return .names(NameAnswer(.success(try await self.names.resolve(question, on: loop)), type))
            } catch { return .names(NameAnswer(.failure(error), type)) }
        case .policy(let service, let attributes): return await self.ask(service, attributes)
        case .recipient, .verification: return .address(await self.addresses(lookup))
        case .spf, .greylist: return .judged(await self.judge(lookup))
        case .pause(let duration, _):
            try? await Task.sleep(for: duration)  // Cancelled with the connection; nobody waits then.
            return .passed
        }
    }

    private func ask(_ name: String, _ attributes: [PolicyAttribute]) async -> LookupAnswer {
        guard let service = self.services[name] else {
            return .noAction("no such service", default: PolicyService.usualDefaultAction)
        }
        switch await self.policies.ask(service, attributes.map { ($0.name, $0.value) }) {
        case .action(let action): return .action(action)
        case .unavailable(let why): return .noAction(why, default: service.defaultAction)
        }
    }

    private static func question(_ name: String, _ type: Lookup.NameType) -> DNSQuestion? {
        DNSName(name).map { DNSQuestion($0, type.dnsType) }
    }
}

extension AddressFinding {
    /// Nobody here asks about addresses.
    package static let unverified = AddressFinding.undecided(
        Reply(450, .init(1, 1), "address cannot be verified now"), why: "not verified here")
}

extension Judgement {
    /// Nobody here judges.
    package static let notAsked = Judgement.passed("not asked here")
}

extension Lookup.NameType {
    fileprivate var dnsType: DNSType {
        switch self {
        case .a: .a
        case .aaaa: .aaaa
        case .mx: .mx
        case .ns: .ns
        case .ptr: .ptr
        case .txt: .txt
        }
    }
}

extension NameAnswer {
    fileprivate init(_ result: DNSResult, _ type: Lookup.NameType) {
        switch result {
        case .success(let answer): self.init(answer.records, type)
        case .failure(let failure):
            // A name that does not exist is known not to; everything else is not known.
            if failure.negative != nil || failure == .invalidName {
                self = .none
            } else {
                self = .failed(failure.summary)
            }
        }
    }

    private init(_ records: [DNSRecord], _ type: Lookup.NameType) {
        switch type {
        case .a, .aaaa: self = .addresses(records.compactMap(\.address))
        case .mx:
            let exchanges = records.compactMap(\.exchange).enumerated()
                .sorted { ($0.element.preference, $0.offset) < ($1.element.preference, $1.offset) }
            self = .hosts(exchanges.map(\.element.host))
        case .ns, .ptr: self = .hosts(records.compactMap(\.host))
        case .txt: self = .texts(records.compactMap(\.text))
        }
    }
}

extension DNSRecord {
    /// Not by its octets: an IPv4-mapped address in an AAAA record is one of IPv6.
    var address: IPAddress? {
        switch self {
        case .a(let value): .v4(value)
        case .aaaa(let high, let low): .v6(high: high, low: low)
        case .mx, .txt, .ptr, .ns, .cname, .soa, .tlsa, .other: nil
        }
    }

    var exchange: (preference: UInt16, host: String)? {
        guard case .mx(let preference, let host) = self else { return nil }
        return (preference, host.hostText)
    }

    var host: String? {
        switch self {
        case .ptr(let name), .ns(let name): name.hostText
        case .a, .aaaa, .mx, .txt, .cname, .soa, .tlsa, .other: nil
        }
    }

    fileprivate var text: String? {
        guard case .txt(let strings) = self else { return nil }
        return String(decoding: strings.joined(), as: UTF8.self)
    }
}

extension DNSName {
    /// Lower case; empty for the root.
    fileprivate var hostText: String { self == .root ? "" : self.text.asciiLowercased }
}

extension DNSFailure {
    /// For reasons and the log.
    fileprivate var summary: String {
        switch self {
        case .noSuchName: "no such name"
        case .noData: "no such record"
        case .serverFailure(let why): "server failure: \(why)"
        case .timeout: "time-out"
        case .bogus(let why): "bogus: \(why)"
        case .invalidName: "invalid name"
        case .tooManyQueries: "too many queries"
        case .closed, .cancelled: "given up"
        }
    }
}
