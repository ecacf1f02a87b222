import Authentication
import Foundation
import Mail

/// Test material of others. It lies beside a checkout, not in it, because of its licences: `../shared/corpus`.
enum Corpus {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("shared/corpus")

    static let isThere = FileManager.default.fileExists(atPath: Self.folder.path)

    static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: Self.folder.appendingPathComponent(path)))
    }

    static func text(_ path: String) throws -> String { String(decoding: try Self.bytes(path), as: UTF8.self) }

    static func names(_ folder: String, _ suffix: String) -> [String] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: Self.folder.path + "/" + folder)) ?? []
        return all.filter { $0.hasSuffix(suffix) }.map { String($0.dropLast(suffix.count)) }.sorted()
    }
}

/// Text with every line end as CRLF.
func crlf(_ text: String) -> [UInt8] { crlf(Array(text.utf8)) }

func crlf(_ bytes: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    for byte in bytes {
        if byte == 10, output.last != 13 { output.append(13) }
        output.append(byte)
    }
    return output
}

extension DKIMVerifier {
    /// Verifies a message with the names of a test, in 2026.
    static func results(
        _ content: [UInt8], _ names: TestNames, now: Timestamp = Timestamp(seconds: 1_795_000_000)
    ) async -> [DKIMResult] {
        await DKIMVerifier(names: names.source, now: now).results(for: MessageDigester.digest(content))
    }
}
