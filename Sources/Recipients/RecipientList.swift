import Mail
package import Rules

/// A list of recipients from elsewhere, as it would stand in a table of ours.
package struct RecipientList: Hashable, Sendable {
    /// Folded as they are looked up, sorted, each once.
    package let keys: [String]
    /// Entries that are neither an address nor `@domain`, or that a table cannot hold, with their place from 1.
    package let problems: [Problem]

    package struct Problem: Hashable, Sendable {
        package let place: Int
        package let message: String
    }

    /// - Parameter entries: addresses or `@domain`, each with its place from 1.
    package init(_ entries: some Sequence<(place: Int, text: String)>) {
        var keys: Set<String> = []
        var problems: [Problem] = []
        for (place, text) in entries {
            if let key = Self.key(of: text) {
                keys.insert(key)
            } else {
                problems.append(
                    Problem(
                        place: place,
                        message: "'\(text.printable(maximumBytes: 200))' is neither an address nor @domain, "
                            + "or cannot stand in a table"))
            }
        }
        self.keys = keys.sorted()
        self.problems = problems
    }

    /// Reads one entry a line; empty lines and those that begin with `#` are left out.
    package init(text: String) {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        self.init(
            lines.enumerated().lazy.map { (place: $0.offset + 1, text: Self.trimmed($0.element)) }.filter {
                !$0.text.isEmpty && !$0.text.hasPrefix("#")
            })
    }

    private static func trimmed(_ text: Substring) -> String {
        var bytes = Array(text.utf8)[...]
        while let first = bytes.first, ASCII.isBlank(first) { bytes = bytes.dropFirst() }
        while let last = bytes.last, ASCII.isBlank(last) { bytes = bytes.dropLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func key(of text: String) -> String? {
        let key: String
        if text.hasPrefix("@") {
            guard let domain = Domain(text.dropFirst()) else { return nil }
            key = "@\(domain.key)"
        } else {
            guard let mailbox = Mailbox(text), let first = AddressKeys(delimiter: nil).addresses(mailbox).first else {
                return nil
            }
            key = first
        }
        // What a quoted local part may hold, and a line of a table may not.
        let isWritable = key.isPrintable && !key.hasPrefix("#") && !key.utf8.contains(where: ASCII.isBlank)
        return isWritable ? key : nil
    }

    package struct Difference: Hashable, Sendable {
        package let added: [String]
        package let removed: [String]
        package let unchanged: Int

        package var isEmpty: Bool { self.added.isEmpty && self.removed.isEmpty }
    }

    /// What would change in a table.
    package func difference(to present: TextTable) -> Difference {
        let wanted = Set(self.keys)
        let added = self.keys.filter { present[$0] == nil }
        let removed = present.keys.filter { !wanted.contains($0) }.sorted()
        return Difference(added: added, removed: removed, unchanged: self.keys.count - added.count)
    }

    /// The table with these recipients: the comments at the head of the present file stay, and so do the values of
    /// recipients that stay.
    package func table(inPlaceOf present: TextTable, text: String) -> String {
        let head = text.split(separator: "\n", omittingEmptySubsequences: false).prefix { line in
            let first = line.utf8.first { !ASCII.isBlank($0) && $0 != ASCII.carriageReturn }
            return first == nil || first == UInt8(ascii: "#")
        }
        // The last piece of a text that ends with a line end is no line.
        var lines = text.isEmpty ? [] : head.map(String.init)
        if lines.count == text.split(separator: "\n", omittingEmptySubsequences: false).count, lines.last == "" {
            lines.removeLast()
        }
        lines += self.keys.map { "\($0) \(present[$0]?.value ?? "ok")" }
        return lines.map { $0 + "\n" }.joined()
    }
}
