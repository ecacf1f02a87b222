package import Mail
import NIOCore

/// What an administrator should hear of verification.
package enum VerifierReport: Hashable, Sendable, CustomStringConvertible {
    /// The servers of a domain take an address that cannot exist: their answers are worth nothing.
    case acceptsAll(String)
    case acceptsAllNoMore(String)
    case blocked(String, String)
    case unreachable(String, String)
    /// After `blocked` or `unreachable`.
    case answers(String)

    package var description: String {
        switch self {
        case .acceptsAll(let domain):
            "the primary of \(domain) accepts every address: unknown recipients cannot be told; list them instead"
        case .acceptsAllNoMore(let domain): "the primary of \(domain) tells its recipients from others again"
        case .blocked(let domain, let text):
            "the primary of \(domain) refuses our questions, so that recipients cannot be verified: \(text)"
        case .unreachable(let domain, let text): "recipients of \(domain) cannot be verified: \(text)"
        case .answers(let domain): "recipients of \(domain) can be verified again"
        }
    }
}

extension Verifier {
    /// Asks about an address that nobody has, from time to time, when a server has accepted one.
    func checkAcceptAll(_ mailbox: Mailbox, on loop: any EventLoop) {
        let key = VerifyKey(.domain, mailbox.domain.key)
        let (now, policy) = (self.clock.now(), self.cache.policy)
        let record = self.cache.record(of: key)
        guard policy.isProbeDue(record, at: now), let nobody = Self.nobody(at: mailbox.domain) else { return }
        let didAccept = policy.acceptsAll(record, at: now)
        self.ask(key, nobody, on: loop).whenSuccess { result in
            switch result.verdict {
            case .accepted where !didAccept: self.report(.acceptsAll(mailbox.domain.key))
            case .unknown where didAccept: self.report(.acceptsAllNoMore(mailbox.domain.key))
            case .accepted, .unknown, .blocked, .temporary, .unreachable: break
            }
        }
    }

    private static func nobody(at domain: Domain) -> Mailbox? {
        let letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        return Mailbox("nobody-\(String((0..<16).compactMap { _ in letters.randomElement() }))@\(domain)")
    }

    /// Domains whose servers accept every address. It reads the disk.
    package var acceptAllDomains: [String] {
        let (now, policy) = (self.clock.now(), self.cache.policy)
        return self.cache.records(.domain).filter { policy.acceptsAll($0.value, at: now) }.map(\.key.text).sorted()
    }

    func reason(_ since: Timestamp, _ mailbox: Mailbox, _ policy: VerifyPolicy) -> String {
        let record = self.kind == .recipient ? self.cache.record(of: VerifyKey(.domain, mailbox.domain.key)) : nil
        return "accepted by its server (\(since.rfc3339))"
            + (policy.acceptsAll(record, at: self.clock.now()) ? ", which accepts every address" : "")
    }
}

extension VerifyPolicy {
    /// Of a domain the last answer counts, and is good for as long as a good one of an address.
    package func updatedDomain(
        _ record: VerifyRecord?, with result: ProbeResult, at now: Timestamp
    ) -> VerifyRecord {
        var record = self.updated(record, with: result, at: now)
        if result.verdict == .unknown {
            record.accepted = nil
            record.nextProbe = now + self.positiveRefresh
        }
        return record
    }

    func acceptsAll(_ record: VerifyRecord?, at now: Timestamp) -> Bool {
        if case .accepted = self.standing(of: record, at: now) { true } else { false }
    }
}
