import Mail

extension Evaluation {
    /// What one restriction says. Restrictions that have nothing to look at say nothing.
    mutating func perform(_ restriction: Restriction, _ context: Context) throws(Halt) -> Step {
        switch restriction {
        case .permit: .permit
        case .reject: try self.reject(context)
        case .defer: try self.defer(context)
        case .deferIfPermit: try self.requestedDeferral(ifPermitted: true, context)
        case .deferIfReject: try self.requestedDeferral(ifPermitted: false, context)
        case .sleep(let duration): try self.sleep(duration)
        case .nothing: .dunno
        case .list(let list): try self.evaluate(list, context)
        case .policyService(let service): try self.askPolicy(service, context)
        case .checkSPF: try self.checkSPF(context)
        case .greylist: try self.greylist(context)
        case .access(let subject, let table): try self.access(subject, table, context)
        case .certificateAccess(let table): try self.certificateAccess(table, context)
        case .permitListedCertificate: self.listedCertificate()
        case .permitTrustedCertificate: self.facts.tls?.certificate?.isTrusted == true ? .permit : .dunno
        case .serverAccess(let subject, let record, let table):
            try self.serverAccess(subject, record, table, context)
        case .addressList(let list, let permits): try self.addressList(list, permits: permits)
        case .domainList(let subject, let list, let permits): try self.domainList(subject, list, permits: permits)
        case .permitNetworks: self.policy.relay.trusts(self.facts.client.address) ? .permit : .dunno
        case .permitLocalClient: self.isLocalClient ? .permit : .dunno
        case .permitAuthorizedDestination: self.isAuthorizedDestination == true ? .permit : .dunno
        case .rejectUnauthorizedDestination(let isTemporary): self.unauthorizedDestination(isTemporary)
        case .rejectUnauthorizedPipelining: try self.unauthorizedPipelining(context)
        case .rejectPlaintextSession: self.plaintextSession()
        case .rejectMultiRecipientNotice: try self.multiRecipientNotice(context)
        case .rejectUnknownClientName: try self.unknownClientName()
        case .rejectUnknownReverseClientName: try self.unknownReverseClientName()
        case .rejectInvalidHELO: self.invalidHELO()
        case .rejectNonFQDNHELO: self.nonFQDNHELO()
        case .rejectUnknownHELO: try self.unknownHELO()
        case .rejectNonFQDN(let address): self.nonFQDN(address)
        case .rejectUnknownDomain(let address): try self.unknownDomain(address)
        case .rejectUnlisted(let address): try self.unlisted(address)
        case .rejectUnverified(let address): try self.unverified(address)
        }
    }

    private mutating func reject(_ context: Context) throws(Halt) -> Step {
        self.refuse(
            self.policy.options.reject, .init(7, 1), "\(try self.opening(context)) rejected: Access denied")
    }

    private mutating func `defer`(_ context: Context) throws(Halt) -> Step {
        self.refuse(
            self.policy.options.deferring, .init(3, 2), "\(try self.opening(context)) rejected: Try again later")
    }

    private mutating func requestedDeferral(ifPermitted: Bool, _ context: Context) throws(Halt) -> Step {
        let opening = try self.opening(context)
        if ifPermitted {
            return self.deferIfPermitted(450, .init(7, 0), "\(opening) rejected: defer_if_permit requested")
        }
        self.deferIfRejected(450, .init(7, 0), "\(opening) rejected: defer_if_reject requested")
        return .dunno
    }

    private mutating func sleep(_ duration: Duration) throws(Halt) -> Step {
        self.pauses += 1
        _ = try self.answer(.pause(duration, number: self.pauses))
        return .dunno
    }
}

// MARK: - About the session

extension Evaluation {
    private var isLocalClient: Bool {
        self.facts.client.address.isLoopback || self.facts.client.address == self.facts.local?.address
    }

    private mutating func unauthorizedPipelining(_ context: Context) throws(Halt) -> Step {
        guard self.facts.hasPipelined else { return .dunno }
        return self.refuse(
            503, .init(5, 0), "\(try self.opening(context)) rejected: Improper use of SMTP command pipelining")
    }

    private mutating func plaintextSession() -> Step {
        self.facts.isEncrypted
            ? .dunno : self.refuse(self.policy.options.plaintext, .init(7, 1), "Session encryption is required")
    }

    private mutating func multiRecipientNotice(_ context: Context) throws(Halt) -> Step {
        let allowed = self.command == .recipient ? 0 : 1
        guard self.facts.reversePath == .null, self.facts.recipientCount > allowed else { return .dunno }
        return self.refuse(
            self.policy.options.multiRecipientNotice, .init(5, 3),
            "\(try self.opening(context)) rejected: Multi-recipient bounce")
    }

    private mutating func unauthorizedDestination(_ isTemporary: Bool) -> Step {
        guard self.isAuthorizedDestination == false, let path = self.facts.forwardPath else { return .dunno }
        let code = self.policy.options.relay
        return self.refuse(
            isTemporary && code >= 500 ? code - 100 : code, .init(7, 1), "<\(path)>: Relay access denied")
    }

    /// Whether the recipient is in a domain of ours; nil without a recipient.
    var isAuthorizedDestination: Bool? {
        switch self.facts.forwardPath {
        case nil: nil
        case .postmaster: true
        case .mailbox(let mailbox): self.policy.relay.relays(mailbox)
        }
    }
}
