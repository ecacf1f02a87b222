import Mail
import Rules

/// A restriction as it stands in a list of Postfix.
struct PostfixRestriction {
    let name: String
    let argument: String?
    var onlyWarns = false
}

extension Importer {
    static let restrictionLists: [(parameter: String, key: String, check: String?)] = [
        ("smtpd_client_restrictions", "client", "check_client_access"),
        ("smtpd_helo_restrictions", "helo", "check_helo_access"),
        ("smtpd_sender_restrictions", "sender", "check_sender_access"),
        ("smtpd_relay_restrictions", "relay", "check_recipient_access"),
        ("smtpd_recipient_restrictions", "recipient", "check_recipient_access"),
        ("smtpd_data_restrictions", "data", nil), ("smtpd_end_of_data_restrictions", "end_of_data", nil),
    ]

    var classNames: [String] { self.value("smtpd_restriction_classes", in: self.services.smtpd).words }

    mutating func convertRestrictions() {
        let smtpd = self.services.smtpd
        var lists: [(key: String, value: Value, items: [YAMLWriter.Item])] = []
        for (parameter, key, check) in Self.restrictionLists {
            let value = self.value(parameter, in: smtpd)
            let read = self.read(value, usual: check)
            self.warnOfOrder(read, value, list: key)
            lists.append((key, value, self.items(read, value, list: key)))
        }
        self.closeRelay(&lists)
        self.refuseOwnNames(&lists)
        for (key, value, items) in lists {
            guard key == "relay" || !items.isEmpty else {
                if value.isSet, self.fate(value.name) == nil { self.mark(value, .default) }
                continue
            }
            self.set("restrictions.\(key)", .list(items), from: value)
        }
        self.convertClasses(smtpd)
        self.convertDelay()
        self.warnOfRelayOrder(lists.contains { $0.key == "recipient" && !$0.items.isEmpty })
        self.warnOfParents(smtpd)
    }

    private mutating func convertClasses(_ smtpd: MasterFile.Service?) {
        let names = self.classNames
        guard !names.isEmpty else { return }
        let classes = self.value("smtpd_restriction_classes", in: smtpd)
        for name in names {
            let value = self.value(name, in: smtpd)
            let items = self.items(self.read(value, usual: nil), value, list: name)
            self.yaml.set(path: ["restriction_classes", name], .list(items), comments: [self.comment(value)])
            self.mark(name, .converted, key: "restriction_classes.\(name)")
        }
        self.mark(classes, .converted, key: "restriction_classes")
    }

    private mutating func convertDelay() {
        let delay = self.value("smtpd_delay_reject", in: self.services.smtpd)
        if delay.isYes { return self.mark(delay, .default) }
        self.set("reject_delayed", .scalar("false"), from: delay)
        self.warn(
            delay,
            "smtpd_delay_reject = no: refusals of smtpd_client_restrictions, which Postfix gives instead of the "
                + "greeting, come at HELO; the log of refused mail has no recipients")
    }

    /// Until level 3.6 Postfix asks the relay list behind that of recipients.
    private mutating func warnOfRelayOrder(_ hasRecipientList: Bool) {
        let order = self.value("smtpd_relay_before_recipient_restrictions", in: self.services.smtpd)
        let relay = self.value("smtpd_relay_restrictions", in: self.services.smtpd)
        guard !order.isYes, hasRecipientList, relay.isSet, !relay.isEmpty else { return }
        self.warn(
            relay,
            "Postfix asks smtpd_relay_restrictions behind smtpd_recipient_restrictions here (compatibility_level below "
                + "3.6); Postern asks them first: who is refused by both gets another code and text, and nobody else")
    }

    /// Whether `example.com` in an access table also stands for what is below it.
    private mutating func warnOfParents(_ smtpd: MasterFile.Service?) {
        let parents = self.value("parent_domain_matches_subdomains")
        guard parents.isSet, !parents.words.contains("smtpd_access_maps") else { return }
        self.warn(
            parents,
            "smtpd_access_maps is not in parent_domain_matches_subdomains: in Postfix 'example.com' in an access table "
                + "then stands for itself alone and '.example.com' for what is below; here the first stands for both, "
                + "and the second for nothing")
    }

