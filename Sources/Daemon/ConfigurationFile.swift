package import Mail
import Yams

extension Configuration {
    /// Reads the text of a configuration file.
    ///
    /// - Parameter file: its name, for errors.
    package init(yaml text: String, file: String) throws(FileErrors) {
        let node = try Self.compose(text, file)
        do {
            self = try Configuration(option: node)
        } catch {
            throw FileErrors(
                error.all.map {
                    FileError(file: file, line: $0.place.line, column: $0.place.column, message: $0.message)
                })
        }
    }

    /// Reads a configuration file alone, without the tables that it names.
    package init(file: String) throws(FileErrors) {
        let text: String
        do { text = try FileText.read(file) } catch { throw FileErrors([error]) }
        try self.init(yaml: text, file: file)
    }

    private static func compose(_ text: String, _ file: String) throws(FileErrors) -> OptionNode {
        do {
            guard let node = try Yams.compose(yaml: text) else {
                return OptionNode(.map([]), at: OptionPlace(line: 1, column: 1))
            }
            return OptionNode(node)
        } catch let error as YamlError {
            throw FileErrors([FileError(error, file: file, text: text)])
        } catch {
            throw FileErrors([FileError(file: file, message: "\(error)")])
        }
    }
}

extension OptionNode {
    fileprivate init(_ node: Node) {
        let place = OptionPlace(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
        switch node {
        case .scalar(let scalar): self.init(.scalar(scalar.string), at: place)
        case .sequence(let sequence): self.init(.list(sequence.map { OptionNode($0) }), at: place)
        case .mapping(let mapping):
            let entries = mapping.map { key, value in
                (
                    key: key.scalar?.string ?? "?",
                    place: OptionPlace(line: key.mark?.line ?? place.line, column: key.mark?.column ?? place.column),
                    value: OptionNode(value)
                )
            }
            self.init(.map(entries), at: place)
        // The parser has resolved aliases.
        case .alias: self.init(.scalar(""), at: place)
        }
    }
}

extension FileError {
    fileprivate init(_ error: YamlError, file: String, text: String) {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            self.init(file: file, line: mark.line, column: mark.column, message: problem)
        case .duplicatedKeysInMapping(let keys, let context):
            let first = OptionPlace(line: context.mark.line, column: context.mark.column)
            let key = keys.first ?? ""
            let place = Self.place(ofRepeated: key, after: first, in: text) ?? first
            self.init(file: file, line: place.line, column: place.column, message: "key '\(key)' is repeated")
        case .reader(let problem, _, let value, _):
            // The first such character is the one; it may stand inside what is one character to String.
            let lines = text.unicodeScalars.prefix { $0.value != UInt32(clamping: value) }
                .split(separator: "\n", omittingEmptySubsequences: false)
            self.init(file: file, line: lines.count, column: (lines.last?.count ?? 0) + 1, message: problem)
        default: self.init(file: file, message: "\(error)")
        }
    }

    /// The parser says only where the key stands first. Among lines it stands again in the same column; a group in
    /// braces goes on in the same line or below.
    private static func place(ofRepeated key: String, after first: OptionPlace, in text: String) -> OptionPlace? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.indices.contains(first.line - 1) else { return nil }
        let isInBraces = lines[first.line - 1].prefix(first.column - 1).contains("{")
        for (index, line) in lines.enumerated().dropFirst(first.line - 1) {
            for column in Self.columns(of: key, in: line) where (index + 1, column) > (first.line, first.column) {
                if isInBraces || column == first.column { return OptionPlace(line: index + 1, column: column) }
            }
        }
        return nil
    }

    /// Where a key with its colon begins in a line, from 1.
    private static func columns(of key: String, in line: Substring) -> [Int] {
        let spellings = ["\(key):", "\"\(key)\":", "'\(key)':"]
        var before: Character = " "
        var columns: [Int] = []
        for (offset, index) in line.indices.enumerated() {
            if " {,".contains(before), spellings.contains(where: line[index...].hasPrefix) {
                columns.append(offset + 1)
            }
            before = line[index]
        }
        return columns
    }
}
