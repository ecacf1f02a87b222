import Foundation

/// Zones of a file below `Tests`: `zone NAME`, and its records. A SOA and an NS record it need not have.
///
/// Records behind `later NAME` are added to the zone when a test wants it.
struct ZoneTexts {
    /// In the format of RFC 1035 §5, by the zone's name.
    let now: [String: String]
    let later: [String: String]

    init(file name: String) throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
            path: name)
        var zones: [String: String] = [:]
        var additions: [String: String] = [:]
        var current = ""
        var isLater = false
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") where !line.hasPrefix(";") {
            if line.hasPrefix("zone ") || line.hasPrefix("later ") {
                isLater = line.hasPrefix("later ")
                current = String(line.drop { $0 != " " }.dropFirst())
                guard !isLater else { continue }
                zones[current] = "$ORIGIN \(current).\n$TTL 300\n@ SOA ns hostmaster 1 3600 900 604800 300\n"
            } else if isLater {
                additions[current, default: ""] += Self.expanded(String(line))
            } else {
                zones[current, default: ""] += Self.expanded(String(line))
            }
        }
        // One name server for each: nobody says in which order several would be asked.
        for (name, text) in zones {
            let servers = text.contains("@ NS ") ? "" : "@ NS ns\nns A 198.18.53.53\n"
            // What is to change is not kept by anybody.
            let kept = additions[name] == nil ? text : text.replacing(/\b300$/.anchorsMatchLineEndings(), with: "0")
            zones[name] = kept + servers
        }
        self.now = zones
        self.later = self.now.merging(additions) { $0 + $1 }
    }

    /// `$GENERATE 1-9 TEXT` are records with each number for the `$` in the text; nsd does not know it.
    private static func expanded(_ line: String) -> String {
        guard let match = line.wholeMatch(of: /\$GENERATE (\d+)-(\d+) (.+)/), let first = Int(match.1),
            let last = Int(match.2), first <= last
        else { return line + "\n" }
        return (first...last).map { match.3.replacing("$", with: "\($0)") + "\n" }.joined()
    }
}
