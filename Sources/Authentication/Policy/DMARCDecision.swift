package import Mail

/// What is done with a message because of DMARC, and why not what its author's domain asks for, if that is so.
package struct DMARCDecision: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable {
        case accept
        case hold(Reason)
        case refuse(Reply, Reason)
    }

    /// Why another policy was applied than the published one (RFC 7489 App. C, `PolicyOverrideType`).
    package struct Override: Hashable, Sendable {
        package enum Kind: String, Hashable, Sendable {
            case forwarded
            case sampledOut = "sampled_out"
            case trustedForwarder = "trusted_forwarder"
            case mailingList = "mailing_list"
            case localPolicy = "local_policy"
            case other
        }

        package let kind: Kind
        package let comment: String

        package init(_ kind: Kind, _ comment: String) {
            self.kind = kind
            self.comment = comment
        }
    }

    package let verdict: Verdict
    /// What the message got, in the words of reports.
    package let disposition: DMARCPolicy
    package let overrides: [Override]

    private init(_ verdict: Verdict, _ disposition: DMARCPolicy, _ overrides: [Override] = []) {
        self.verdict = verdict
        self.disposition = disposition
        self.overrides = overrides
    }

    /// Nothing speaks against the message.
    package static let accepted = DMARCDecision(.accept, .none)

    /// Of several author domains. What is known or believed of one, by an override or a sealer, says nothing of another:
    /// whoever is allowed to use the one name would put the other beside it.
    package static func strictest(_ decisions: [DMARCDecision]) -> DMARCDecision {
        decisions.max { ($0.verdict.rank, $0.disposition) < ($1.verdict.rank, $1.disposition) } ?? .accepted
    }

    /// For one author domain.
    ///
    /// - Parameters:
    ///   - trust: why a message that fails is believed all the same; nil if nobody vouches for it.
    ///   - facts: what was found, for the log.
    package init(_ result: DMARCResult, _ options: DMARCOptions, trust: Override?, facts: [String]) {
        let from = result.fromDomain?.ascii ?? ""
        switch result.outcome {
        case .pass, .none: self = .accepted
        case .temperror: self.init(temporary: result, options, from, trust, facts)
        case .permerror: self.init(malformed: result, options, from, trust, facts)
        case .fail:
            let override = options.override(of: result.fromDomain)
            var overrides = [Override]()
            if let override, override != result.disposition {
                overrides.append(Override(.localPolicy, "override for \(from)"))
            } else if result.disposition != result.policy {
                overrides.append(Override(.sampledOut, result.reasons.joined(separator: "; ")))
            }
            self.init(
                failed: result, override ?? result.disposition, options, trust, overrides,
                Reason(
                    "policy \((override ?? result.disposition).rawValue)", from,
                    override == nil ? "published at _dmarc.\(result.policyDomain?.ascii ?? from)" : "override", facts))
        }
    }

    private init(
        failed result: DMARCResult, _ wanted: DMARCPolicy, _ options: DMARCOptions, _ trust: Override?,
        _ overrides: [Override], _ reason: Reason
    ) {
        let from = reason.key ?? ""
        if let trust, wanted != .none {
            self.init(.accept, .none, overrides + [trust])
            return
        }
        switch wanted {
        case .none: self.init(.accept, .none, overrides)
        case .reject where options.reject:
            // RFC 7489 §10.3; a name only, because anybody can have chosen the address.
            let reply = Reply(
                550, .init(7, 1),
                "The message is not from \(from), whose DMARC policy is to reject it: neither SPF nor DKIM passed for that domain"
            )
            self.init(.refuse(reply, reason), .reject, overrides)
        case .quarantine, .reject:
            let all = wanted == .reject ? overrides + [Override(.localPolicy, "reject is not honoured")] : overrides
            self.init(options.quarantine == .hold ? .hold(reason) : .accept, .quarantine, all)
        }
    }

    /// Never refused for good (SEMANTICS §18), nor let pass where the policy is known: a sender can provoke the error
    /// by a signature in the author's name whose selector lies below a server that does not answer.
    private init(
        temporary result: DMARCResult, _ options: DMARCOptions, _ from: String, _ trust: Override?, _ facts: [String]
    ) {
        let isDeferred =
            switch options.temperror {
            case .mark: false
            case .deferIfPolicy: (options.override(of: result.fromDomain) ?? result.policy) != .none
            case .defer: true
            }
        guard isDeferred, trust == nil else {
            self = .accepted
            return
        }
        let reply = Reply(451, .init(7, 1), "Whether the message is from \(from) cannot be found out now")
        let reason = Reason("temperror", from, result.reasons.joined(separator: "; "), facts)
        self.init(.refuse(reply, reason), .none)
    }

    /// A broken record harms nobody but its owner; a From that cannot be judged might be anybody's.
    private init(
        malformed result: DMARCResult, _ options: DMARCOptions, _ from: String, _ trust: Override?, _ facts: [String]
    ) {
        guard let fault = result.fromFault, trust == nil else {
            self = .accepted
            return
        }
        let reason = Reason("malformed_from", from, fault.rawValue, facts)
        switch options.malformedFrom {
        case .mark: self = .accepted
        case .hold: self.init(.hold(reason), .quarantine)
        case .reject: self.init(.refuse(fault.reply, reason), .reject)
        }
    }
}

extension DMARCDecision.Verdict {
    /// A refusal for good is stricter than one for now, because no second try changes what it rests on.
    fileprivate var rank: Int {
        switch self {
        case .accept: 0
        case .hold: 1
        case .refuse(let reply, _): reply.outcome == .permanent ? 3 : 2
        }
    }
}

extension FromField.Fault {
    /// RFC 3463: 3.4 is a message that is too big, 6.0 something about its content.
    fileprivate var reply: Reply {
        switch self {
        case .headerTooLarge: Reply(552, .init(3, 4), "The header of the message is too large")
        case .noField: Reply(550, .init(6, 0), "The message has no From field")
        case .severalFields: Reply(550, .init(6, 0), "The message has several From fields")
        case .noDomain: Reply(550, .init(6, 0), "The From field has no address, or one without a domain name")
        case .tooManyDomains:
            Reply(550, .init(6, 0), "The From field names more than \(FromField.maximumDomains) domains")
        }
    }
}

extension Reason {
    fileprivate init(_ restriction: String, _ key: String, _ value: String, _ facts: [String]) {
        self.init(stage: "dmarc", restriction: restriction)
        self.key = key
        self.value = value
        self.facts = facts
    }
}

extension DMARCOptions {
    /// For the domain itself, or else for the nearest above it.
    func override(of domain: DomainName?) -> DMARCPolicy? {
        var name = domain?.ascii ?? ""
        while !name.isEmpty {
            if let found = self.overrides.values.first(where: { DomainName($0.key)?.ascii == name })?.value {
                switch found {
                case .none: return DMARCPolicy.none
                case .quarantine: return .quarantine
                case .reject: return .reject
                }
            }
            name = name.firstIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? ""
        }
        return nil
    }
}
