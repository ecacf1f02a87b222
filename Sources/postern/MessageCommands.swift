import ArgumentParser
import Daemon
import Foundation
import Mail

struct MessageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "message", abstract: "Look at messages in files.", subcommands: [Inspect.self, CheckContent.self])

    /// What mail clients might show of a message.
    struct Inspect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the parts of a message, with every name that a mail client might show for them.")

        @Argument(help: "The file with the message.") var file: String
        @Flag(help: "Print one JSON document.") var json = false

        func run() throws {
            let structure = try MessageFile(self.file).structure(limits: MIMELimits())
            if self.json {
                return try Output.write(try ControlJSON.encode(InspectReport(structure)) + [ASCII.lineFeed])
            }
            for part in structure.parts { try Output.line(part.summary) }
            for defect in structure.defects { try Output.line("defect: part \(defect.path): \(defect.kind.rawValue)") }
        }
    }
}

/// A message in a file, which may be longer than memory should hold.
struct MessageFile {
    private static let pieceBytes = 65_536

    private let path: String

    init(_ path: String) {
        self.path = path
    }

    func structure(limits: MIMELimits) throws -> MIMEStructure {
        let descriptor = open(self.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw self.failure }
        defer { close(descriptor) }
        var examiner = MIMEExaminer(limits: limits, makeInflater: ArchiveInflater.make)
        var buffer = [UInt8](repeating: 0, count: Self.pieceBytes)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw self.failure }
            if count == 0 { return examiner.finish() }
            buffer.withUnsafeBytes { examiner.feed(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }

    /// All of it, for rules that are asked of the whole.
    func bytes() throws -> [UInt8] {
        guard let data = FileManager.default.contents(atPath: self.path) else { throw self.failure }
        return Array(data)
    }

    private var failure: CommandFailure { CommandFailure(2, "\(self.path): \(String(cString: strerror(errno)))") }
}

/// What `postern message inspect --json` prints.
private struct InspectReport: Encodable {
    struct Part: Encodable {
        let path: String
        let type: String
        let disposition: String?
        let names: [String]
        /// By the first octets: `zip`, `exe`.
        let contents: [String]
        let archive: Archive?

        private enum CodingKeys: CodingKey { case path, type, disposition, names, contents, archive }

        /// Every key is there, also with null.
        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(self.path, forKey: .path)
            try container.encode(self.type, forKey: .type)
            try container.encode(self.disposition, forKey: .disposition)
            try container.encode(self.names, forKey: .names)
            try container.encode(self.contents, forKey: .contents)
            try container.encode(self.archive, forKey: .archive)
        }
    }

    struct Archive: Encodable {
        struct Entry: Encodable {
            let name: String
            let containers: [String]
            let isEncrypted: Bool
            let content: String?
        }

        let entries: [Entry]
        let isEncrypted: Bool
        let isTruncated: Bool
    }

    struct Defect: Encodable {
        let path: String
        let defect: String
    }

    let parts: [Part]
    let defects: [Defect]

    init(_ structure: MIMEStructure) {
        self.parts = structure.parts.map { part in
            Part(
                path: part.path, type: part.type, disposition: part.disposition, names: part.names,
                contents: part.contents.map(\.rawValue), archive: part.archive.map { Archive($0) })
        }
        self.defects = structure.defects.map { Defect(path: $0.path, defect: $0.kind.rawValue) }
    }
}

extension InspectReport.Archive {
    fileprivate init(_ listing: ArchiveListing) {
        self.entries = listing.entries.map {
            Entry(
                name: $0.name, containers: $0.containers, isEncrypted: $0.isEncrypted, content: $0.content?.rawValue)
        }
        self.isEncrypted = listing.isEncrypted
        self.isTruncated = listing.isTruncated
    }
}

extension MIMEPart {
    private static let shownBytes = 200

    /// A line for the part and one for each entry of an archive, indented by depth.
    fileprivate var summary: String {
        let indent = String(repeating: "  ", count: self.path.utf8.count { $0 == ASCII.dot })
        var words = [self.path, self.type]
        if let disposition { words.append(disposition) }
        if !self.contents.isEmpty { words.append("[\(self.contents.map(\.rawValue).joined(separator: " "))]") }
        words += self.names.map(Self.shown)
        let entries = (self.archive?.entries ?? []).map { entry in
            let path = (entry.containers + [entry.name]).map(Self.shown).joined(separator: " > ")
            return "\n\(indent)    \(path)" + (entry.content.map { " [\($0.rawValue)]" } ?? "")
                + (entry.isEncrypted ? " encrypted" : "")
        }
        return indent + words.joined(separator: " ") + entries.joined()
            + (self.archive?.isTruncated ?? false ? "\n\(indent)    and more" : "")
    }

    private static func shown(_ name: String) -> String { "'\(name.printable(maximumBytes: Self.shownBytes))'" }
}
