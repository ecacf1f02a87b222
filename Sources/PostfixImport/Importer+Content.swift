import Rules

/// Header and body checks.
extension Importer {
    mutating func convertContent() {
        let cleanup = self.services.cleanup
        let checks: [(String, ContentClass)] = [
            ("header_checks", .header), ("mime_header_checks", .mimeHeader), ("nested_header_checks", .nestedHeader),
            ("body_checks", .body),
        ]
        var hasChecks = false
        for (name, contentClass) in checks {
            let value = self.value(name, in: cleanup)
            // By default the others are those for the header, here too.
            guard value.isSet else { continue }
            var items: [YAMLWriter.Item] = []
            for word in value.words {
                guard let table = self.table(word, .content(contentClass), of: value) else { continue }
                items.append(.init(text: table.name))
            }
            hasChecks = hasChecks || !items.isEmpty
            guard !items.isEmpty || (name != "header_checks" && name != "body_checks") else {
                self.mark(
                    value, value.isEmpty ? .default : .unsupported,
                    why: value.isEmpty ? nil : "no table of it can be had")
                continue
            }
            self.set("content.\(name)", .list(items), from: value)
        }
        if hasChecks {
            self.convertSize("body_checks_size_limit", "content.body_checks_size_limit", standard: 51_200, cleanup)
        }
        self.convertVerification()
    }

    // MARK: Asking the primary

    private mutating func convertVerification() {
        guard self.usesVerification else { return }
        let service = self.services.smtpd
        self.convertTime(
            "address_verify_positive_expire_time", "callout.positive_expire", unit: "d", standard: 31 * 86_400)
        self.convertTime(
            "address_verify_positive_refresh_time", "callout.positive_refresh", unit: "d", standard: 7 * 86_400)
        self.convertTime(
            "address_verify_negative_expire_time", "callout.negative_expire", unit: "d", standard: 3 * 86_400)
        self.convertTime(
            "address_verify_negative_refresh_time", "callout.negative_refresh", unit: "h", standard: 3 * 3600)
        self.convertNumber("unverified_recipient_reject_code", "callout.reject", standard: 450, service)
        let sender = self.value("address_verify_sender")
        guard sender.isSet else { return }
        switch sender.text {
        case "", "<>": self.set("callout.sender", .scalar("null"), from: sender)
        case "double-bounce": self.mark(sender, .default)
        case let text where text.contains("@"): self.set("callout.sender", .scalar(text), from: sender)
        case let text:
            self.set("callout.sender", .scalar("\(text)@\(self.value("myhostname").text)"), from: sender)
        }
    }
}
