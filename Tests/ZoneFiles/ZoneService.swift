package import NIOCore
package import Resolver
import Synchronization

/// Answers from zone files, at once and without a network: the names of a test.
///
/// It is everything there is: a name below none of its zones does not exist.
///
/// ```swift
/// let names = try ZoneService("$ORIGIN example.com.\n@ SOA ns admin 1 1h 1h 1d 60\n@ MX 10 mx\nmx A 192.0.2.1")
/// try names.fail("mx.example.com", .aaaa, with: .timeout)
/// ```
package final class ZoneService: NameService {
    /// What can be wrong with a name.
    package enum Fault: Sendable {
        case serverFailure
        /// Fails with ``DNSFailure/timeout``, at once.
        case timeout
        case bogus
        /// Is never answered.
        case silence
    }

    fileprivate struct State {
        var zones: [DNSName: Zone] = [:]
        var faults: [DNSName: [DNSType?: Fault]] = [:]
        var questions: [DNSQuestion] = []
    }

    private let state = Mutex(State())

    package init(_ zones: String...) throws(ZoneFileError) {
        for zone in zones { try self.set(zone) }
    }

    /// Adds the zone of a master file, or replaces it. Its SOA record says which it is.
    package func set(_ text: String, security: DNSSecurity = .insecure) throws(ZoneFileError) {
        let zone = try Zone(ZoneFile(text), security: security)
        self.state.withLock { $0.zones[zone.apex] = zone }
    }

    package func removeZone(_ apex: String) {
        self.state.withLock { state in
            if let apex = DNSName(apex) { state.zones[apex] = nil }
        }
    }

    /// Makes questions for a name fail, also when a CNAME leads there.
    ///
    /// - Parameters:
    ///   - type: nil for all.
    ///   - fault: nil for none any more.
    /// - Throws: ``DNSFailure/invalidName``.
    package func fail(_ name: String, _ type: DNSType? = nil, with fault: Fault?) throws(DNSFailure) {
        guard let name = DNSName(name) else { throw .invalidName }
        self.state.withLock { $0.faults[name, default: [:]][type] = fault }
    }

    /// Everything that was asked, in order.
    package var questions: [DNSQuestion] { self.state.withLock { $0.questions } }

    @discardableResult
    package func resolve(
        _ question: DNSQuestion, on loop: any EventLoop, _ completion: @escaping DNSQuery.Completion
    ) -> DNSQuery {
        let query = DNSQuery(on: loop, completion)
        let result = self.state.withLock { state in
            state.questions.append(question)
            return state.result(for: question)
        }
        if let result { query.deliver(result) }
        return query
    }
}

extension ZoneService.State {
    private static let maximumAliases = 8

    /// Nil for silence.
    fileprivate func result(for question: DNSQuestion) -> DNSResult? {
        var name = question.name
        var chainTTL: Duration?
        var security = DNSSecurity.secure
        for _ in 0...Self.maximumAliases {
            if let fault = self.faults[name].flatMap({ $0[question.type] ?? $0[nil] }) { return fault.result }
            guard let zone = self.zone(of: name) else {
                return .failure(.noSuchName(DNSNegative(ttl: .zero, canonicalName: name, security: .insecure)))
            }
            if zone.security == .insecure { security = .insecure }
            let negative = DNSNegative(
                ttl: min(zone.negativeTTL, chainTTL ?? zone.negativeTTL), canonicalName: name, security: security)
            switch zone.answer(DNSQuestion(name, question.type)) {
            case .records(let records):
                let ttl = records.map(\.ttl).reduce(chainTTL ?? records[0].ttl, min)
                return .success(
                    DNSAnswer(records: records.map(\.data), ttl: ttl, canonicalName: name, security: security))
            case .alias(let target, let ttl):
                chainTTL = min(chainTTL ?? ttl, ttl)
                name = target
            case .noData: return .failure(.noData(negative))
            case .noSuchName: return .failure(.noSuchName(negative))
            }
        }
        return .failure(.serverFailure("more than \(Self.maximumAliases) aliases"))
    }

    private func zone(of name: DNSName) -> Zone? {
        self.zones.values.filter { $0.contains(name) }.max { $0.apex.text.utf8.count < $1.apex.text.utf8.count }
    }
}

extension ZoneService.Fault {
    fileprivate var result: DNSResult? {
        switch self {
        case .serverFailure: .failure(.serverFailure("SERVFAIL"))
        case .timeout: .failure(.timeout)
        case .bogus: .failure(.bogus("marked as bogus"))
        case .silence: nil
        }
    }
}
