import Authentication
import Foundation
import Mail
import Yams

/// The test suite of openspf.org for RFC 7208: YAML documents with cases and the zone that they are run in.
///
/// It lies beside a checkout, not in it, because of its licence: `../shared/corpus`.
enum SPFSuite {
    struct Case: Sendable, CustomStringConvertible {
        let name: String
        let check: SPFCheck
        /// The results that are right; the first is the better one.
        let results: [String]
        /// Nil: not looked at. `DEFAULT`: that of whoever checks, which we have none of.
        let explanation: String?
        let zone: SPFZone

        var description: String { self.name }

        /// What is wrong with a result; nil: nothing.
        func fault(of result: SPFResult) -> String? {
            guard self.results.contains(result.result.rawValue) else {
                return "\(self.name): \(result.result), not \(self.results): \(result.why ?? "")"
            }
            guard let explanation = self.explanation, explanation != (result.explanation ?? "DEFAULT") else {
                return nil
            }
            return "\(self.name): \(result.explanation ?? "nothing"), not \(explanation)"
        }
    }

    static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("shared/corpus/spf/rfc7208-tests.yml")

    static let isPresent = FileManager.default.fileExists(atPath: Self.file.path)

    static func cases() throws -> [Case] {
        var cases: [Case] = []
        for document in try Yams.compose_all(yaml: String(contentsOf: Self.file, encoding: .utf8)) {
            guard let tests = document["tests"]?.mapping, let data = document["zonedata"]?.mapping else { continue }
            let zone = SPFZone(data)
            cases += tests.compactMap { Case(name: $0.key.string ?? "?", $0.value, zone) }
        }
        return cases
    }
}

extension SPFSuite.Case {
    init?(name: String, _ node: Node, _ zone: SPFZone) {
        guard let client = node["host"]?.string.flatMap(IPAddress.init), let helo = node["helo"]?.string,
            let path = node["mailfrom"]?.string
        else { return nil }
        let results = node["result"]?.sequence?.compactMap(\.string) ?? [node["result"]?.string].compactMap { $0 }
        self.init(
            name: name,
            check: SPFCheck(client: client, helo: helo, reversePath: path, time: Timestamp(seconds: 1_000_000_000)),
            results: results, explanation: node["explanation"]?.string, zone: zone)
    }
}

/// The names of a suite: as its authors' own driver reads them.
struct SPFZone: Sendable {
    private enum Entry {
        case record(String, [String])
        case timeout
    }

    private let entries: [String: [Entry]]

    init(_ data: Node.Mapping) {
        var entries: [String: [Entry]] = [:]
        for (name, list) in data {
            entries[(name.string ?? "").lowercased()] = list.sequence?.map(Self.entry) ?? []
        }
        self.entries = entries
    }

    private static func entry(_ node: Node) -> Entry {
        guard let pair = node.mapping?.first, let type = pair.key.string else { return .timeout }
        if let list = pair.value.sequence { return .record(type, list.compactMap(\.string)) }
        return .record(type, [pair.value.string ?? ""])
    }

    var source: NameSource { NameSource { query in self.reply(to: query) } }

    func reply(to query: NameQuery) -> NameReply { self.reply(to: query, aliases: 0) }

    private func reply(to query: NameQuery, aliases: Int) -> NameReply {
        // Names of the suite are written without escapes.
        let name = query.name.replacingOccurrences(of: #"\032"#, with: " ")
        guard let entries = self.entries[name] else { return .noSuchName }
        let hasTexts = entries.contains { if case .record("TXT", _) = $0 { true } else { false } }
        // A record of type SPF stands for one of TXT, unless the zone has any.
        let type = query.kind == .txt && !hasTexts ? "SPF" : query.kind.rawValue
        var values: [[String]] = []
        for entry in entries {
            switch entry {
            case .record(type, let value):
                if value != ["NONE"] { values.append(value) }
            case .record("CNAME", let value):
                guard aliases < 8 else { return .failed("a chain of aliases") }
                return self.reply(to: NameQuery(Self.host(value[0]), query.kind), aliases: aliases + 1)
            case .record: continue
            case .timeout: return values.isEmpty ? .failed("timeout") : Self.reply(query.kind, values)
            }
        }
        return values.isEmpty ? .noRecords : Self.reply(query.kind, values)
    }

    private static func reply(_ kind: NameQuery.Kind, _ values: [[String]]) -> NameReply {
        switch kind {
        case .a, .aaaa: .addresses(values.compactMap { IPAddress($0[0]) })
        case .ptr: .hosts(values.map { Self.host($0[0]) })
        case .mx: .hosts(values.sorted { Int($0[0]) ?? 0 < Int($1[0]) ?? 0 }.map { Self.host($0[1]) })
        case .txt: .texts(values.map { Array($0.joined().utf8) })
        }
    }

    private static func host(_ name: String) -> String {
        let name = name.lowercased()
        return name.hasSuffix(".") ? String(name.dropLast()) : name
    }
}
