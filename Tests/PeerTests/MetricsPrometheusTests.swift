import Foundation
import Harness
import Testing

/// Prometheus's own tool reads what a running daemon shows, and the alerts that come with it.
@Suite(.serialized) struct MetricsPrometheusTests {
    private static let alerts = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("ansible/monitoring/prometheus-alerts.yml").path

    private func promtool(_ arguments: [String], input: String = "") throws -> Finished {
        var program = try PeerPackage.prometheus.program("/usr/bin/promtool", arguments)
        program.input = Array(input.utf8)
        return try program.run()
    }

    private func get(_ path: String, _ address: Endpoint) throws -> (head: String, body: String) {
        let client = try SMTPClient(address)
        defer { client.close() }
        try client.send("GET \(path) HTTP/1.0\r\n\r\n")
        let text = String(decoding: try client.readToEnd().bytes, as: UTF8.self)
        let end = try #require(text.range(of: "\r\n\r\n"))
        return (String(text[..<end.lowerBound]), String(text[end.upperBound...]))
    }

    @Test func `after real mail promtool finds nothing wrong with the figures, and they are right`() throws {
        let sink = try SMTPSink()
        let address = try Endpoint.free()
        let postern = try PosternProcess(
            primary: sink.address, recipients: "user@example.test ok\n", more: "metrics: {listen: [\"\(address)\"]}")
        for _ in 0..<3 { #expect(try postern.send().code == 250) }
        #expect(try postern.send(to: ["nobody@example.test"]).code != 250)
        try postern.waitUntilEmpty()
        let page = try self.get("/metrics", address)
        #expect(page.head.hasPrefix("HTTP/1.0 200 OK"))
        let check = try self.promtool(["check", "metrics"], input: page.body)
        #expect(check.ending == .exited(0), "\(check.errors)\(check.output)")
        #expect(check.output + check.errors == "")
        for line in [
            "postern_messages_received_total 3", "postern_recipients_total 3",
            #"postern_deliveries_total{result="delivered"} 3"#, "postern_delivery_age_seconds_count 3",
            "postern_queue_messages 0",
            #"postern_refused_total{stage="recipient",restriction="reject_unlisted_recipient",code="550"} 1"#,
        ] { #expect(page.body.contains("\n\(line)\n"), "\(line)") }
        #expect(try postern.stop() == .exited(0))
    }

    @Test func `status and queue over HTTP are those of the commands, through a reload`() throws {
        let address = try Endpoint.free()
        let postern = try PosternProcess(more: "metrics: {listen: [\"\(address)\"]}")
        for number in 0..<3 { #expect(try postern.send(from: "s\(number)@client.example").code == 250) }
        func queue(_ query: String) throws -> [[String: Any]] {
            let body = try self.get("/queue.json\(query)", address).body
            return try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [[String: Any]])
        }
        let listed = try postern.command("queue", "list", "--json").output.split(separator: "\n").count
        #expect(try queue("").count == listed)
        #expect(try queue("?from=s1@client.example").map { $0["from"] as? String } == ["s1@client.example"])
        #expect(try queue("?limit=2").count == 2)
        #expect(try queue("?state=held").isEmpty)
        let status = Data(try self.get("/status.json", address).body.utf8)
        let object = try #require(try JSONSerialization.jsonObject(with: status) as? [String: Any])
        #expect(Set(object.keys) == Set(try postern.json("status").keys))
        #expect(try postern.command("reload").ending == .exited(0))
        try postern.rewrite("rules/transport", "nonsense\n")
        #expect(try postern.command("reload").ending == .exited(1))
        let page = try self.get("/metrics", address).body
        for line in [
            "postern_generation 2", #"postern_reloads_total{result="applied"} 1"#,
            #"postern_reloads_total{result="refused"} 1"#,
        ] { #expect(page.contains("\n\(line)\n"), "\(line)") }
        #expect(try self.get("/health", address).body == "ok\n")
    }

    @Test func `promtool reads the alerts, and they come when they should`() throws {
        let check = try self.promtool(["check", "rules", Self.alerts])
        #expect(check.ending == .exited(0), "\(check.output)\(check.errors)")
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "tests.yml", Self.series.replacing("@RULES@", with: Self.alerts))
        let test = try self.promtool(["test", "rules", file])
        #expect(test.ending == .exited(0), "\(test.output)\(test.errors)")
        // A test that cannot fail says nothing.
        let wrong = try folder.write("wrong.yml", folder.text("tests.yml").replacing("0x30", with: "1x30"))
        #expect(try self.promtool(["test", "rules", wrong]).ending == .exited(1))
    }

    private static let labels = #"job="postern",instance="mx2:9125""#

    /// Series, and which alerts there are when. They are asked for by the series that Prometheus makes of them, so that
    /// no text of theirs has to be repeated here.
    private static let series = """
        rule_files: ["@RULES@"]
        evaluation_interval: 1m
        tests:
          - interval: 1m
            input_series:
              - {series: 'up{job="postern",instance="mx2:9125"}', values: '1x10 0x30'}
              - {series: 'postern_destination_up{\(labels),destination="a"}', values: '1x20 0x40'}
              - {series: 'postern_queue_oldest_seconds{\(labels)}', values: '0+600x60'}
              - {series: 'postern_reloads_total{\(labels),result="refused"}', values: '0x20 1x40'}
              - {series: 'postern_queue_damaged_messages{\(labels)}', values: '0x50 2x10'}
              - {series: 'postern_certificate_expiry_timestamp_seconds{\(labels),name="mx2",key="RSA"}', values: '864000x200'}
              - {series: 'process_open_fds{\(labels)}', values: '10x10 95x60'}
              - {series: 'process_max_fds{\(labels)}', values: '100x70'}
            promql_expr_test:
              - expr: count by (alertname) (ALERTS{alertstate="firing"})
                eval_time: 9m
              - expr: count by (alertname) (ALERTS{alertstate="firing"})
                eval_time: 23m
                exp_samples:
                  - {labels: '{alertname="PosternDown"}', value: 1}
                  - {labels: '{alertname="PosternDescriptors"}', value: 1}
                  - {labels: '{alertname="PosternReloadRefused"}', value: 1}
              - expr: count by (alertname) (ALERTS{alertstate="firing"})
                eval_time: 59m
                exp_samples:
                  - {labels: '{alertname="PosternDestinationDown"}', value: 1}
                  - {labels: '{alertname="PosternDescriptors"}', value: 1}
                  - {labels: '{alertname="PosternQueueOld"}', value: 1}
                  - {labels: '{alertname="PosternDamagedMessages"}', value: 1}
              - expr: count by (alertname) (ALERTS{alertstate="firing",alertname="PosternCertificateExpires"})
                eval_time: 2h
                exp_samples:
                  - {labels: '{alertname="PosternCertificateExpires"}', value: 1}
          - interval: 30m
            input_series:
              - {series: 'postern_messages_received_total{\(labels)}', values: '0+20x60 1200x20'}
              - {series: 'postern_refused_total{\(labels),stage="client",restriction="x",code="554"}', values: '0+10x60 600+200x20'}
              - {series: 'postern_recipients_total{\(labels)}', values: '0+100x80'}
            promql_expr_test:
              - expr: count by (alertname) (ALERTS{alertstate="firing"})
                eval_time: 29h
              - expr: count by (alertname) (ALERTS{alertstate="firing"})
                eval_time: 37h
                exp_samples:
                  - {labels: '{alertname="PosternNoMail"}', value: 1}
                  - {labels: '{alertname="PosternRefusedJump"}', value: 1}

        """
}
