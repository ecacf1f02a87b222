import Mail

// MARK: - The client's name

extension Evaluation {
    /// Names of one address that are tried.
    private static let mostNames = 5

    /// What the client is called. Of several names the first that leads back to the address counts; Postfix looks only
    /// at one of them, which may be another each time.
    mutating func clientName() throws(Halt) -> ClientName {
        if let name = self.facts.givenName ?? self.knownClientName { return name }
        let name = try self.lookUpClientName()
        self.knownClientName = name
        return name
    }

    private mutating func lookUpClientName() throws(Halt) -> ClientName {
        let address = self.facts.client.address
        let answer = try self.names(address.reversed(in: address.width == 32 ? "in-addr.arpa" : "ip6.arpa"), .ptr)
        let names = answer.hosts.filter { HostSyntax.isHostName($0) }.sorted()
        guard let first = names.first else {
            let status: ClientName.Status = answer.hasFailed ? .temporary : .permanent
            return ClientName(verified: nil, status: status, reverse: nil, reverseStatus: status)
        }
        var status = ClientName.Status.permanent
        for name in names.prefix(Self.mostNames) {
            let forward = try self.names(name, address.width == 32 ? .a : .aaaa)
            if forward.addresses.contains(address) {
                return ClientName(verified: name, status: .found, reverse: name, reverseStatus: .found)
            }
            if forward.hasFailed { status = .temporary }
        }
        return ClientName(verified: nil, status: status, reverse: first, reverseStatus: .found)
    }

    mutating func unknownClientName() throws(Halt) -> Step {
        let status = try self.clientName().status
        guard status != .found else { return .dunno }
        return self.refuse(
            status == .temporary ? 450 : self.policy.options.unknownClient, .init(7, 25),
            "Client host rejected: cannot find your hostname, [\(self.facts.client.address)]")
    }

    mutating func unknownReverseClientName() throws(Halt) -> Step {
        let status = try self.clientName().reverseStatus
        guard status != .found else { return .dunno }
        return self.refuse(
            status == .temporary ? 450 : self.policy.options.unknownClient, .init(7, 1),
            "Client host rejected: cannot find your reverse hostname, [\(self.facts.client.address)]")
    }
}

// MARK: - HELO

extension Evaluation {
    /// An address literal is looked at as one, whichever restriction asks (SEMANTICS §2).
    private mutating func invalidLiteral(_ helo: String) -> Step? {
        guard helo.hasPrefix("[") else { return nil }
        let inner = helo.hasSuffix("]") && helo.utf8.count > 2 ? helo.dropFirst().dropLast() : helo[...]
        guard !HostSyntax.isLiteral(inner) else { return .dunno }
        return self.refuse(
            self.policy.options.invalidHostname, .init(5, 2), "<\(helo)>: Helo command rejected: invalid ip address")
    }

    mutating func invalidHELO() -> Step {
        guard let helo = self.facts.helo else { return .dunno }
        if let step = self.invalidLiteral(helo) { return step }
        let name = HostSyntax.withoutFinalDot(helo)
        guard !HostSyntax.isHostName(name), IPAddress(name) == nil else { return .dunno }
        return self.refuse(
            self.policy.options.invalidHostname, .init(5, 2), "<\(helo)>: Helo command rejected: Invalid name")
    }

    mutating func nonFQDNHELO() -> Step {
        guard let helo = self.facts.helo else { return .dunno }
        if let step = self.invalidLiteral(helo) { return step }
        guard !HostSyntax.isQualified(helo) else { return .dunno }
        return self.refuse(
            self.policy.options.nonFQDN, .init(5, 2),
            "<\(helo)>: Helo command rejected: need fully-qualified hostname")
    }

    /// An address or MX record will do, also one that says that the name takes no mail.
    mutating func unknownHELO() throws(Halt) -> Step {
        guard let helo = self.facts.helo else { return .dunno }
        if let step = self.invalidLiteral(helo) { return step }
        var hasFailed = false
        for type in [Lookup.NameType.a, .aaaa, .mx] {
            let answer = try self.names(helo, type)
            if answer.isFound { return .dunno }
            hasFailed = hasFailed || answer.hasFailed
        }
        let text = "<\(helo)>: Helo command rejected: Host not found"
        return hasFailed
            ? self.deferIfPermitted(450, .init(7, 1), text)
            : self.refuse(self.policy.options.unknownHostname, .init(7, 1), text)
    }
}

// MARK: - Addresses

extension Evaluation {
    func mailbox(_ address: AddressClass) -> Mailbox? {
        switch address {
        case .sender: self.facts.sender
        case .recipient: self.facts.recipient
        }
    }

    mutating func nonFQDN(_ address: AddressClass) -> Step {
        guard let mailbox = self.mailbox(address), let name = mailbox.domain.name else { return .dunno }
        guard !HostSyntax.isQualified(name.ascii) else { return .dunno }
        return self.refuse(
            self.policy.options.nonFQDN, .init(5, 2),
            "<\(mailbox)>: \(address.label) rejected: need fully-qualified address")
    }

    /// The domain has MX or address records. Address literals are not looked at.
    mutating func unknownDomain(_ address: AddressClass) throws(Halt) -> Step {
        guard let mailbox = self.mailbox(address), let domain = mailbox.domain.name else { return .dunno }
        var hasFailed = false
        for type in [Lookup.NameType.mx, .a, .aaaa] {
            let answer = try self.names(domain.ascii, type)
            if answer.isNullMX { return self.takesNoMail(address, mailbox, domain) }
            if answer.isFound { return .dunno }
            hasFailed = hasFailed || answer.hasFailed
        }
        let detail = Reply.Detail(1, address == .sender ? 8 : 2)
        let text = "<\(mailbox)>: \(address.label) rejected: Domain not found"
        return hasFailed
            ? self.deferIfPermitted(450, detail, text)
            : self.refuse(self.policy.options.unknownAddress, detail, text)
    }

