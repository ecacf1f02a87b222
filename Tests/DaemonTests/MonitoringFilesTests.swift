import Daemon
import Foundation
import Testing

/// Files for those who watch the service agree with what it shows.
struct MonitoringFilesTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
    }

    /// Names of samples that are shown, those of the histogram included.
    private static var known: Set<String> {
        Set(
            MetricFamily.table.flatMap(\.families).flatMap { family in
                family.kind == .histogram ? ["_bucket", "_sum", "_count"].map { family.name + $0 } : [family.name]
            })
    }

    private static func names(in text: String) -> Set<String> {
        Set(text.matches(of: #/\b(postern|process)_[a-z_]+\b/#).map { String($0.output.0) })
    }

    @Test func `the page on figures in the source is the one that is made`() throws {
        #expect(
            try Self.text("Sources/METRICS.md") == MetricsReferencePage.text,
            "postern reference --metrics >Sources/METRICS.md")
    }

    @Test(arguments: ["ansible/monitoring/prometheus-alerts.yml", "ansible/monitoring/grafana-dashboard.json"])
    func `every figure that is asked for is shown`(_ path: String) throws {
        let names = Self.names(in: try Self.text(path))
        #expect(names.count > 10)
        #expect(names.subtracting(Self.known) == [])
    }

    @Test func `the dashboard can be imported, and nothing lies on anything else`() throws {
        let data = Data(try Self.text("ansible/monitoring/grafana-dashboard.json").utf8)
        let dashboard = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        #expect(dashboard["id"] == nil)
        var taken: Set<[Int]> = []
        for panel in panels {
            let place = try #require(panel["gridPos"] as? [String: Int])
            let (x, y, width, height) = (place["x"] ?? 0, place["y"] ?? 0, place["w"] ?? 0, place["h"] ?? 0)
            #expect(x + width <= 24)
            for column in x..<x + width {
                for line in y..<y + height { #expect(taken.insert([column, line]).inserted) }
            }
            guard panel["type"] as? String != "row" else { continue }
            #expect((panel["datasource"] as? [String: String])?["uid"] == "${datasource}")
        }
        #expect(Set(panels.compactMap { $0["id"] as? Int }).count == panels.count)
    }

    @Test func `each alert says what to do`() throws {
        let alerts = try Self.text("ansible/monitoring/prometheus-alerts.yml").split(separator: "- alert: ").dropFirst()
        #expect(alerts.count >= 12)
        for alert in alerts {
            for part in ["summary:", "description:", "severity:"] { #expect(alert.contains(part), "\(alert)") }
        }
    }
}
