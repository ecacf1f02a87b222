import Mail

extension ReportTally {
    mutating func addQueued(_ line: LogLine) {
        let bytes = line.integer("bytes") ?? 0
        if line["held"] != nil { self.totals.held += 1 }
        guard line["session"] != nil else {
            self.totals.own += 1
            return
        }
        let recipients = line.integer("recipients") ?? line.recipients.count
        self.totals.received += 1
        self.totals.receivedBytes += bytes
        self.totals.receivedRecipients += recipients
        self.updateHour(line) { $0.received += 1 }
        let sender = line["from"] ?? ""
        self.senders.update(sender.shownSender) { $0.add(1, bytes) }
        self.senderDomains.update(sender.domainPart ?? sender.shownSender) { $0.add(1, bytes) }
        if let client = line.client { self.clients.update("\(client)") { $0.add(1, bytes) } }
        for recipient in line.countedRecipients {
            self.recipients.update(recipient.asciiLowercased) { $0.add(1, bytes) }
            self.recipientDomains.update(recipient.domainPart ?? recipient) { $0.received += 1 }
        }
        for domain in Set(line.countedRecipients.compactMap(\.domainPart)) {
            self.recipientDomains.update(domain) { $0.bytes += bytes }
        }
        self.incomingTLS.count(line["tls"].map { String($0.prefix { $0 != "/" }) } ?? "none")
        for result in (line["authentication"] ?? "").split(separator: " ") { self.authentication.count(String(result)) }
    }

    mutating func addOutcome(_ line: LogLine) {
        let count = line.integer("recipients") ?? line.recipients.count
        let reply = line["reply"] ?? "no reply"
        switch line.event {
        case "delivered":
            self.totals.delivered += count
            self.totals.deliveredBytes += line.integer("bytes") ?? 0
            self.updateHour(line) { $0.delivered += count }
            // `dane TLSv1.3/CIPHER/256`, or `none`.
            let words = (line["tls"] ?? "none").split(separator: " ")
            self.outgoingTLS.count(words.last.map { String($0.prefix { $0 != "/" }) } ?? "none")
        case "attempted":
            self.totals.deferred += count
            self.updateHour(line) { $0.deferred += count }
            self.deferrals.count(reply.withoutNames(of: line), count)
        case _:
            self.totals.failed += count
            self.updateHour(line) { $0.failed += count }
            self.failures.count(reply.withoutNames(of: line), count)
        }
        let age = line.seconds("age") ?? 0
        // The same fate for all of them: what the line had no room for is counted with the last domain it names.
        let named = line.countedRecipients.map { $0.domainPart ?? $0 }
        let left = max(0, count - named.count)
        for domain in named + (named.last.map { Array(repeating: $0, count: min(left, 100_000)) } ?? []) {
            self.recipientDomains.update(domain) { fate in
                switch line.event {
                case "delivered":
                    fate.delivered += 1
                    fate.delaySum += age
                    fate.longestDelay = max(fate.longestDelay, age)
                case "attempted": fate.deferred += 1
                case _: fate.failed += 1
                }
            }
        }
    }

    mutating func addRefusal(_ line: LogLine) {
        let reply = line["reply"] ?? ""
        if reply.hasPrefix("4") { self.totals.deferredClients += 1 } else { self.totals.rejected += 1 }
        self.updateHour(line) { $0.rejected += 1 }
        if let client = line.client { self.refusedClients.count("\(client)") }
        guard let restriction = line["restriction"] else {
            self.replies.count("\(line["command"] ?? "?"): \(reply.withoutNames(of: line))")
            return
        }
        if restriction.hasPrefix("greylist") { self.totals.greylisted += 1 }
        let list = line["list"].map { "\($0): " } ?? ""
        self.restrictions.update(list + restriction) { $0.note(reply) }
        if let rule = line["rule"] { self.rules.update(rule) { $0.note(reply) } }
        if restriction.hasPrefix("reject_rbl_") || restriction.hasPrefix("reject_rhsbl_") {
            let words = restriction.split(separator: " ")
            self.lists.count(words.count > 1 ? String(words[1].prefix { $0 != "=" }) : line["value"] ?? restriction)
        }
    }

    mutating func addScreened(_ line: LogLine) {
        let result = line["result"] ?? "?"
        self.screened.count(result)
        for test in (line["tests"] ?? "").split(separator: ",") { self.tests.count(String(test)) }
        // Whom they listed without consequences they have not blocked.
        guard result == "failed" else { return }
        for list in (line["lists"] ?? "").split(separator: ",") {
            let parts = list.split(separator: ":")
            guard let name = parts.first, parts.last?.hasPrefix("-") == false else { continue }
            self.lists.count(String(name))
        }
    }

    mutating func addNote(_ line: LogLine) {
        switch line["kind"] {
        case "reject_warning":
            self.totals.rejectWarnings += 1
            self.warnings.count(line["rule"] ?? line["restriction"] ?? "?")
        case "effect":
            if line["text"]?.hasPrefix("DISCARD") == true { self.totals.discarded += 1 }
        case _: break
        }
    }
}

extension Refusals {
    fileprivate mutating func note(_ reply: String) {
        self.count += 1
        self.reply = reply
    }
}

extension LogLine {
    /// Without one that was cut off because the field was full.
    var countedRecipients: [String] {
        let named = self.recipients
        guard let all = self.integer("recipients"), named.count < all, (self["to"]?.utf8.count ?? 0) > 380 else {
            return named
        }
        return named.dropLast()
    }
}

extension String {
    /// The null reverse-path as it is written in commands.
    fileprivate var shownSender: String { self.isEmpty ? "<>" : self.asciiLowercased }

    /// Addresses in a reply would make every one of them another.
    fileprivate func withoutNames(of line: LogLine) -> String {
        var text = self
        for name in line.addresses + [line["id"] ?? "", line["helo"] ?? ""] where name.utf8.count > 3 {
            text = text.replacing(name, with: "…")
        }
        if let client = line.client { text = text.replacing("\(client)", with: "…") }
        return text
    }
}
