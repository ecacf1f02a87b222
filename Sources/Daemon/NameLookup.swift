import Mail
import NIOPosix
package import Resolver

/// What `postern dns` shows.
package struct NameLookup {
    package struct Report: Encodable, Sendable {
        package struct Answer: Encodable, Sendable {
            package let name: String
            package let type: String
            /// Seconds.
            package let ttl: Int
            package let data: String
        }

        package var answers: [Answer] = []
        package var security: String?
        package var failure: String?
    }

    private let options: ResolverOptions

    package init(_ options: ResolverOptions) {
        self.options = options
    }

    package func report(_ name: String, _ type: DNSType) async throws -> Report {
        let resolver = try UnboundResolver(self.options)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var report = Report()
        do {
            let answer = try await resolver.resolve(name, type, on: group.next())
            report.security = "\(answer.security)"
            report.answers = answer.records.map { record in
                Report.Answer(
                    name: answer.canonicalName.text, type: "\(record.type)", ttl: Int(answer.ttl.components.seconds),
                    data: record.presentation)
            }
        } catch {
            report.failure = error.word
            report.security = error.security.map { "\($0)" }
        }
        await resolver.shutdown()
        try await group.shutdownGracefully()
        return report
    }
}

extension DNSFailure {
    /// What scripts compare.
    fileprivate var word: String {
        switch self {
        case .noSuchName: "NXDOMAIN"
        case .noData: "NODATA"
        case .serverFailure: "SERVFAIL"
        case .timeout: "TIMEOUT"
        case .bogus: "BOGUS"
        case .invalidName: "INVALID"
        case .tooManyQueries, .closed, .cancelled: "CANCELLED"
        }
    }
}

extension DNSType {
    private static let known: [DNSType] = [
        .a, .ns, .cname, .soa, .ptr, .mx, .txt, .aaaa, .srv, .ds, .rrsig, .nsec, .dnskey, .nsec3, .tlsa, .caa,
    ]

    /// Reads `MX`, in any case, or `TYPE65`.
    package init?(text: String) {
        let text = text.uppercased()
        if let known = Self.known.first(where: { $0.description == text }) {
            self = known
        } else {
            guard text.hasPrefix("TYPE"), let number = UInt16(text.dropFirst(4)) else { return nil }
            self.init(rawValue: number)
        }
    }
}

extension DNSRecord {
    /// The data as a zone file has it.
    fileprivate var presentation: String {
        switch self {
        case .a(let value): "\(IPAddress.v4(value))"
        case .aaaa(let high, let low): "\(IPAddress.v6(high: high, low: low))"
        case .mx(let preference, let exchange): "\(preference) \(exchange)"
        case .txt(let strings): strings.map(Self.quoted).joined(separator: " ")
        case .ptr(let name), .ns(let name), .cname(let name): "\(name)"
        case .soa(let soa): "\(soa.primary) \(soa.mailbox) \(soa.serial)"
        case .tlsa(let tlsa): "\(tlsa.usage) \(tlsa.selector) \(tlsa.matching) \(Self.hexadecimal(tlsa.data))"
        case .other(_, let bytes): "\\# \(bytes.count) \(Self.hexadecimal(bytes))"
        }
    }

    private static func quoted(_ bytes: [UInt8]) -> String {
        let text = bytes.map { byte in
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): "\\" + String(UnicodeScalar(byte))
            case 0x20...0x7E: String(UnicodeScalar(byte))
            default: "\\" + String(repeating: "0", count: 3 - String(byte).count) + String(byte)
            }
        }
        return "\"\(text.joined())\""
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
