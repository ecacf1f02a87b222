import Mail

/// DNS lists of addresses and of domains. Unlike Postfix, an answer that is an error code lists nobody, and says so
/// (SEMANTICS §18).
extension Evaluation {
    private enum Listing {
        case listed(query: String)
        case unlisted
        case unknown
    }

    mutating func addressList(_ list: DNSList, permits: Bool) throws(Halt) -> Step {
        let address = self.facts.client.address
        let query = address.reversed(in: list.zone)
        return try self.judge(list, query, what: "\(address)", label: "Client host", permits: permits)
    }

    mutating func domainList(
        _ subject: Restriction.NameSubject, _ list: DNSList, permits: Bool
    ) throws(Halt) -> Step {
        guard let (what, label) = try self.listSubject(subject) else { return .dunno }
        let domain = what.lastIndex(of: "@").map { what[what.index(after: $0)...] } ?? what[...]
        // Neither literals nor names that end in a number, which are addresses.
        let last = domain.split(separator: ".", omittingEmptySubsequences: false).last ?? ""
        guard !domain.hasPrefix("["), !last.utf8.allSatisfy(ASCII.isDigit), let name = HostSyntax.askable(domain) else {
            return .dunno
        }
        return try self.judge(list, "\(name).\(list.zone)", what: what, label: label, permits: permits)
    }

    private mutating func listSubject(
        _ subject: Restriction.NameSubject
    ) throws(Halt) -> (what: String, label: String)? {
        switch subject {
        case .client: try self.clientName().verified.map { ($0, "Client host") }
        case .reverseClient: try self.clientName().reverse.map { ($0, "Unverified Client host") }
        case .helo: self.facts.helo.map { ($0, "Helo command") }
        case .sender: self.facts.sender.map { ("\($0)", "Sender address") }
        case .recipient: self.facts.recipient.map { ("\($0)", "Recipient address") }
        }
    }

    private mutating func judge(
        _ list: DNSList, _ query: String, what: String, label: String, permits: Bool
    ) throws(Halt) -> Step {
        // A list of good clients must not make a relay of us.
        if permits, self.command == .recipient, self.isAuthorizedDestination == false { return .dunno }
        switch try self.listing(list, query) {
        case .unlisted: return .dunno
        case .unknown:
            if permits { self.deferIfRejected(450, .init(7, 1), "<\(what)>: \(label) rejected: Service unavailable") }
            return .dunno
        case .listed:
            self.current.key = query
            self.current.value = list.description
            guard !permits else { return .permit }
            let reason = try self.names(query, .txt).listText
            let name = self.policy.listNames[list.zone] ?? list.zone
            let text = "Service unavailable; \(label) [\(what)] blocked using \(name)\(reason.map { "; \($0)" } ?? "")"
            return self.refuse(self.policy.options.list, .init(7, 1), text)
        }
    }

    private mutating func listing(_ list: DNSList, _ query: String) throws(Halt) -> Listing {
        let answer = try self.names(query, .a)
        if answer.hasFailed { return .unknown }
        var isUnavailable = false
        for case .v4(let value) in answer.addresses {
            switch DNSBLReturn(value, from: list.zone) {
            case .unavailable(let why):
                isUnavailable = true
                self.note(.fault, "\(list.zone) is unavailable: \(why)")
            case .listed where list.filter?.matches(value) ?? true: return .listed(query: query)
            case .listed: break
            }
        }
        return isUnavailable ? .unknown : .unlisted
    }
}

extension NameAnswer {
    /// Octets of what a list says that go into a reply.
    private static let mostTextBytes = 500

    fileprivate var listText: String? {
        guard case .texts(let texts) = self else { return nil }
        return texts.joined(separator: " / ").printable(maximumBytes: Self.mostTextBytes)
    }
}
