import ArgumentParser
import Daemon
import Foundation
import Mail
import PostfixImport
import Rules

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Take over the set-up of another mail server.", subcommands: [Postfix.self])

    struct Postfix: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a configuration of main.cf, master.cf and the tables they name.")

        @Argument(help: "The folder of main.cf, such as /etc/postfix.") var folder: String
        @Option(help: "The folder to be made; it must not be there, or be empty.") var output = "postern-import"
        @Flag(help: "Print one JSON document.") var json = false

        func run() throws {
            let folder = try ImportSource(self.folder).folder
            let output = ImportFolder(self.output)
            try output.requireEmpty()
            var result: ImportResult
            do {
                result = try PostfixImport.run(
                    folder: folder, files: .onDisk, machineName: Self.machineName, rules: "\(output.path)/rules")
            } catch {
                throw CommandFailure(2, "\(error)")
            }
            try output.write(result.files)
            result.report.output = output.path
            result.report.check = try output.mendAndCheck(&result.report)
            let text = ImportText(result.report)
            try output.write([ImportedFile(path: "report.txt", text: text.whole, isSecret: false)])
            if self.json {
                try Output.write(try ControlJSON.encode(result.report) + [ASCII.lineFeed])
            } else {
                try Output.write(Array(text.summary.utf8))
            }
            if result.report.check?.errors.isEmpty == false { throw CommandFailure(1) }
        }

        private static var machineName: String {
            var name = [CChar](repeating: 0, count: 256)
            guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
            return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}

extension PostfixFiles {
    static var onDisk: PostfixFiles {
        PostfixFiles(
            read: { path in
                var status = stat()
                guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return .missing }
                guard let data = FileManager.default.contents(atPath: path) else {
                    return .unreadable("it cannot be read")
                }
                if let text = String(validating: data, as: UTF8.self) { return .text(text, isDecoded: false) }
                return .text(String(String.UnicodeScalarView(data.map { Unicode.Scalar($0) })), isDecoded: true)
            },
            modified: { path in
                var status = stat()
                return stat(path, &status) == 0 ? status.st_mtim.tv_sec : nil
            })
    }
}

/// Where the original is.
private struct ImportSource {
    /// The folder of main.cf.
    let folder: String

    /// - Parameter path: that folder, or one with exactly one main.cf somewhere below.
    init(_ path: String) throws(CommandFailure) {
        let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard access("\(path)/main.cf", F_OK) != 0 else {
            self.folder = path
            return
        }
        guard let walk = FileManager.default.enumerator(atPath: path), access(path, F_OK) == 0 else {
            throw CommandFailure(2, "\(path): there is no such folder")
        }
        // A folder of templates is told so by what it holds.
        let found = walk.compactMap { $0 as? String }.filter {
            let name = $0.split(separator: "/").last ?? ""
            return name == "main.cf" || name.hasPrefix("main.cf.")
        }.sorted()
        let finished = found.filter { $0.hasSuffix("main.cf") }
        let candidates = finished.isEmpty ? found.filter { !$0.contains("/") } + found : finished
        let folders = Set(candidates.map { $0.split(separator: "/").dropLast().joined(separator: "/") }).sorted()
        if folders.count > 1 {
            let list = candidates.prefix(4).map { "\(path)/\($0)" }.joined(separator: ", ")
            throw CommandFailure(2, "\(path): there is no main.cf; name the folder of one of these: \(list)")
        }
        self.folder = folders.first.map { $0.isEmpty ? path : "\(path)/\($0)" } ?? path
    }
}

/// The folder of a result.
private struct ImportFolder {
    /// From the root.
    let path: String

    init(_ path: String) {
        let here = FileManager.default.currentDirectoryPath
        let whole = path.hasPrefix("/") ? path : "\(here)/\(path)"
        self.path = whole.count > 1 && whole.hasSuffix("/") ? String(whole.dropLast()) : whole
    }

    /// Nothing that somebody has made is written over.
    func requireEmpty() throws(CommandFailure) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: self.path, isDirectory: &isFolder) else { return }
        guard isFolder.boolValue else { throw CommandFailure(2, "\(self.path): there is a file of this name") }
        // Of a folder that cannot be read nobody knows.
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: self.path)) ?? ["?"]
        guard entries.isEmpty else {
            throw CommandFailure(2, "\(self.path): the folder is not empty; name another with --output")
        }
    }

    func write(_ files: [ImportedFile]) throws(CommandFailure) {
        do {
            try FileManager.default.createDirectory(atPath: "\(self.path)/rules", withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(2, "\(self.path): \(error.localizedDescription)")
        }
        for file in files { try self.write(file) }
    }

    private func write(_ file: ImportedFile) throws(CommandFailure) {
        let path = "\(self.path)/\(file.path)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, file.isSecret ? 0o600 : 0o644)
        guard descriptor >= 0 else { throw CommandFailure(2, "\(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var rest = Array(file.text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw CommandFailure(2, "\(path): \(String(cString: strerror(errno)))") }
            rest = rest.dropFirst(count)
        }
    }

    // MARK: Checking

    /// What `postern check` says. Lines of tables that it refuses, which Postfix would pass over when mail meets them,
    /// become comments.
    func mendAndCheck(_ report: inout ImportReport) throws(CommandFailure) -> ImportReport.Check {
        var errors: [FileError] = []
        // Each round takes lines away; what is left after some is not about lines.
        for _ in 0..<20 {
            let warnings: [FileError]
            do {
                warnings = try Generation(file: "\(self.path)/postern.yaml", number: 1).warnings
                return .init(errors: [], warnings: warnings.map(\.description))
            } catch {
                errors = error.list
            }
            guard try self.commentOut(errors, &report) else { break }
        }
        return .init(errors: errors.map(\.description), warnings: [])
    }

    /// - Returns: whether anything could be done.
    private func commentOut(_ errors: [FileError], _ report: inout ImportReport) throws(CommandFailure) -> Bool {
        let tables = errors.filter { $0.file.hasPrefix("\(self.path)/rules/") && $0.line != nil }
        var hasChanged = false
        for file in Set(tables.map(\.file)).sorted() {
            guard case .text(let text, _) = PostfixFiles.onDisk.read(file) else { continue }
            let problems = tables.filter { $0.file == file }.map {
                TableProblem(line: $0.line ?? 1, message: $0.message)
            }
            let mended = TableRepair.comment(out: problems, in: text)
            guard mended != text else { continue }
            hasChanged = true
            var status = stat()
            let isSecret = stat(file, &status) == 0 && status.st_mode & 0o077 == 0
            let name = String(file.dropFirst(self.path.utf8.count + 1))
            try self.write(ImportedFile(path: name, text: mended, isSecret: isSecret))
            for problem in problems {
                report.warn(file, problem.line, "\(problem.message): the line is a comment now, as Postern refuses it")
            }
        }
        return hasChanged
    }
}
