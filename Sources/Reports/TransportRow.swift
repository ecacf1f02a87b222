package import Mail

/// What is counted of attempts at TLS sessions: those of which all of this is the same are one row. Those that
/// succeeded are only counted by their policy (RFC 8460 §4.2).
package struct TransportRow: Hashable, Sendable {
    /// RFC 8460 §4.3, `failure-details`.
    package struct Failure: Hashable, Sendable {
        package var kind: TransportObservation.Failure
        package var reason: String?
        package var receivingHost: String?
        package var receivingAddress: IPAddress?
        package var sendingAddress: IPAddress?
    }

    package var policy: TransportObservation.Policy
    /// Nil for a session that came about.
    package var failure: Failure?

    package init(_ observation: TransportObservation) {
        self.policy = observation.policy
        // Records have no order: a name server may give another one with each answer.
        if self.policy.type == .tlsa { self.policy.strings.sort() }
        switch observation.result {
        case .success: self.failure = nil
        case .failure(let kind, let reason):
            self.failure = Failure(
                kind: kind, reason: reason, receivingHost: observation.receivingHost,
                receivingAddress: observation.receivingAddress, sendingAddress: observation.sendingAddress)
        }
    }
}

extension TransportRow {
    static let format: UInt8 = 1
    private static let maximumNameBytes = 255
    private static let maximumReasonBytes = 200
    /// Of the lines of a policy and of its patterns, each. Who publishes a policy chooses their length, and each row has
    /// them.
    private static let maximumPolicyBytes = 2048

    /// As it is kept: a format number, then the policy, so that rows of the same stand together. What a peer made long is
    /// cut.
    package func encoded() -> [UInt8] {
        var writer = RecordWriter()
        writer.byte(Self.format)
        writer.text(self.policy.domain.cut(to: Self.maximumNameBytes))
        writer.text(self.policy.type.rawValue)
        writer.list(self.policy.strings.cut(to: Self.maximumPolicyBytes)) { $1.text($0) }
        writer.list(self.policy.mxPatterns.cut(to: Self.maximumPolicyBytes)) { $1.text($0) }
        writer.list(self.failure.map { [$0] } ?? []) { failure, writer in
            writer.text(failure.kind.rawValue)
            writer.optional(failure.reason?.cut(to: Self.maximumReasonBytes))
            writer.optional(failure.receivingHost?.cut(to: Self.maximumNameBytes))
            for address in [failure.receivingAddress, failure.sendingAddress] {
                writer.list(address.map { [$0] } ?? []) { $1.address($0) }
            }
        }
        return writer.bytes
    }

    /// Nil for another format and for what is damaged.
    package init?(record bytes: [UInt8]) {
        var reader = RecordReader(bytes)
        guard reader.byte() == Self.format, let domain = reader.text(),
            let type = reader.text().flatMap(TransportObservation.PolicyType.init),
            let strings = reader.list({ $0.text() }), let patterns = reader.list({ $0.text() }),
            let failures = reader.list({ $0.failure() }), failures.count <= 1, reader.isAtEnd
        else { return nil }
        self.policy = TransportObservation.Policy(type: type, strings: strings, domain: domain, mxPatterns: patterns)
        self.failure = failures.first
    }
}

extension RecordReader {
    fileprivate mutating func failure() -> TransportRow.Failure? {
        guard let kind = self.text().flatMap(TransportObservation.Failure.init), let reason = self.optional(),
            let host = self.optional(), let receiving = self.list({ $0.address() }), receiving.count <= 1,
            let sending = self.list({ $0.address() }), sending.count <= 1
        else { return nil }
        return TransportRow.Failure(
            kind: kind, reason: reason, receivingHost: host, receivingAddress: receiving.first,
            sendingAddress: sending.first)
    }
}

extension [String] {
    /// As many as together, with two octets for each, have so many octets; at most 255.
    fileprivate func cut(to count: Int) -> [String] {
        var rest = count
        return Array(
            self.prefix(255).prefix { text in
                rest -= text.utf8.count + 2
                return rest >= 0
            })
    }
}
