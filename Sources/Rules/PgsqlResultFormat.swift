/// How the values of a key are put together (`result_format` of pgsql_table(5)).
package struct PgsqlResultFormat: Hashable, Sendable {
    private enum Piece: Hashable, Sendable {
        case text(String)
        /// `%s`, `%u`, `%d`: of the value.
        case value(PgsqlPlaceholder)
        /// `%S`, `%U`, `%D`, `%1` to `%9`: of the key.
        case key(PgsqlPlaceholder)
    }

    private let pieces: [Piece]

    /// `%s`
    package static let value = PgsqlResultFormat(pieces: [.value(.key)])

    private init(pieces: [Piece]) {
        self.pieces = pieces
    }

    /// Nil for an unknown placeholder and for an empty format.
    package init?(_ text: String) {
        var pieces: [Piece] = []
        var plain: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                plain.append(byte)
                continue
            }
            guard let letter = rest.popFirst() else { return nil }
            if letter == UInt8(ascii: "%") {
                plain.append(letter)
                continue
            }
            guard let placeholder = PgsqlPlaceholder(letter) else { return nil }
            if !plain.isEmpty { pieces.append(.text(String(decoding: plain, as: UTF8.self))) }
            plain = []
            let isOfValue = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter)
            pieces.append(isOfValue ? .value(placeholder) : .key(placeholder))
        }
        if !plain.isEmpty { pieces.append(.text(String(decoding: plain, as: UTF8.self))) }
        guard !pieces.isEmpty else { return nil }
        self.pieces = pieces
    }

    /// Whether a key has all that the format wants of it.
    func isFilled(by key: String) -> Bool {
        self.pieces.allSatisfy {
            if case .key(let placeholder) = $0 { placeholder.value(in: key) != nil } else { true }
        }
    }

    /// One value in its format; nil if it is empty or lacks a part, which skips it.
    func text(of value: String, key: String) -> String? {
        guard !value.isEmpty else { return nil }
        var result = ""
        for piece in self.pieces {
            switch piece {
            case .text(let text): result += text
            case .value(let placeholder):
                guard let text = placeholder.value(in: value) else { return nil }
                result += text
            case .key(let placeholder):
                guard let text = placeholder.value(in: key) else { return nil }
                result += text
            }
        }
        return result
    }
}

/// A key has more values than its file allows.
package struct PgsqlLimitExceeded: Error, Hashable, Sendable {
    package let limit: Int

    package init(limit: Int) {
        self.limit = limit
    }
}

extension PgsqlFile {
    /// The value of a key, of all rows and columns together; nil if there is none.
    package func result(_ rows: [[String?]], key: String) throws(PgsqlLimitExceeded) -> String? {
        var values: [String] = []
        for case .some(let value) in rows.joined() {
            guard let text = self.resultFormat.text(of: value, key: key) else { continue }
            values.append(text)
            guard self.expansionLimit == 0 || values.count <= self.expansionLimit else {
                throw PgsqlLimitExceeded(limit: self.expansionLimit)
            }
        }
        let result = values.joined(separator: ",")
        return result.isEmpty ? nil : result
    }
}
