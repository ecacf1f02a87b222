package import Authentication
import Mail
package import NIOCore
package import Resolver

extension NameSource {
    /// Names from DNS. What DNSSEC proves wrong is as unknown as what no server answers.
    ///
    /// - Parameter loop: where answers come in; the task that asks is resumed elsewhere.
    package init(_ service: any NameService, on loop: any EventLoop) {
        self.init { query in
            guard let question = try? DNSQuestion(query.name, query.kind.type) else { return .noSuchName }
            do throws(DNSFailure) {
                if let known = service.known(question) {
                    return NameReply(query.kind, try known.get().records)
                }
                return NameReply(query.kind, try await service.resolve(question, on: loop).records)
            } catch {
                return NameReply(error)
            }
        }
    }
}

extension NameQuery.Kind {
    fileprivate var type: DNSType {
        switch self {
        case .a: .a
        case .aaaa: .aaaa
        case .mx: .mx
        case .ptr: .ptr
        case .txt: .txt
        }
    }
}

extension NameReply {
    /// Records of other types than the one asked for are left out.
    fileprivate init(_ kind: NameQuery.Kind, _ records: [DNSRecord]) {
        switch kind {
        case .a, .aaaa: self = .addresses(records.compactMap(\.address))
        case .mx:
            let exchanges = records.compactMap(\.exchange)
            // By name among equals, so that what comes of them does not depend on the order of an answer.
            self = .hosts(exchanges.sorted { ($0.preference, $0.host) < ($1.preference, $1.host) }.map(\.host))
        case .ptr:
            self = .hosts(records.compactMap(\.host))
        case .txt:
            self = .texts(
                records.compactMap { if case .txt(let strings) = $0 { Array(strings.joined()) } else { nil } })
        }
    }

    fileprivate init(_ failure: DNSFailure) {
        switch failure {
        case .noSuchName, .invalidName: self = .noSuchName
        case .noData: self = .noRecords
        case .serverFailure(let text): self = .failed("server failure: \(text)")
        case .timeout: self = .failed("no answer in time")
        case .bogus(let text): self = .failed("bogus: \(text)")
        case .tooManyQueries: self = .failed("too many queries")
        case .closed: self = .failed("the resolver has been closed")
        case .cancelled: self = .failed("cancelled")
        }
    }
}
