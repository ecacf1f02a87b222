package import Mail

/// The methods as readers know them (RFC 8601 §2.7 and the registry of its §6).
extension AuthenticationResults.Method {
    private typealias Property = AuthenticationResults.Property

    /// The identity that was checked: MAIL FROM, or HELO, also for the null reverse-path (RFC 8601 §2.7.2).
    package static func spf(_ result: SPFResult, _ path: ReversePath, helo: String) -> Self {
        let mailbox = result.identity == .mailFrom ? path.mailbox : nil
        let identity = mailbox.map { Property("smtp", "mailfrom", $0.description) }
        return Self("spf", result.result.rawValue, comment: result.why, [identity ?? Property("smtp", "helo", helo)])
    }

    /// Of one signature; a message without any has `dkim=none`, which is ``dkimNone``.
    ///
    /// One that passes but leaves a part of the body out is told as `policy` (RFC 8601 §2.7.1), with the reason: who reads
    /// `pass` does not ask how much of the message it is about.
    package static func dkim(_ result: DKIMResult) -> Self {
        let values = [
            ("d", result.domain), ("i", result.shownIdentity), ("s", result.selector),
            ("a", result.algorithm?.rawValue),
            ("b", result.signaturePrefix.map { String($0.prefix(8)) }),
        ]
        var notes: [String] = []
        if result.outcome == .pass, let bits = result.keyBits { notes.append("\(bits)-bit key") }
        if result.isTesting { notes.append("test mode") }
        if !result.reason.isEmpty { notes.append(result.reason) }
        let properties = values.compactMap { name, value in value.map { Property("header", name, $0) } }
        let comment = notes.isEmpty ? nil : notes.joined(separator: ", ")
        let isPartial = result.outcome == .pass && result.unsignedBodyBytes > 0
        let told = isPartial ? DKIMResult.Outcome.policy : result.outcome
        return Self("dkim", told.rawValue, comment: comment, properties)
    }

    package static let dkimNone = Self("dkim", "none")

    /// The comment has the form of Gmail's, which others read and write too: `(p=REJECT sp=NONE dis=NONE)`.
    ///
    /// - Parameter disposition: what was done in the end; what the domain owner asks for if nil.
    package static func dmarc(_ result: DMARCResult, disposition: DMARCPolicy? = nil) -> Self {
        var comment: String?
        if let record = result.record {
            let subdomains = record.subdomainPolicy.policy.map { " sp=\($0.rawValue.uppercased())" } ?? ""
            let done = (disposition ?? result.disposition).rawValue.uppercased()
            comment = "p=\((record.policy.policy ?? .none).rawValue.uppercased())\(subdomains) dis=\(done)"
        } else {
            comment = result.fromFault?.rawValue
        }
        let from = result.fromDomain.map { [Property("header", "from", $0.text)] } ?? []
        return Self("dmarc", result.outcome.rawValue, comment: comment, from)
    }

    /// - Parameter oldestPass: the oldest instance whose message signature still verifies (RFC 8617 §5.2).
    package static func arc(
        _ result: String, remote: IPAddress, oldestPass: Int? = nil, comment: String? = nil
    ) -> Self {
        var properties = [Property("smtp", "remote-ip", "\(remote)")]
        if let oldestPass { properties.append(Property("header", "oldest-pass", "\(oldestPass)")) }
        return Self("arc", result, comment: comment, properties)
    }
}

extension DKIMResult {
    /// Without the local part if that is too long: it means nothing to anybody but the signer (RFC 6376 §3.5).
    fileprivate var shownIdentity: String? {
        guard let identity, identity.utf8.count > 256 else { return self.identity }
        return identity.lastIndex(of: "@").map { String(identity[$0...]) }
    }
}
