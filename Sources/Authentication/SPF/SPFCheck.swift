package import Mail

/// Asks whether a client may use a name, of the domain that the name belongs to (RFC 7208).
package struct SPFCheck: Sendable {
    /// Which name is checked (RFC 7208 §2.3, §2.4).
    package enum Identity: String, Hashable, Sendable {
        case helo
        case mailFrom = "mailfrom"
    }

    package let client: IPAddress
    /// As the client said it.
    package let helo: String
    /// Without angle brackets; empty for the null reverse-path. It need not be a mailbox.
    package let reversePath: String
    /// Who we are, for explanations.
    package let receiver: String
    package let time: Timestamp
    package let limits: SPFLimits

    /// - Parameter client: an IPv4-mapped address is the IPv4 address.
    package init(
        client: IPAddress, helo: String, reversePath: String, receiver: String = "unknown", time: Timestamp,
        limits: SPFLimits = SPFLimits()
    ) {
        if case .v6(0, let low) = client, low >> 32 == 0xFFFF {
            self.client = .v4(UInt32(truncatingIfNeeded: low))
        } else {
            self.client = client
        }
        self.helo = helo
        self.reversePath = reversePath
        self.receiver = receiver
        self.time = time
        self.limits = limits
    }

    package init(
        client: IPAddress, helo: String, reversePath: ReversePath, receiver: String = "unknown", time: Timestamp,
        limits: SPFLimits = SPFLimits()
    ) {
        self.init(
            client: client, helo: helo, reversePath: reversePath.description, receiver: receiver, time: time,
            limits: limits)
    }

    /// Never fails: what goes wrong is `temperror` or `permerror`. Cancelling the task ends it as soon as the question
    /// under way ends.
    package func check(identity: Identity, names: NameSource) async -> SPFResult {
        let sender = self.sender(of: identity)
        guard let domain = SPFName.domain(sender.domain) else {
            return SPFResult(.none, domain: sender.domain, identity: identity, why: "no domain name of two labels")
        }
        var evaluation = SPFEvaluation(
            limits: self.limits, names: names, values: self.values(localPart: sender.localPart, domain: domain))
        return await evaluation.run(domain, identity)
    }

    /// For the null reverse-path and for a HELO name, postmaster there; also where the local part is missing
    /// (RFC 7208 §2.4, §4.3).
    func sender(of identity: Identity) -> (localPart: String, domain: String) {
        guard identity == .mailFrom, !self.reversePath.isEmpty else { return ("postmaster", self.helo) }
        guard let sign = self.reversePath.utf8.lastIndex(of: UInt8(ascii: "@")) else {
            return ("postmaster", self.reversePath)
        }
        let localPart = String(self.reversePath[..<sign])
        let domain = String(self.reversePath[self.reversePath.utf8.index(after: sign)...])
        return (localPart.isEmpty ? "postmaster" : localPart, domain)
    }

    func values(localPart: String, domain: String) -> SPFMacroValues {
        SPFMacroValues(
            localPart: localPart, senderDomain: domain, client: self.client,
            helo: self.helo.isASCII ? self.helo : DomainName(self.helo)?.ascii ?? self.helo, receiver: self.receiver,
            time: self.time, domain: domain)
    }
}
