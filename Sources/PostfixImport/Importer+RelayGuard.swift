import Mail

/// What must hold so that nobody relays who may not, and what the order of a list makes dangerous.
extension Importer {
    private enum End { case permits, refuses }

    private static let refusals: Set<String> = [
        "reject_unauth_destination", "defer_unauth_destination", "reject", "defer", "defer_if_permit",
    ]

    /// The first restriction that ends the way for every stranger.
    private static func end(_ items: [YAMLWriter.Item]) -> End? {
        for item in items {
            if item.text == "permit" { return .permits }
            if Self.refusals.contains(item.text) { return .refuses }
        }
        return nil
    }

    /// Puts `reject_unauth_destination` in where a stranger could send to anybody.
    mutating func closeRelay(_ lists: inout [(key: String, value: Value, items: [YAMLWriter.Item])]) {
        guard let relay = lists.firstIndex(where: { $0.key == "relay" }),
            let recipient = lists.firstIndex(where: { $0.key == "recipient" })
        else { return }
        if lists[relay].items.isEmpty, lists[relay].value.isSet {
            self.warn(
                lists[relay].value,
                "smtpd_relay_restrictions is empty: who may relay hangs on smtpd_recipient_restrictions alone, where a "
                    + "permit for another reason makes an open relay")
        }
        guard Self.end(lists[relay].items) != .refuses, Self.end(lists[recipient].items) != .refuses else { return }
        let value =
            lists[relay].value.isSet || !lists[recipient].value.isSet ? lists[relay].value : lists[recipient].value
        self.warn(
            value,
            "neither smtpd_relay_restrictions nor smtpd_recipient_restrictions keeps strangers from sending to "
                + "anybody: reject_unauth_destination is put in; without any such, Postfix refuses all mail or is an "
                + "open relay"
        )
        let place = lists[relay].items.firstIndex { $0.text == "permit" } ?? lists[relay].items.count
        lists[relay].items.insert(
            .init(text: "reject_unauth_destination", comment: "Not in the original, which was open here."), at: place)
    }

    /// Names of this machine below a relay domain that stands for all below it: Postfix looks at mydestination first, and
    /// refuses whom it does not know there. Relayed, their mail would come back to us by its MX, and then as a notice to
    /// whoever is named as its sender.
    mutating func refuseOwnNames(_ lists: inout [(key: String, value: Value, items: [YAMLWriter.Item])]) {
        guard !self.ownRelayedNames.isEmpty, let relay = lists.firstIndex(where: { $0.key == "relay" }) else { return }
        let pairs = self.ownRelayedNames.flatMap {
            ["{postmaster@\($0)=DUNNO}", "{\($0)=550 5.1.1 User unknown in local recipient table}"]
        }
        lists[relay].items.insert(
            .init(
                text: "{check_recipient_access: \"inline:{ \(pairs.joined(separator: ", ")) }\"}",
                comment: "Names of mydestination below a relay domain: nobody lives there.", isFlow: true),
            at: lists[relay].items.firstIndex { $0.text == "permit" } ?? lists[relay].items.count)
        self.warn(
            self.value("mydestination"),
            "\(self.ownRelayedNames.joined(separator: ", ")) lies below a relay domain: Postern delivers nothing here, so "
                + "all but its postmaster is refused")
    }

    /// - Parameter list: the key of the list.
    mutating func warnOfOrder(_ restrictions: [PostfixRestriction], _ value: Value, list: String) {
        guard value.isSet else { return }
        if let end = restrictions.firstIndex(where: {
            !$0.onlyWarns && ["permit", "reject", "defer"].contains($0.name.lowercased())
        }), end + 1 < restrictions.count {
            let after = restrictions[end + 1]
            self.warn(
                value, word: after.name,
                "\(after.name) and what stands behind it is never asked: '\(restrictions[end].name)' before it decides")
        }
        guard list == "recipient", self.value("smtpd_relay_restrictions", in: self.services.smtpd).isEmpty else {
            return
        }
        for restriction in restrictions {
            if Self.refusals.contains(restriction.name.lowercased()) { break }
            guard restriction.name.hasPrefix("check_"), restriction.name.hasSuffix("_access") else { continue }
            self.warn(
                value, word: restriction.name,
                "\(restriction.name) stands before reject_unauth_destination, and no smtpd_relay_restrictions hold: an "
                    + "OK in its table lets that client, sender or recipient relay to anybody")
        }
    }
}
