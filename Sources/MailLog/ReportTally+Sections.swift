import Mail

extension ReportTally {
    package typealias Section = MailReport.Section
    fileprivate typealias Cell = MailReport.Cell
    fileprivate typealias Column = MailReport.Column

    /// The tables of what was counted.
    ///
    /// - Parameter top: rows of a table at most.
    package func sections(top: Int) -> [Section] {
        [
            self.totalsSection, self.hoursSection,
            self.volumes("sender_domains", "Sender domains", "domain", self.senderDomains, top),
            self.volumes("senders", "Senders", "address", self.senders, top),
            self.volumes(
                "senders_by_bytes", "Senders by size", "address", self.senders, top, by: \.bytes),
            self.domainsSection(top),
            self.volumes("recipients", "Recipients", "address", self.recipients, top),
            self.volumes(
                "recipients_by_bytes", "Recipients by size", "address", self.recipients, top, by: \.bytes),
            self.volumes("clients", "Clients that brought mail", "client", self.clients, top),
            self.counts("deferrals", "Why mail was put off", "reply", self.deferrals, top),
            self.counts("failures", "Why mail was given up", "reply", self.failures, top),
            self.refusals("restrictions", "Refused by restriction", "restriction", self.restrictions, top),
            self.refusals("rules", "Refused by rule", "rule", self.rules, top),
            self.counts("lists", "Refused by DNS list", "list", self.lists, top),
            self.counts("protocol_refusals", "Refused by the protocol and its limits", "reply", self.replies, top),
            self.counts("reject_warnings", "What would have been refused", "rule", self.warnings, top),
            self.counts("refused_clients", "Clients refused most", "client", self.refusedClients, top),
            self.counts("screener", "What the screener found", "result", self.screened, top),
            self.counts("screener_tests", "Failed tests of the screener", "test", self.tests, top),
            self.shares("tls_in", "TLS of those who brought mail", "protocol", self.incomingTLS),
            self.shares("tls_out", "TLS of what was delivered", "protocol", self.outgoingTLS),
            self.authenticationSection, self.alarmsSection,
        ]
    }

    private var totalsSection: Section {
        let totals = self.totals
        let rows: [(String, String, Cell)] = [
            ("received", "messages received", .count(totals.received)),
            ("received_bytes", "octets received", .bytes(totals.receivedBytes)),
            ("received_recipients", "recipients of these", .count(totals.receivedRecipients)),
            ("own", "notices and reports of ours", .count(totals.own)),
            ("delivered", "recipients delivered", .count(totals.delivered)),
            ("delivered_bytes", "octets delivered", .bytes(totals.deliveredBytes)),
            ("deferred", "deferrals of recipients", .count(totals.deferred)),
            ("failed", "recipients given up (bounced)", .count(totals.failed)),
            ("rejected", "refused for good (5yz)", .count(totals.rejected)),
            ("deferred_clients", "refused for now (4yz)", .count(totals.deferredClients)),
            ("greylisted", "of these greylisted", .count(totals.greylisted)),
            ("reject_warnings", "warnings instead of refusals", .count(totals.rejectWarnings)),
            ("held", "messages held", .count(totals.held)),
            ("discarded", "messages discarded", .count(totals.discarded)),
            ("deleted", "messages deleted by hand", .count(totals.deleted)),
            ("tls_failed", "failed TLS handshakes of clients", .count(totals.tlsFailures)),
            ("senders", "different senders", .count(self.senders.values.count)),
            ("recipients", "different recipients", .count(self.recipients.values.count)),
            ("clients", "different clients that brought mail", .count(self.clients.values.count)),
        ]
        var section = Section(
            "totals", "Totals", [Column("name", ""), Column("value", "")], rows.map { [.text($0.1), $0.2] })
        section.names = rows.map(\.0)
        if !self.senders.isExact || !self.recipients.isExact || !self.clients.isExact {
            section.remark = "There were too many senders, recipients or clients to tell all of them apart."
        }
        section.isShownEmpty = true
        return section
    }

    private var hoursSection: Section {
        let columns = [
            Column("hour", "hour"), Column("received", "received"), Column("delivered", "delivered"),
            Column("deferred", "deferred"), Column("failed", "failed"), Column("rejected", "refused"),
        ]
        let isQuiet = self.hours.allSatisfy {
            $0.received + $0.delivered + $0.deferred + $0.failed + $0.rejected == 0
        }
        let rows = self.hours.enumerated().map { number, hour -> [Cell] in
            let name = "\(number < 10 ? "0" : "")\(number)-\(number < 9 ? "0" : "")\(number + 1)"
            return [
                .text(name), .count(hour.received), .count(hour.delivered), .count(hour.deferred), .count(hour.failed),
                .count(hour.rejected),
            ]
        }
        return Section("hours", "By hour of the day", columns, isQuiet ? [] : rows)
    }