    /// RFC 7505 §4.
    private mutating func takesNoMail(_ address: AddressClass, _ mailbox: Mailbox, _ domain: DomainName) -> Step {
        self.refuse(
            address == .sender ? 550 : 556, address == .sender ? .init(7, 27) : .init(1, 10),
            "<\(mailbox)>: \(address.label) rejected: Domain \(domain.ascii) does not accept mail (nullMX)")
    }

    /// An address of a relay domain exists; what lies elsewhere is not ours to tell.
    mutating func unlisted(_ address: AddressClass) throws(Halt) -> Step {
        guard let mailbox = self.mailbox(address) else { return .dunno }
        switch address {
        case .sender:
            guard !self.hasCheckedSender else { return .dunno }
            self.hasCheckedSender = !self.onlyWarns
        case .recipient:
            guard !self.hasCheckedRecipient else { return .dunno }
            self.hasCheckedRecipient = !self.onlyWarns
        }
        if let reply = self.policy.routeRefusal(mailbox) {
            let detail = (reply.detail ?? .init(1, 1)).corrected(for: address)
            let text = reply.lines.joined(separator: " ")
            return self.refuse(reply.code, detail, "<\(mailbox)>: \(address.label) rejected: \(text)")
        }
        guard let isKnown = self.policy.relay.knows(mailbox) else { return .dunno }
        let detail = address == .sender ? Reply.Detail(1, 0) : Reply.Detail(1, 1)
        guard let domain = mailbox.domain.name, self.policy.asksElsewhere(domain) else {
            guard !isKnown else { return .dunno }
            return self.refuse(
                self.policy.options.unlistedRecipient, detail,
                "<\(mailbox)>: \(address.label) rejected: User unknown in relay recipient table")
        }
        guard !self.policy.relay.lists(mailbox) else { return .dunno }
        guard address == .recipient else { return try self.judgeSender(mailbox, detail) }
        return try self.judge(.recipient(mailbox), mailbox, detail)
    }

    /// A sender in a domain of ours, whom no table has.
    private mutating func judgeSender(_ mailbox: Mailbox, _ detail: Reply.Detail) throws(Halt) -> Step {
        guard case .address(let finding) = try self.answer(.recipient(mailbox)) else { return .dunno }
        switch finding {
        case .known, .acceptAndHold: return .dunno
        case .unknown(let reply, let why):
            self.restrictionFacts.append("\(mailbox): \(why)")
            return self.refuse(reply.code, detail, "<\(mailbox)>: Sender address rejected: User unknown")
        case .undecided(let reply, let why):
            self.restrictionFacts.append("\(mailbox): \(why)")
            return self.deferIfPermitted(
                reply.code, detail, "<\(mailbox)>: Sender address rejected: unverified address, try again later")
        }
    }

    mutating func unverified(_ address: AddressClass) throws(Halt) -> Step {
        guard let mailbox = self.mailbox(address) else { return .dunno }
        return try self.judge(
            .verification(mailbox, address), mailbox, .init(1, address == .sender ? 7 : 1), mayBeRefusedLater: true)
    }

    /// - Parameter mayBeRefusedLater: what is refused for now only, is so if nothing refuses for good.
    private mutating func judge(
        _ lookup: Lookup, _ mailbox: Mailbox, _ detail: Reply.Detail, mayBeRefusedLater: Bool = false
    ) throws(Halt) -> Step {
        guard case .address(let finding) = try self.answer(lookup) else {
            return self.deferIfPermitted(450, detail, "<\(mailbox)>: address verification problem")
        }
        switch finding {
        case .known: return .dunno
        case .unknown(let reply, let why):
            self.restrictionFacts.append("\(mailbox): \(why)")
            let text = "<\(mailbox)>: \(reply.lines.joined(separator: " "))"
            return mayBeRefusedLater && reply.outcome == .temporary
                ? self.deferIfPermitted(reply.code, reply.detail ?? detail, text)
                : self.refuse(reply.code, reply.detail ?? detail, text)
        case .undecided(let reply, let why):
            self.restrictionFacts.append("\(mailbox): \(why)")
            return self.deferIfPermitted(
                reply.code, reply.detail ?? detail, "<\(mailbox)>: \(reply.lines.joined(separator: " "))")
        case .acceptAndHold(let why):
            self.hold(why)
            return .dunno
        }
    }
}

extension AddressClass {
    var label: String {
        switch self {
        case .sender: "Sender address"
        case .recipient: "Recipient address"
        }
    }
}

extension Reply.Detail {
    /// The detail of an address in the words for the other end's address (RFC 3463 §3.2): what says "no such
    /// mailbox" of a recipient says "bad sender's address" of a sender.
    func corrected(for address: AddressClass?) -> Reply.Detail {
        guard self.subject == 1 else { return self }
        switch (address, self.detail) {
        case (nil, _): return .init(0, 0)
        case (.sender, 1), (.sender, 3), (.sender, 4), (.sender, 6), (.sender, 7): return .init(1, 7)
        case (.sender, 2), (.sender, 8): return .init(1, 8)
        case (.recipient, 3), (.recipient, 7): return .init(1, 3)
        case (.recipient, 2), (.recipient, 8): return .init(1, 2)
        case (.recipient, 1), (.recipient, 4), (.recipient, 5), (.recipient, 6): return self
        case (.sender, _), (.recipient, _): return .init(1, 0)
        }
    }
}