    // MARK: Reading

    /// Takes a list apart. A table alone means the check that the list usually makes.
    func read(_ value: Value, usual: String?) -> [PostfixRestriction] {
        var result: [PostfixRestriction] = []
        var onlyWarns = false
        var rest = value.words[...]
        while let word = rest.popFirst() {
            if word.equalsIgnoringCase("warn_if_reject") {
                onlyWarns = true
                continue
            }
            var restriction = PostfixRestriction(name: word, argument: nil)
            if Self.takesArgument(word) {
                restriction = PostfixRestriction(name: word.lowercased(), argument: rest.popFirst())
            } else if word.contains(":"), let usual {
                restriction = PostfixRestriction(name: usual, argument: word)
            }
            restriction.onlyWarns = onlyWarns
            onlyWarns = false
            result.append(restriction)
        }
        return result
    }

    private static func takesArgument(_ word: String) -> Bool {
        let key = word.lowercased()
        return RestrictionReader.takesArgument(key) || (key.hasPrefix("check_") && key.hasSuffix("_access"))
    }

    // MARK: Writing

    private mutating func items(
        _ restrictions: [PostfixRestriction], _ value: Value, list: String
    ) -> [YAMLWriter.Item] {
        restrictions.flatMap { restriction in
            self.items(restriction, value, list: list).map { item in
                guard restriction.onlyWarns else { return item }
                return YAMLWriter.Item(text: "warn_if_reject \(item.text)", comment: item.comment)
            }
        }
    }

    private mutating func items(_ restriction: PostfixRestriction, _ value: Value, list: String) -> [YAMLWriter.Item] {
        let name = restriction.name
        let key = name.asciiLowercased
        if self.classNames.contains(name) { return [.init(text: name)] }
        if Self.logins.contains(key) { return self.leaveOutLogin(key, value) }
        if let items = self.obsolete(key, value) { return items }
        let current = Self.renamedRestrictions[key] ?? key
        guard RestrictionReader.names.contains(current), !["check_spf", "greylist"].contains(current) else {
            return self.leaveOutUnknown(name, value, list)
        }
        guard RestrictionReader.takesArgument(current) else { return self.plain(current, value) }
        guard let argument = restriction.argument else {
            self.warn(
                value, word: name, "\(name) has nothing behind it: left out; Postfix answers 451 to all mail there")
            return []
        }
        switch current {
        case "check_policy_service": return self.policyService(argument, value, list: list)
        case "sleep": return self.sleep(argument, value)
        case "check_sasl_access": return self.leaveOutLogin(key, value)
        case _ where current.hasPrefix("check_"):
            guard let table = self.table(argument, current == "check_ccert_access" ? .fingerprints : .access, of: value)
            else { return [] }
            return [.init(text: "\(current) \(table.name)")]
        default: return self.dnsList(current, argument, value)
        }
    }

    private mutating func sleep(_ argument: String, _ value: Value) -> [YAMLWriter.Item] {
        guard let seconds = Int(argument), seconds >= 0 else {
            self.warn(value, word: argument, "sleep \(argument): not a number of seconds: left out")
            return []
        }
        if seconds > 300 { self.warn(value, word: argument, "sleep \(argument): Postern sleeps at most 300 seconds") }
        return [.init(text: "sleep \(min(seconds, 300))")]
    }

    private mutating func plain(_ name: String, _ value: Value) -> [YAMLWriter.Item] {
        if name == "permit_tls_clientcerts" || name == "permit_tls_all_clientcerts" { self.convertClientCertificates() }
        if name == "reject_unverified_recipient" || name == "reject_unverified_sender" { self.usesVerification = true }
        return [.init(text: name)]
    }

    /// Restrictions about who has logged in.
    private static let logins: Set<String> = [
        "permit_sasl_authenticated", "reject_sender_login_mismatch", "reject_authenticated_sender_login_mismatch",
        "reject_known_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch", "check_sasl_access",
    ]

