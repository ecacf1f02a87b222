import Daemon
import Foundation
import Mail
import Testing

/// What Prometheus reads, from figures that are given.
struct MetricsTests {
    /// A family as others see it: by its name in the table.
    private static func family(_ name: String) throws -> MetricFamily {
        try #require(MetricFamily.table.flatMap(\.families).first { $0.name == name })
    }

    @Test func `labels are escaped as the format wants it`() throws {
        var page = Exposition()
        page.add(try Self.family("postern_build_info"), ["a\\b\"c\nd ü"], 1)
        #expect(
            page.text == """
                # HELP postern_build_info Always 1; the label says what runs.
                # TYPE postern_build_info gauge
                postern_build_info{version="a\\\\b\\"c\\nd ü"} 1

                """)
    }

    @Test func `numbers are whole where they can be, and never less exact than they are`() {
        let numbers: [(Double, String)] = [
            (0, "0"), (-3, "-3"), (1_795_305_422.065659, "1795305422.065659"),
            (9_007_199_254_740_991, "9007199254740991"),
            (1e300, "1e+300"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ]
        for (number, text) in numbers { #expect(Exposition.number(number) == text) }
    }

    @Test func `a histogram counts what is at most its bound, and all of it in the last`() throws {
        var histogram = Histogram()
        for value in [0, 1, 1.001, 299, 1e9] { histogram.add(value) }
        histogram.add(-5, times: 2)
        var page = Exposition()
        page.add(try Self.family("postern_delivery_age_seconds"), histogram)
        let lines = page.text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
            $0.replacing("postern_delivery_age_seconds", with: "")
        }
        #expect(lines.contains(#"_bucket{le="1"} 4"#))
        #expect(lines.contains(#"_bucket{le="5"} 5"#))
        #expect(lines.contains(#"_bucket{le="300"} 6"#))
        #expect(lines.contains(#"_bucket{le="432000"} 6"#))
        #expect(lines.suffix(3) == [#"_bucket{le="+Inf"} 7"#, "_sum 1000000301.001", "_count 7"])
    }

    // MARK: - Counts

    private static func queued(session: String?, about: QueueID? = nil, bytes: Int = 100) throws -> MailEvent {
        var envelope = Envelope(reversePath: .null)
        envelope.recipients = [
            Recipient(try #require(Mailbox("a@example.test"))), Recipient(try #require(Mailbox("b@example.test"))),
        ]
        var queued = MailEvent.Queued(envelope: envelope, bytes: bytes)
        queued.session = session
        queued.about = about
        queued.authentication = "spf=pass dkim=none arc=none dmarc=fail"
        return .queued(QueueID(value: 1), queued)
    }

    private static func outcome(age: Duration, tls: String? = nil) throws -> MailEvent.Outcome {
        var outcome = MailEvent.Outcome(
            reversePath: .null, recipients: [try #require(Mailbox("a@example.test"))], destination: "x", remote: nil,
            reply: Reply(250, .init(0, 0), "Ok"), age: age)
        outcome.tls = tls
        return outcome
    }

    private static func refusal(_ restriction: String?, code: Int = 554, stage: String = "client") -> MailEvent {
        var refusal = MailEvent.Refusal(
            session: "S", client: Endpoint(.v4(0xC000_0201), port: 1), command: "RCPT",
            reply: Reply(code, .init(7, 1), "no"))
        refusal.reason = restriction.map { Reason(stage: stage, restriction: $0) }
        return .refused(refusal)
    }

    /// The samples of what was counted, on a status that says nothing.
    private static func samples(_ values: MailCounts.Values) throws -> [String] {
        try Self.snapshot(values).exposition.split(separator: "\n").map(String.init)
    }

    private static func snapshot(_ values: MailCounts.Values) throws -> MetricsSnapshot {
        MetricsSnapshot(
            version: "1.2.3", started: Timestamp(seconds: 1_800_000_000), counts: values, reloads: ReloadCounts(),
            status: try ControlJSON.decode(StatusReport.self, from: Array(Self.status.utf8)), oldest: .seconds(90),
            process: ProcessFigures())
    }

    static let status = """
        {"hostname":"mx2.example.test","generation":3,"uptimeSeconds":5,"sessions":2,"confinement":{"missing":[]},
        "screener":{"waiting":1,"silent":0,"known":1,"unknown":1,"isUnderStress":false,
        "results":{"passed":4,"failed":2},"passes":3,"lists":[{"list":"zen.example","standing":"suspect","queries":9,
        "hits":4,"unavailable":1}]},"greylist":{"entries":1,"passed":2,"delayed":3},
        "certificates":[{"key":"ECDSA","names":["mx2.example.test"],"expires":"2027-01-15T08:00:00.000Z"}],
        "policies":{"kept":1,"fetched":2,"failed":3},"queue":{"messages":1,"damaged":0,"receiving":0,"usedBytes":10,
        "fileBytes":20,"maximumBytes":30,"diskFreeBytes":40,"roomBytes":-5,"commits":7},
        "destinations":[{"destination":"a.example","state":"down","waiting":3,"connections":0,"deliveredPerSecond":0},
        {"destination":"b.example","state":"up","waiting":0,"connections":1,"deliveredPerSecond":1}],
        "alarms":["x"]}
        """

    @Test func `mail of clients, notices and reports are told apart`() throws {
        var values = MailCounts.Values()
        values.count(try Self.queued(session: "S1"))
        values.count(try Self.queued(session: nil, about: QueueID(value: 2)))
        values.count(try Self.queued(session: nil))
        let samples = try Self.samples(values)
        for line in [
            "postern_messages_received_total 1", "postern_received_bytes_total 100", "postern_recipients_total 2",
            "postern_notices_total 1", "postern_own_messages_total 1", #"postern_received_tls_total{version="none"} 1"#,
            #"postern_authentication_total{method="spf",result="pass"} 1"#,
            #"postern_authentication_total{method="dmarc",result="fail"} 1"#,
        ] { #expect(samples.contains(line), "\(line)") }
    }

    @Test func `refusals are counted without the arguments of restrictions, which may hold the key of a list`() throws {
        var values = MailCounts.Values()
        values.count(Self.refusal("reject_rbl_client secretkey.zen.dq.example=127.0.0.2"))
        values.count(Self.refusal("reject_rbl_client other.example"))
        values.count(Self.refusal(nil, code: 503))
        let samples = try Self.samples(values)
        #expect(
            samples.contains(
                #"postern_refused_total{stage="client",restriction="reject_rbl_client",code="554"} 2"#))
        #expect(samples.contains(#"postern_refused_total{stage="protocol",restriction="rcpt",code="503"} 1"#))
        #expect(!samples.contains { $0.contains("secretkey") })
    }

    @Test func `there is no more than a thousand of anything, and the rest is counted together`() throws {
        var values = MailCounts.Values()
        for number in 0..<1500 { values.count(Self.refusal("r\(number)")) }
        values.count(Self.refusal("r0"))
        let refused = try Self.samples(values).filter { $0.hasPrefix("postern_refused_total{") }
        #expect(refused.count == 1001)
        #expect(refused.contains(#"postern_refused_total{stage="other",restriction="other",code="other"} 500"#))
        #expect(refused.contains(#"postern_refused_total{stage="client",restriction="r0",code="554"} 2"#))
    }

    @Test func `deliveries are counted by result, age and what protected them`() throws {
        var values = MailCounts.Values()
        values.count(.delivered(QueueID(value: 1), try Self.outcome(age: .seconds(2), tls: "dane TLSv1.3/X/256")))
        values.count(.delivered(QueueID(value: 1), try Self.outcome(age: .seconds(400), tls: "none")))
        values.count(.attempted(QueueID(value: 1), try Self.outcome(age: .zero), due: Timestamp(seconds: 0)))
        values.count(.failed(QueueID(value: 1), try Self.outcome(age: .zero), notice: nil))
        let samples = try Self.samples(values)
        for line in [
            #"postern_deliveries_total{result="delivered"} 2"#, #"postern_deliveries_total{result="deferred"} 1"#,
            #"postern_deliveries_total{result="failed"} 1"#, "postern_delivery_age_seconds_sum 402",
            #"postern_delivered_tls_total{level="dane",version="TLSv1.3"} 1"#,
            #"postern_delivered_tls_total{level="none",version="none"} 1"#,
        ] { #expect(samples.contains(line), "\(line)") }
    }

    @Test func `the status becomes gauges`() throws {
        let samples = try Self.samples(MailCounts.Values())
        for line in [
            #"postern_build_info{version="1.2.3"} 1"#, "postern_start_time_seconds 1800000000", "postern_generation 3",
            "postern_sessions 2", #"postern_screened_total{result="passed"} 4"#,
            #"postern_dnsbl_hits_total{list="zen.example"} 4"#,
            #"postern_dnsbl_standing{list="zen.example",standing="suspect"} 1"#,
            #"postern_dnsbl_standing{list="zen.example",standing="demoted"} 0"#,
            #"postern_greylist_total{result="delayed"} 3"#, "postern_queue_oldest_seconds 90",
            "postern_queue_room_bytes 0", #"postern_destination_up{destination="a.example"} 0"#,
            #"postern_destination_up{destination="b.example"} 1"#,
            #"postern_destination_waiting{destination="a.example"} 3"#, #"postern_destinations{state="down"} 1"#,
            #"postern_certificate_expiry_timestamp_seconds{key="ECDSA",name="mx2.example.test"} 1800000000"#,
            "postern_alarms 1",
        ] { #expect(samples.contains(line), "\(line)") }
    }

    @Test func `of many destinations those that are down are shown, and those with most mail`() throws {
        var snapshot = try Self.snapshot(MailCounts.Values())
        let pattern = try #require(snapshot.status.destinations.last)
        for number in 0..<200 {
            var destination = pattern
            destination.destination = "d\(number).example"
            destination.waiting = number
            snapshot.status.destinations.append(destination)
        }
        let shown = snapshot.exposition.split(separator: "\n").filter { $0.hasPrefix("postern_destination_up{") }
        #expect(shown.count == MetricsSnapshot.destinationLimit)
        #expect(shown.contains(#"postern_destination_up{destination="a.example"} 0"#))
        #expect(shown.contains(#"postern_destination_up{destination="d199.example"} 1"#))
        #expect(!shown.contains(#"postern_destination_up{destination="d1.example"} 1"#))
    }

    @Test func `events go on to the log, and counting one costs little`() throws {
        let counts = MailCounts()
        let sink = counts.counting(EventSink { _ in })
        let event = try Self.queued(session: "S")
        let rounds = 20_000
        let time = ContinuousClock().measure { for _ in 0..<rounds { sink.record(event) } }
        print("counting an event costs \(time / rounds)")
        #expect(counts.snapshot.messages == rounds)
        // A build for debugging, on a busy machine.
        #expect(time / rounds < .microseconds(100))
    }

    @Test func `every figure that is shown is in the table once, with its labels, and the other way round`() throws {
        var values = MailCounts.Values()
        values.count(try Self.queued(session: "S"))
        values.count(Self.refusal("x"))
        values.count(.delivered(QueueID(value: 1), try Self.outcome(age: .zero, tls: "none")))
        values.count(.noted(Self.note))
        var snapshot = try Self.snapshot(values)
        snapshot.process.memoryLimitBytes = 5
        let lines = snapshot.exposition.split(separator: "\n")
        let shown = lines.filter { $0.hasPrefix("# TYPE ") }.map { String($0.split(separator: " ")[2]) }
        let table = MetricFamily.table.flatMap(\.families)
        #expect(shown.count == Set(shown).count)
        #expect(Set(shown) == Set(table.map(\.name)))
        #expect(table.count == Set(table.map(\.name)).count)
        for family in table {
            #expect(family.name.hasSuffix("_total") == (family.kind == .counter), "\(family.name)")
            let sample = lines.first { $0.hasPrefix(family.name) && !$0.hasPrefix("\(family.name)_") }
            for label in family.labels { #expect(sample?.contains("\(label)=\"") == true, "\(family.name)") }
        }
    }

    private static let note = MailEvent.Note(
        session: "S", client: Endpoint(.v4(1), port: 1), kind: "warn", text: "x",
        reason: Reason(stage: "client", restriction: "x"))
}