    private func volumes(
        _ key: String, _ title: String, _ what: String, _ counts: TopCounts<Volume>, _ top: Int,
        by number: @escaping (Volume) -> Int = { $0.messages }
    ) -> Section {
        let rows = counts.top(top, by: number).map { name, volume -> [Cell] in
            [.count(volume.messages), .bytes(volume.bytes), .text(name)]
        }
        let columns = [Column("messages", "messages"), Column("bytes", "size"), Column(what, what)]
        return Section(key, title, columns, rows).told(counts.isExact, of: counts.values.count)
    }

    private func domainsSection(_ top: Int) -> Section {
        let rows = self.recipientDomains.top(top).map { name, fate -> [Cell] in
            let mean = fate.delivered == 0 ? 0 : fate.delaySum / Double(fate.delivered)
            return [
                .count(fate.received), .bytes(fate.bytes), .count(fate.delivered), .count(fate.deferred),
                .count(fate.failed), .seconds(mean), .seconds(fate.longestDelay), .text(name),
            ]
        }
        let columns = [
            Column("received", "recv"), Column("bytes", "size"), Column("delivered", "deliv"),
            Column("deferred", "defer"), Column("failed", "fail"), Column("mean_delay", "mean delay"),
            Column("longest_delay", "longest"), Column("domain", "domain"),
        ]
        return Section("recipient_domains", "Recipient domains", columns, rows)
            .told(self.recipientDomains.isExact, of: self.recipientDomains.values.count)
    }

    private func counts(
        _ key: String, _ title: String, _ what: String, _ counts: TopCounts<Int>, _ top: Int
    ) -> Section {
        let rows = counts.top(top).map { name, count -> [Cell] in [.count(count), .text(name)] }
        return Section(key, title, [Column("count", "count"), Column(what, what)], rows)
            .told(counts.isExact, of: counts.values.count)
    }

    private func refusals(
        _ key: String, _ title: String, _ what: String, _ counts: TopCounts<Refusals>, _ top: Int
    ) -> Section {
        let rows = counts.top(top).map { name, refusals -> [Cell] in
            [.count(refusals.count), .text(name), .text(refusals.reply)]
        }
        let columns = [Column("count", "count"), Column(what, what), Column("reply", "latest reply")]
        return Section(key, title, columns, rows).told(counts.isExact, of: counts.values.count)
    }

    private func shares(_ key: String, _ title: String, _ what: String, _ counts: TopCounts<Int>) -> Section {
        let all = counts.values.values.reduce(0, +)
        let rows = counts.top(20).map { name, count -> [Cell] in
            [.count(count), .share(Double(count) / Double(max(1, all))), .text(name)]
        }
        return Section(key, title, [Column("count", "count"), Column("share", "share"), Column(what, what)], rows)
    }

    /// By what was looked at: SPF, DKIM, ARC, DMARC.
    private var authenticationSection: Section {
        let rows = self.authentication.values.sorted {
            ($0.key.mechanism, $1.value, $0.key) < ($1.key.mechanism, $0.value, $1.key)
        }
        .map { pair, count -> [Cell] in
            let parts = pair.split(separator: "=", maxSplits: 1)
            return [.count(count), .text(pair.mechanism), .text(parts.count > 1 ? String(parts[1]) : "")]
        }
        return Section(
            "authentication", "Authentication of what was received",
            [Column("count", "count"), Column("mechanism", "mechanism"), Column("result", "result")], rows)
    }

    private var alarmsSection: Section {
        let rows = self.alarms.map { alarm -> [Cell] in [.text(self.zone.text(alarm.time)), .text(alarm.text)] }
        var section = Section("alarms", "Alarms", [Column("time", "time"), Column("text", "alarm")], rows)
        if self.alarmsLeftOut > 0 { section.remark = "And \(self.alarmsLeftOut) more." }
        return section
    }
}

extension String {
    /// `spf` of `spf=pass`.
    fileprivate var mechanism: String { String(self.prefix { $0 != "=" }) }
}

extension MailReport.Section {
    /// With what is said of a table that does not show everything.
    fileprivate func told(_ isExact: Bool, of all: Int) -> Self {
        var section = self
        if !isExact {
            section.remark = "There were too many to count each; numbers of rare ones may be too low."
        } else if all > self.rows.count {
            section.remark = "The first \(self.rows.count) of \(all)."
        }
        return section
    }
}
