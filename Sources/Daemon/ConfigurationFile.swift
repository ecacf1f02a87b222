import Mail
import Yams

/// An error in a file that an administrator wrote.
package struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    package let file: String
    package let line: Int?
    package let column: Int?
    package let message: String

    package init(file: String, line: Int? = nil, column: Int? = nil, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    /// `FILE:LINE:COLUMN: MESSAGE`
    package var description: String {
        [self.file, self.line.map(String.init), self.column.map(String.init)].compactMap { $0 }.joined(separator: ":")
            + ": \(self.message)"
    }
}

package struct FileErrors: Error, Hashable, Sendable {
    package let list: [FileError]

    package init(_ list: [FileError]) {
        self.list = list
    }
}

extension Configuration {
    /// Reads the text of a configuration file.
    ///
    /// - Parameter file: its name, for errors.
    package init(yaml text: String, file: String) throws(FileErrors) {
        let node = try Self.compose(text, file)
        do {
            self = try Configuration(option: node)
        } catch {
            throw FileErrors([
                FileError(file: file, line: error.place.line, column: error.place.column, message: error.message)
            ])
        }
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
            // The parser says where the group ends; the repeated key is the last of its name before that.
            let key = keys.first ?? ""
            let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
                .prefix(max(context.mark.line, 1))
            let index = lines.lastIndex { $0.drop { $0 == " " }.hasPrefix("\(key):") }
            let column = index.map { lines[$0].prefix { $0 == " " }.count + 1 }
            self.init(
                file: file, line: index.map { $0 + 1 } ?? context.mark.line, column: column ?? context.mark.column,
                message: "key '\(key)' is repeated")
        case .reader(let problem, _, let value, _):
            // The first such character is the one; it may stand inside what is one character to String.
            let lines = text.unicodeScalars.prefix { $0.value != UInt32(clamping: value) }
                .split(separator: "\n", omittingEmptySubsequences: false)
            self.init(file: file, line: lines.count, column: (lines.last?.count ?? 0) + 1, message: problem)
        default: self.init(file: file, message: "\(error)")
        }
    }
}
