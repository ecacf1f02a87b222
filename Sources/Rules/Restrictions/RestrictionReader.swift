package import Mail

/// Makes restrictions of their names.
package struct RestrictionReader {
    /// Reads a table by the name that stands in the configuration.
    private let table: (String) throws(OptionProblem) -> RuleTable
    /// Says what is wrong with the name of a policy service.
    private let serviceProblem: (String) -> String?
    private let classes: [String: RestrictionList]

    package init(
        classes: [String: RestrictionList], table: @escaping (String) throws(OptionProblem) -> RuleTable,
        serviceProblem: @escaping (String) -> String?
    ) {
        self.classes = classes
        self.table = table
        self.serviceProblem = serviceProblem
    }

    /// - Parameters:
    ///   - name: in any letters.
    ///   - argument: what stands behind it; nil if nothing does.
    /// - Throws: why there is no such restriction.
    package func restriction(_ name: String, _ argument: String?) throws(OptionProblem) -> Restriction {
        let key = name.asciiLowercased
        if let plain = Self.plain[key] {
            guard argument == nil else { throw OptionProblem("\(name) takes no argument") }
            return plain
        }
        if let hint = Self.removed[key] { throw OptionProblem("there is no \(name): \(hint)") }
        if let list = self.classes[name] {
            guard argument == nil else { throw OptionProblem("\(name) takes no argument") }
            return .list(list)
        }
        if let subject = Self.access[key] { return .access(subject, try self.table(argument, for: name)) }
        if let (subject, record) = Self.serverAccess[key] {
            return .serverAccess(subject, record, try self.table(argument, for: name))
        }
        if let subject = Self.domainLists[key] {
            return .domainList(subject, try Self.dnsList(argument, for: name), permits: false)
        }
        return try self.other(key, name, argument)
    }

    /// For names on the right-hand side of a table, which can name neither tables nor services.
    package init(classes: [String: RestrictionList]) {
        self.init(
            classes: classes,
            table: { (name: String) throws(OptionProblem) -> RuleTable in
                throw OptionProblem("\(name): a table cannot name a table")
            }, serviceProblem: { _ in nil })
    }

    /// Reads restrictions of which each may be followed by what it takes: `warn_if_reject reject_rbl_client LIST`.
    package func list(
        _ name: String, words: [String], file: String?, line: Int?
    ) throws(OptionProblem) -> RestrictionList {
        var items: [RestrictionList.Item] = []
        var onlyWarns = false
        var rest = words[...]
        while let word = rest.popFirst() {
            if word.equalsIgnoringCase("warn_if_reject") {
                onlyWarns = true
                continue
            }
            let argument = Self.takesArgument(word) ? rest.popFirst() : nil
            let text = argument.map { "\(word) \($0)" } ?? word
            items.append(
                .init(try self.restriction(word, argument), text: text, onlyWarns: onlyWarns, file: file, line: line))
            onlyWarns = false
        }
        return RestrictionList(name: name, items: items)
    }

    package static func takesArgument(_ name: String) -> Bool {
        let key = name.asciiLowercased
        return self.access[key] != nil || self.serverAccess[key] != nil || self.domainLists[key] != nil
            || self.others.contains(key)
    }

    private func other(_ key: String, _ name: String, _ argument: String?) throws(OptionProblem) -> Restriction {
        switch key {
        case "reject_rbl_client", "reject_rbl":
            return .addressList(try Self.dnsList(argument, for: name), permits: false)
        case "permit_dnswl_client": return .addressList(try Self.dnsList(argument, for: name), permits: true)
        case "permit_rhswl_client": return .domainList(.client, try Self.dnsList(argument, for: name), permits: true)
        case "check_policy_service":
            guard let argument else { throw OptionProblem("\(name) needs a service such as inet:127.0.0.1:10023") }
            if let problem = self.serviceProblem(argument) { throw OptionProblem(problem) }
            return .policyService(argument)
        case "sleep":
            guard let argument, let seconds = Int(argument), (0...300).contains(seconds) else {
                throw OptionProblem("sleep needs a number of seconds, at most 300")
            }
            return .sleep(.seconds(seconds))
        case "check_ccert_access": return .certificateAccess(try self.table(argument, for: name))
        case "check_sasl_access":
            _ = try self.table(argument, for: name)
            return Self.noAuthentication
        default:
            let known = Self.names.first { $0.hasPrefix(key) || key.hasPrefix($0) || Self.isClose($0, key) }
            throw OptionProblem("there is no restriction '\(name)'\(known.map { ", did you mean '\($0)'?" } ?? "")")
        }
    }

    private func table(_ argument: String?, for name: String) throws(OptionProblem) -> RuleTable {
        guard let argument, argument.contains(":") else {
            throw OptionProblem(
                "\(name) needs a table such as texthash:\(name.hasPrefix("check_") ? String(name.dropFirst(6)) : "access")"
            )
        }
        return try self.table(argument)
    }

    private static func dnsList(_ argument: String?, for name: String) throws(OptionProblem) -> DNSList {
        guard let argument else { throw OptionProblem("\(name) needs the domain of a list") }
        return try DNSList(argument)
    }

    private static func isClose(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && zip(left.utf8, right.utf8).count { $0 != $1 } < 3
    }
}

