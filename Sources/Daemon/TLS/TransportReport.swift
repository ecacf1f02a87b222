import Forwarder
import MTASTS
import Mail
import SMTP
import TLS

/// What `postern tls` shows. Every key is there, `null` where there is nothing to say.
package struct TransportReport: Encodable, Sendable {
    package let destination: String
    package let servers: [Server]
    /// Why there is no server.
    @OrNull package private(set) var failure: String?

    package struct Server: Encodable, Sendable {
        package let host: String
        package let address: String
        package let port: Int
        /// What the connection must have: a level, or `sts`; of a server that is not used, what the administrator wants.
        package let level: String
        /// Nil where MX records do not count.
        @OrNull package private(set) var mx: MX?
        /// DNSSEC proves the address.
        package let isAddressSecure: Bool
        @OrNull package private(set) var canonicalName: String?
        package let tlsa: [Association]
        /// Why the TLSA records are not known.
        @OrNull package private(set) var tlsaFailure: String?
        /// Nil where the domain has none, or where there is no domain.
        @OrNull package private(set) var sts: Policy?
        /// Nil where there was none.
        @OrNull package private(set) var tls: Session?
        @OrNull package private(set) var certificate: Certificate?
        /// Whether REQUIRETLS is offered; nil if it did not come to that.
        @OrNull package private(set) var requireTLS: Bool?
        /// Mail would go to it.
        package let usable: Bool
        /// Why it would not; or what else there is to say.
        @OrNull package private(set) var reason: String?
    }

    package struct MX: Encodable, Sendable {
        package let preference: Int
        package let isSecure: Bool
    }

    package struct Association: Encodable, Sendable {
        package let name: String
        /// As in a zone file.
        package let record: String
        package let usable: Bool
    }

    package struct Policy: Encodable, Sendable {
        /// Nil where there is none, but should be.
        @OrNull package private(set) var mode: String?
        package let mx: [String]
        /// Seconds.
        @OrNull package private(set) var maximumAge: Int?
        /// The host may take the domain's mail; nil where the policy says nothing of hosts.
        @OrNull package private(set) var isAllowed: Bool?
        /// What is wrong with it.
        @OrNull package private(set) var problem: String?
    }

    package struct Session: Encodable, Sendable {
        package let version: String
        package let cipher: String
        package let bits: Int
    }

    package struct Certificate: Encodable, Sendable {
        package let subject: String
        package let issuer: String
        package let names: [String]
        package let expires: String
        /// SHA-256, in hexadecimal digits.
        package let fingerprint: String
        package let publicKeyFingerprint: String
        /// The record that it would match.
        package let tlsa: String
        /// Nil where nothing was asked of it.
        @OrNull package private(set) var isVerified: Bool?
        /// Why it is not.
        @OrNull package private(set) var problem: String?
    }

    package var isUsable: Bool { self.servers.contains(where: \.usable) }
}

/// An optional whose key is there also where it is nil.
@propertyWrapper package struct OrNull<Value: Encodable & Sendable>: Encodable, Sendable {
    package var wrappedValue: Value?

    package init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let value = self.wrappedValue { try container.encode(value) } else { try container.encodeNil() }
    }
}

// MARK: - From what was found out

extension TransportReport {
    init(_ hop: NextHop, _ result: ServerProbe.Result, _ policy: STSInquiry.Answer) {
        self.destination = hop.text
        switch result {
        case .servers(let servers):
            self.servers = servers.map { Server($0, policy) }
            self.failure = nil
        case .none(let reply):
            self.servers = []
            self.failure = reply.oneLine
        }
    }
}

extension TransportReport.Server {
    fileprivate init(_ probed: ProbedServer, _ policy: STSInquiry.Answer) {
        let (server, visit) = (probed.server, probed.visit)
        self.host = server.name
        self.address = server.address.description
        self.port = server.port
        switch probed.plan {
        case .connect(let plan): self.level = plan.basis.rawValue
        case .skip: self.level = probed.level.rawValue
        }
        self.mx = server.origin.preference.map { .init(preference: $0, isSecure: server.origin.isMXSecure) }
        self.isAddressSecure = server.origin.isAddressSecure
        self.canonicalName = server.origin.canonicalName
        (self.tlsa, self.tlsaFailure) = Self.associations(probed.associations)
        self.sts = server.origin.domain == nil ? nil : TransportReport.Policy(policy, server.name)
        self.tls = visit.session.map { .init(version: $0.version.rawValue, cipher: $0.cipher, bits: $0.bits) }
        self.certificate = visit.session.flatMap(TransportReport.Certificate.init)
        self.requireTLS = visit.offersRequireTLS
        self.usable = visit.isUsable
        self.reason = visit.reason
    }

    private static func associations(_ finding: AssociationFinding) -> ([TransportReport.Association], String?) {
        let (usable, base, records): ([TLSAssociation], String, [TLSAssociation])
        switch finding {
        case .none: return ([], nil)
        case .failed(let base, _, let why): return ([], "\(base): \(why)")
        case .usable(let some, let name, let all): (usable, base, records) = (some, name, all)
        case .unusable(let name, let all): (usable, base, records) = ([], name, all)
        }
        return (records.map { .init(name: base, record: $0.zoneText, usable: usable.contains($0)) }, nil)
    }
}

extension TransportReport.Policy {
    fileprivate init?(_ answer: STSInquiry.Answer, _ host: String) {
        var (policy, problem): (STSPolicy?, String?)
        switch answer.finding {
        case .none: problem = answer.problem
        case .unavailable(let fault): problem = fault.reason
        case .unknown(let why): problem = why
        case .policy(let present, let fault): (policy, problem) = (present, fault?.reason)
        }
        guard policy != nil || problem != nil else { return nil }
        self.mode = policy?.mode.rawValue
        self.mx = policy?.mxPatterns ?? []
        self.maximumAge = policy.map { Int($0.maximumAge.components.seconds) }
        self.isAllowed = policy.flatMap { $0.mode == .none ? nil : $0.allows(host) }
        self.problem = problem
    }
}

extension TransportReport.Certificate {
    fileprivate init?(_ session: TLSSession) {
        guard let peer = session.peer else { return nil }
        self.subject = peer.subject
        self.issuer = peer.issuer
        self.names = peer.names
        self.expires = Timestamp(seconds: Int64(peer.expires)).rfc3339
        self.fingerprint = peer.fingerprint.hexadecimal
        self.publicKeyFingerprint = peer.publicKeyFingerprint.hexadecimal
        self.tlsa =
            TLSAssociation(usage: 3, selector: 1, matching: 1, data: peer.publicKeyFingerprint).zoneText
        switch TLSAuthentication(session.verdict) {
        case .notAsked: (self.isVerified, self.problem) = (nil, nil)
        case .passed: (self.isVerified, self.problem) = (true, nil)
        case .failed(let reason): (self.isVerified, self.problem) = (false, reason)
        }
    }
}

extension [UInt8] {
    fileprivate var hexadecimal: String { self.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