    private mutating func leaveOutLogin(_ name: String, _ value: Value) -> [YAMLWriter.Item] {
        self.mark(value, .converted, why: "\(name) is left out: nobody logs in here")
        let refuses = ["reject_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch"].contains(name)
        if refuses || name == "reject_known_sender_login_mismatch",
            self.value("smtpd_sasl_auth_enable", in: self.services.smtpd).isYes
        {
            self.warn(
                value, word: name,
                "\(name) also refuses strangers who use a sender of smtpd_sender_login_maps: here they are not refused "
                    + "by it; refuse your own domains as senders with check_sender_access behind permit_mynetworks")
        }
        return []
    }

    static let renamedRestrictions: [String: String] = [
        "reject_unknown_client": "reject_unknown_client_hostname",
        "reject_unknown_hostname": "reject_unknown_helo_hostname",
        "reject_invalid_hostname": "reject_invalid_helo_hostname",
        "reject_non_fqdn_hostname": "reject_non_fqdn_helo_hostname", "reject_rbl": "reject_rbl_client",
        "reject_unknown_address": "reject_unknown_sender_domain", "check_recipient_maps": "reject_unlisted_recipient",
    ]

    /// Names that Postfix 3.9 and later answer with 451 to all mail, or that mean what nobody should want.
    private mutating func obsolete(_ key: String, _ value: Value) -> [YAMLWriter.Item]? {
        switch key {
        case "reject_maps_rbl":
            let lists = self.value("maps_rbl_domains")
            self.warn(
                value, word: key,
                "reject_maps_rbl is obsolete: Postfix since 3.9 answers 451 to all mail that gets there; it becomes "
                    + "reject_rbl_client for each of maps_rbl_domains")
            self.mark(lists, .converted, key: "restrictions")
            return lists.words.flatMap { self.dnsList("reject_rbl_client", $0, value) }
        case "check_relay_domains":
            self.warn(
                value, word: key,
                "check_relay_domains is obsolete: Postfix since 3.9 answers 451 to all mail that gets there; it "
                    + "becomes reject_unauth_destination")
            return [.init(text: "reject_unauth_destination")]
        case "permit_naked_ip_address":
            self.warn(
                value, word: key,
                "permit_naked_ip_address is obsolete: Postfix since 3.9 answers 451 to all mail that gets there, and "
                    + "before lets every client relay that greets with an address; it is left out")
            return []
        case "permit_mx_backup":
            self.warn(
                value, word: key,
                "permit_mx_backup is left out: whoever lets an MX record point here would decide what is relayed; list "
                    + "the domains in relay_domains, else their mail is refused")
            self.mark(
                value, .converted,
                why: "permit_mx_backup is left out: mail for domains that only MX records name is "
                    + "refused")
            return []
        default: return nil
        }
    }

    private mutating func leaveOutUnknown(_ name: String, _ value: Value, _ list: String) -> [YAMLWriter.Item] {
        if self.isDefined(name) || name.contains(":") {
            self.warn(
                value, word: name,
                "'\(name)' is no restriction and no class of smtpd_restriction_classes: left out; "
                    + "Postfix answers 451 to all mail that gets there")
        } else {
            self.warn(
                value, word: name,
                "there is no restriction '\(name)': left out; Postfix answers 451 to all mail that "
                    + "gets there")
        }
        self.mark(value, .converted, why: "'\(name)' is left out")
        return []
    }

    // MARK: DNS lists

    private mutating func dnsList(_ name: String, _ argument: String, _ value: Value) -> [YAMLWriter.Item] {
        do throws(OptionProblem) {
            let list = try DNSList(argument)
            if let why = DNSListWarnings.closed(list.zone) {
                self.warn(value, word: argument, why)
                return []
            }
            if list.filter == nil, !name.hasPrefix("permit_") {
                self.warn(value, word: argument, DNSListWarnings.unfiltered(list.zone))
            }
            return [.init(text: "\(name) \(argument)")]
        } catch {
            self.warn(value, word: argument, "\(name) \(argument): \(error.message); left out")
            return []
        }
    }
}