extension RestrictionReader {
    /// Every name that is a restriction, classes aside.
    package static var names: [String] {
        plain.keys.sorted() + access.keys.sorted() + serverAccess.keys.sorted() + domainLists.keys.sorted()
            + others + ["warn_if_reject"]
    }

    /// Those of ``other(_:_:_:)``, which take an argument.
    private static let others = [
        "reject_rbl_client", "reject_rbl", "permit_dnswl_client", "permit_rhswl_client", "check_policy_service",
        "sleep", "check_ccert_access", "check_sasl_access",
    ]

    private static let noAuthentication = Restriction.nothing("clients do not authenticate themselves here")

    private static let plain: [String: Restriction] = [
        "permit": .permit, "reject": .reject, "defer": .defer,
        "defer_if_permit": .deferIfPermit, "defer_if_reject": .deferIfReject,
        "permit_mynetworks": .permitNetworks, "permit_inet_interfaces": .permitLocalClient,
        "permit_auth_destination": .permitAuthorizedDestination,
        "reject_unauth_destination": .rejectUnauthorizedDestination(isTemporary: false),
        "defer_unauth_destination": .rejectUnauthorizedDestination(isTemporary: true),
        "reject_unauth_pipelining": .rejectUnauthorizedPipelining,
        "reject_plaintext_session": .rejectPlaintextSession,
        "reject_multi_recipient_bounce": .rejectMultiRecipientNotice,
        "reject_unknown_client_hostname": .rejectUnknownClientName,
        "reject_unknown_client": .rejectUnknownClientName,
        "reject_unknown_reverse_client_hostname": .rejectUnknownReverseClientName,
        "reject_invalid_helo_hostname": .rejectInvalidHELO, "reject_invalid_hostname": .rejectInvalidHELO,
        "reject_non_fqdn_helo_hostname": .rejectNonFQDNHELO, "reject_non_fqdn_hostname": .rejectNonFQDNHELO,
        "reject_unknown_helo_hostname": .rejectUnknownHELO, "reject_unknown_hostname": .rejectUnknownHELO,
        "reject_non_fqdn_sender": .rejectNonFQDN(.sender), "reject_non_fqdn_recipient": .rejectNonFQDN(.recipient),
        "reject_unknown_sender_domain": .rejectUnknownDomain(.sender),
        "reject_unknown_address": .rejectUnknownDomain(.sender),
        "reject_unknown_recipient_domain": .rejectUnknownDomain(.recipient),
        "reject_unlisted_sender": .rejectUnlisted(.sender), "reject_unlisted_recipient": .rejectUnlisted(.recipient),
        "check_recipient_maps": .rejectUnlisted(.recipient),
        "reject_unverified_sender": .rejectUnverified(.sender),
        "reject_unverified_recipient": .rejectUnverified(.recipient),
        "check_spf": .checkSPF, "greylist": .greylist,
        "permit_tls_clientcerts": .permitListedCertificate, "permit_tls_all_clientcerts": .permitTrustedCertificate,
        "permit_sasl_authenticated": noAuthentication, "reject_sender_login_mismatch": noAuthentication,
        "reject_authenticated_sender_login_mismatch": noAuthentication,
        "reject_known_sender_login_mismatch": noAuthentication,
        "reject_unauthenticated_sender_login_mismatch": noAuthentication,
    ]

    /// Names that Postfix once had, or that make an open relay.
    static let removed: [String: String] = [
        "check_relay_domains": "write reject_unauth_destination",
        "reject_maps_rbl": "write reject_rbl_client with the domain of a list",
        "permit_naked_ip_address": "write permit_mynetworks",
        "permit_mx_backup": "list the domains in relay_domains; whoever sets an MX record would decide who relays",
    ]

    private static let access: [String: Restriction.NameSubject] = [
        "check_client_access": .client, "check_reverse_client_hostname_access": .reverseClient,
        "check_helo_access": .helo, "check_sender_access": .sender, "check_recipient_access": .recipient,
    ]

    private static let serverAccess: [String: (Restriction.NameSubject, Restriction.ServerRecord)] = {
        var names: [String: (Restriction.NameSubject, Restriction.ServerRecord)] = [:]
        let subjects: [(String, Restriction.NameSubject)] = [
            ("client", .client), ("reverse_client_hostname", .reverseClient), ("helo", .helo), ("sender", .sender),
            ("recipient", .recipient),
        ]
        let records: [(String, Restriction.ServerRecord)] = [("a", .a), ("mx", .mx), ("ns", .ns)]
        for (subjectName, subject) in subjects {
            for (recordName, record) in records {
                names["check_\(subjectName)_\(recordName)_access"] = (subject, record)
            }
        }
        return names
    }()

    private static let domainLists: [String: Restriction.NameSubject] = [
        "reject_rhsbl_client": .client, "reject_rhsbl_reverse_client": .reverseClient, "reject_rhsbl_helo": .helo,
        "reject_rhsbl_sender": .sender, "reject_rhsbl_recipient": .recipient,
    ]
}
