package import Mail

/// The methods as readers know them (RFC 8601 §2.7 and the registry of its §6).
extension AuthenticationResults.Method {
    private typealias Property = AuthenticationResults.Property

    /// The identity that was checked: MAIL FROM, or HELO for the null reverse-path (RFC 8601 §2.7.2).
    package static func spf(_ result: String, _ path: ReversePath, helo: String, comment: String? = nil) -> Self {
        let identity = path.mailbox.map { Property("smtp", "mailfrom", $0.description) }
        return Self("spf", result, comment: comment, [identity ?? Property("smtp", "helo", helo)])
    }

    /// What a DKIM signature says of itself; what it lacks is empty.
    package struct Signature: Hashable, Sendable {
        package var domain: String
        package var selector: String
        /// `i=`; left out if empty.
        package var identity = ""
        /// `a=`, such as `rsa-sha256`.
        package var algorithm = ""
        /// `b=` in base64; its first eight characters tell signatures apart (RFC 6008).
        package var signature = ""

        package init(domain: String, selector: String) {
            self.domain = domain
            self.selector = selector
        }
    }

    /// - Parameter signature: nil for the result `none`.
    package static func dkim(
        _ result: String, _ signature: Signature?, comment: String? = nil, reason: String? = nil
    ) -> Self {
        let values = signature.map {
            [
                ("d", $0.domain), ("i", $0.identity), ("s", $0.selector), ("a", $0.algorithm),
                ("b", String($0.signature.filter { !$0.isWhitespace }.prefix(8))),
            ]
        }
        let properties = (values ?? []).filter { !$0.1.isEmpty }.map { Property("header", $0.0, $0.1) }
        return Self("dkim", result, comment: comment, reason: reason, properties)
    }

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

    /// Whether the client's address has a name that has the address (RFC 8601 §3).
    package static func iprev(_ result: String, _ address: IPAddress, name: String? = nil) -> Self {
        Self("iprev", result, comment: name, [Property("policy", "iprev", "\(address)")])
    }
}
