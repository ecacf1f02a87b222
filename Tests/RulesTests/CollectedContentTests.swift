import Foundation
import Mail
import Testing

@testable import Rules

/// Postfix's own messages, with what its framing and its checks make of them.
///
/// They lie beside a checkout, not in it, because of their licences: `../shared/corpus`.
struct CollectedContentTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
            "shared/corpus/postfix/src/global")

    private static let isThere = FileManager.default.fileExists(atPath: Self.folder.path + "/mime_test.in")

    private static func lines(_ name: String) throws -> [[UInt8]] {
        let bytes = Array(try Data(contentsOf: Self.folder.appendingPathComponent(name)))
        return bytes.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false).dropLast().map(Array.init)
    }

    /// `MAIN|FIELD`, `BODY OFFSET|LINE`, as Postfix's test programs show it; those of other lines are dropped. A field's
    /// further lines begin with a blank.
    private static func reference(_ name: String) throws -> [String] {
        var result: [String] = []
        for line in try self.lines(name).map({ String(decoding: $0, as: UTF8.self) }) {
            if let match = line.wholeMatch(of: /(?:\d+ )?(?:(MAIN|MULT|NEST)|BODY [NL]) (\d+)\t\|(.*)/) {
                result.append("\(match.1.map(String.init) ?? "BODY \(match.2)")|\(match.3)")
            } else if line.hasPrefix(" "), !result.isEmpty {
                result[result.count - 1] += "\n\(line)"
            }
        }
        return result
    }

    /// With the limits of those programs.
    private static let limits: ContentRules.Limits = {
        var limits = ContentRules.Limits()
        limits.headerBytes = 2000
        limits.nesting = 20
        limits.boundaryBytes = 2000
        limits.lineBytes = 1024
        return limits
    }()

    private static func name(_ section: MessageFraming.Section) -> String {
        switch section {
        case .primaryHeader: "MAIN"
        case .partHeader: "MULT"
        case .nestedHeader: "NEST"
        case .body: "BODY"
        }
    }

    private func trace(_ lines: [[UInt8]], _ framing: inout MessageFraming) -> [String] {
        var result: [String] = []
        func endField(_ framing: inout MessageFraming) {
            guard framing.hasField else { return }
            result.append("\(Self.name(framing.section))|\(String(decoding: framing.field, as: UTF8.self))")
            framing.endField()
        }
        for line in lines {
            line.withUnsafeBytes { bytes in
                let piece = MessageFraming.Piece(text: bytes, isCut: false)
                if framing.hasField, framing.extendField(with: piece) { return }
                endField(&framing)
                guard case .body(let offset) = framing.place(piece) else { return }
                result.append("BODY \(offset)|\(String(decoding: line, as: UTF8.self))")
            }
        }
        endField(&framing)
        return result
    }

    @Test(
        .enabled(if: isThere, "the corpus is not beside this checkout"),
        arguments: [
            ("mime_test.in", "mime_test.ref", 37, false), ("mime_nest.in", "mime_nest.ref", 69, true),
            ("mime_8bit.in", "mime_8bit.ref", 3, false), ("mime_test.in", "header_body_checks_null.ref", 37, false),
        ])
    func `content is framed as Postfix frames it`(input: String, output: String, count: Int, isTooDeep: Bool) throws {
        var framing = MessageFraming(limits: Self.limits)
        let trace = self.trace(try Self.lines(input), &framing)
        #expect(trace == (try Self.reference(output)))
        #expect(trace.count == count)
        #expect(framing.isTooDeep == isTooDeep)
    }

    @Test(.enabled(if: isThere, "the corpus is not beside this checkout"))
    func `rules are asked of what Postfix asks them of`() throws {
        let content = try Self.lines("mime_test.in").flatMap { $0 + Array("\r\n".utf8) }
        let warn = [always("WARN")]
        let outcome = check(ContentRules(header: warn, body: warn, limits: Self.limits), content).outcome
        let logged = outcome.matches.map { "\($0.contentClass.isHeader ? "header" : "body") \($0.text)" }
        let expected = try Self.lines("header_body_checks_warn.ref").compactMap {
            String(decoding: $0, as: UTF8.self).wholeMatch(of: /.*test-queueID: warning: (.*)/).map { String($0.1) }
        }
        #expect(logged == expected && logged.count > 20)
    }
}
