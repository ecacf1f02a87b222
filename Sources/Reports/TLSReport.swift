import Mail

/// What one domain is told of one day: the document of RFC 8460 §4.4.
package struct TLSReport: DailyReport {
    package struct Row: Hashable, Sendable {
        package let result: TransportRow
        package let count: UInt64

        package init(_ result: TransportRow, count: UInt64) {
            self.result = result
            self.count = count
        }
    }

    package let reporter: Reporter
    package let day: ReportDay
    /// The domain the mail was for.
    package let domain: String
    package let rows: [Row]

    package init(reporter: Reporter, day: ReportDay, domain: String, rows: [Row]) {
        self.reporter = reporter
        self.day = day
        self.domain = domain
        self.rows = rows
    }

    /// A report that goes by mail must not be kept by what it tells of (RFC 8460 §3).
    package static let format = ReportFormat(
        title: "TLS report (RFC 8460)", mark: "tls.", messageType: "multipart/report; report-type=tlsrpt",
        mediaType: "application/tlsrpt+gzip", tls: .optional)
    package var fileSuffix: String { "!\(String(self.reportID.fingerprint, radix: 16)).json.gz" }
    /// RFC 8460 §5.3, RFC 8689 §5.
    package var headerFields: [String] {
        [
            "TLS-Report-Domain: \(self.domain)", "TLS-Report-Submitter: \(self.reporter.hostname)",
            "TLS-Required: No",
        ]
    }

    package func write(_ handOver: ([UInt8]) -> Void) {
        var json = JSONWriter()
        json.object { json in
            json.text("organization-name", self.reporter.organization)
            json.object("date-range") { range in
                range.text("start-datetime", self.day.start.internetDate)
                range.text("end-datetime", self.day.lastSecond.internetDate)
            }
            json.text("contact-info", self.reporter.email)
            json.text("report-id", self.reportID)
            json.array("policies") { policies in
                for part in self.parts {
                    policies.object { part.write(&$0) }
                    handOver(policies.take())
                }
            }
        }
        handOver(json.take())
    }

    /// What there is to tell of one policy.
    fileprivate struct Part {
        let policy: TransportObservation.Policy
        var succeeded: UInt64 = 0
        var failures: [(failure: TransportRow.Failure, count: UInt64)] = []
    }

    /// In the order in which the policies come first.
    private var parts: [Part] {
        var parts: [Part] = []
        var places: [TransportObservation.Policy: Int] = [:]
        for row in self.rows {
            let place = places[row.result.policy] ?? parts.count
            if place == parts.count {
                parts.append(Part(policy: row.result.policy))
                places[row.result.policy] = place
            }
            if let failure = row.result.failure {
                parts[place].failures.append((failure, row.count))
            } else {
                parts[place].succeeded = parts[place].succeeded.addedUpTo(row.count)
            }
        }
        return parts
    }
}

extension TLSReport.Part {
    fileprivate func write(_ json: inout JSONWriter) {
        json.object("policy") { policy in
            policy.text("policy-type", self.policy.type.rawValue)
            // Without a policy there is nothing that could stand in these.
            if !self.policy.strings.isEmpty { policy.texts("policy-string", self.policy.strings) }
            policy.text("policy-domain", self.policy.domain)
            if !self.policy.mxPatterns.isEmpty { policy.texts("mx-host", self.policy.mxPatterns) }
        }
        json.object("summary") { summary in
            summary.number("total-successful-session-count", self.succeeded)
            summary.number("total-failure-session-count", self.failures.reduce(0) { $0.addedUpTo($1.count) })
        }
        json.array("failure-details") { details in
            for (failure, count) in self.failures { details.object { failure.write(count, &$0) } }
        }
    }
}

extension TransportRow.Failure {
    fileprivate func write(_ count: UInt64, _ json: inout JSONWriter) {
        json.text("result-type", self.kind.rawValue)
        if let address = self.sendingAddress { json.text("sending-mta-ip", "\(address)") }
        if let host = self.receivingHost { json.text("receiving-mx-hostname", host) }
        if let address = self.receivingAddress { json.text("receiving-ip", "\(address)") }
        json.number("failed-session-count", count)
        if let reason = self.reason { json.text("failure-reason-code", reason) }
    }
}

extension UInt64 {
    /// Counts on the disk are what they are: the sum does not trap.
    fileprivate func addedUpTo(_ other: UInt64) -> UInt64 {
        let (sum, overflows) = self.addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}

extension Timestamp {
    /// RFC 3339 in whole seconds, as the examples of RFC 8460 have it.
    fileprivate var internetDate: String { "\(self.rfc3339.prefix(19))Z" }
}
