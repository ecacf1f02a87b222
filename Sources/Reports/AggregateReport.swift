import Mail

/// What one domain is told of one day: the document of RFC 7489 §7.2 and Appendix C.
///
/// A policy that changed within the day stands in it as it was last, which the RFC allows.
package struct AggregateReport: DailyReport {
    package struct Row: Hashable, Sendable {
        package let result: DMARCObservation.Result
        package let count: UInt64

        package init(_ result: DMARCObservation.Result, count: UInt64) {
            self.result = result
            self.count = count
        }
    }

    package let reporter: Reporter
    package let day: ReportDay
    package let policy: DMARCObservation.PublishedPolicy
    package let rows: [Row]

    package init(
        reporter: Reporter, day: ReportDay, policy: DMARCObservation.PublishedPolicy, rows: [Row]
    ) {
        self.reporter = reporter
        self.day = day
        self.policy = policy
        self.rows = rows
    }

    package static let format = ReportFormat(
        title: "DMARC aggregate report (RFC 7489)", mark: "", messageType: "multipart/mixed",
        mediaType: "application/gzip", tls: .unspecified)
    package var domain: String { self.policy.domain }
    package var fileSuffix: String { ".xml.gz" }
    package var headerFields: [String] { [] }

    package func write(_ handOver: ([UInt8]) -> Void) {
        var xml = XMLWriter()
        xml.declaration()
        xml.begin("feedback")
        xml.element("version", "1.0")
        self.writeMetadata(&xml)
        self.writePolicy(&xml)
        for row in self.rows {
            Self.write(row, &xml)
            handOver(xml.take())
        }
        xml.end()
        handOver(xml.take())
    }

    private func writeMetadata(_ xml: inout XMLWriter) {
        xml.begin("report_metadata")
        xml.element("org_name", self.reporter.organization)
        xml.element("email", self.reporter.email)
        if let contact = self.reporter.extraContact { xml.element("extra_contact_info", contact) }
        xml.element("report_id", self.reportID)
        xml.begin("date_range")
        xml.element("begin", "\(self.day.start.seconds)")
        xml.element("end", "\(self.day.lastSecond.seconds)")
        xml.end()
        xml.end()
    }

    private func writePolicy(_ xml: inout XMLWriter) {
        xml.begin("policy_published")
        xml.element("domain", self.policy.domain)
        xml.element("adkim", self.policy.dkimAlignment.name)
        xml.element("aspf", self.policy.spfAlignment.name)
        xml.element("p", self.policy.policy.name)
        xml.element("sp", self.policy.subdomainPolicy.name)
        // Only to who knows it: the schema of RFC 7489 does not.
        if let policy = self.policy.nonexistentPolicy { xml.element("np", policy.name) }
        xml.element("pct", "\(self.policy.percent)")
        xml.element("fo", self.policy.failureOptions)
        xml.end()
    }

    private static func write(_ row: Row, _ xml: inout XMLWriter) {
        let result = row.result
        xml.begin("record")
        xml.begin("row")
        xml.element("source_ip", "\(result.source)")
        xml.element("count", "\(row.count)")
        xml.begin("policy_evaluated")
        xml.element("disposition", result.disposition.name)
        xml.element("dkim", result.isDKIMAligned ? "pass" : "fail")
        xml.element("spf", result.isSPFAligned ? "pass" : "fail")
        for override in result.overrides {
            xml.begin("reason")
            xml.element("type", override.kind.name)
            if let comment = override.comment { xml.element("comment", comment) }
            xml.end()
        }
        xml.end()
        xml.end()
        xml.begin("identifiers")
        if let domain = result.envelopeTo { xml.element("envelope_to", domain) }
        xml.element("envelope_from", result.envelopeFrom)
        xml.element("header_from", result.headerFrom)
        xml.end()
        Self.writeResults(of: result, &xml)
        xml.end()
    }

    private static func writeResults(of result: DMARCObservation.Result, _ xml: inout XMLWriter) {
        xml.begin("auth_results")
        for signature in result.dkim {
            xml.begin("dkim")
            xml.element("domain", signature.domain)
            if let selector = signature.selector { xml.element("selector", selector) }
            xml.element("result", signature.outcome.name)
            if let human = signature.human { xml.element("human_result", human) }
            xml.end()
        }
        // The schema wants at least one.
        let none = DMARCObservation.SPF(domain: result.envelopeFrom, scope: .mailFrom, outcome: .none)
        for check in result.spf.isEmpty ? [none] : result.spf {
            xml.begin("spf")
            xml.element("domain", check.domain)
            xml.element("scope", check.scope.name)
            xml.element("result", check.outcome.name)
            xml.end()
        }
        xml.end()
    }
}

// MARK: - The words of the schema

extension DMARCObservation.PublishedPolicy.Alignment {
    var name: String {
        switch self {
        case .relaxed: "r"
        case .strict: "s"
        }
    }
}

extension DMARCObservation.PublishedPolicy.Action {
    var name: String { "\(self)" }
}

extension DMARCObservation.Override.Kind {
    var name: String {
        switch self {
        case .forwarded: "forwarded"
        case .sampledOut: "sampled_out"
        case .trustedForwarder: "trusted_forwarder"
        case .mailingList: "mailing_list"
        case .localPolicy: "local_policy"
        case .other: "other"
        }
    }
}

extension DMARCObservation.DKIM.Outcome {
    var name: String { "\(self)" }
}

extension DMARCObservation.SPF.Outcome {
    var name: String { "\(self)" }
}

extension DMARCObservation.SPF.Scope {
    var name: String {
        switch self {
        case .helo: "helo"
        case .mailFrom: "mfrom"
        }
    }
}
