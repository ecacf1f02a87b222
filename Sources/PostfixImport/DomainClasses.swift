import Mail
import Rules

/// A domain of ours, and where it is named.
struct NamedDomain: Hashable {
    /// A-labels in small letters; `.example.com` stands for what is below it.
    let name: String
    let place: SourcePlace
}

extension Importer {
    /// The domains of a list such as `relay_domains`, tables read.
    ///
    /// - Parameter hasParents: whether a name also stands for those below it, which then are named of their own.
    mutating func domains(_ value: Value, hasParents: Bool) -> [NamedDomain] {
        var result: [NamedDomain] = []
        for word in value.words {
            if word.hasPrefix("!") {
                self.warn(value, word: word, "\(value.name): '\(word)': exceptions cannot be had; the name is left out")
            } else if word.hasPrefix("/") {
                for (name, place) in self.lines(ofFile: word, value) { self.add(name, place, value, to: &result) }
            } else if let name = TableName(word), !word.hasPrefix("[") {
                for (key, place) in self.keys(name, word, value) { self.add(key, place, value, to: &result) }
            } else {
                self.add(word, self.place(value, word: word), value, to: &result)
            }
        }
        guard hasParents else { return result }
        let below = result.filter { !$0.name.hasPrefix(".") }.map { NamedDomain(name: ".\($0.name)", place: $0.place) }
        return result + below
    }

    private mutating func add(_ text: String, _ place: SourcePlace, _ value: Value, to result: inout [NamedDomain]) {
        // Addresses, `*` and the like stand in transport tables that serve as lists of domains too.
        guard !text.contains("@"), text != "*" else { return }
        let isBelow = text.hasPrefix(".")
        guard let name = DomainName(isBelow ? String(text.dropFirst()) : text) else {
            self.warn(place, "\(value.name): '\(text)' is not a domain, and is left out")
            return
        }
        let domain = (isBelow ? "." : "") + name.ascii
        if !result.contains(where: { $0.name == domain }) { result.append(NamedDomain(name: domain, place: place)) }
    }

    /// The words of a file, each a pattern.
    private mutating func lines(ofFile path: String, _ value: Value) -> [(String, SourcePlace)] {
        guard case .text(let text, let file, _) = self.find(path) else {
            self.warn(value, word: path, "\(path) is not there: what it lists is missing in \(value.name)")
            return []
        }
        return LogicalText(text).lines.flatMap { line in
            Words.split(line.text).map { ($0, SourcePlace(file: file, line: line.number)) }
        }
    }

    /// The keys of a table, which is not copied for that.
    mutating func keys(_ name: TableName, _ word: String, _ value: Value) -> [(String, SourcePlace)] {
        if name.type == "inline", let table = try? RuleTable(inConfiguration: name.text),
            case .text(let entries) = table.content
        {
            return entries.keys.map { ($0, self.place(value, word: word)) }
        }
        guard name.isIndexed else {
            self.warn(
                value, word: word,
                "\(name.text): domains in \(value.name) have to be listed; those that only this table has are refused")
            self.list(name, value, word, .unsupported, becomes: nil, "domains have to be listed")
            return []
        }
        switch self.find(name.rest) {
        case .missing(let why):
            self.warn(value, word: word, "\(why): the domains that it has are missing in \(value.name)")
            self.list(name, value, word, .missing, becomes: nil, why)
            return []
        case .text(let text, let path, _):
            self.warnIfOutdated(name, path, value, word: word)
            self.list(name, value, word, .made, becomes: nil, "its keys stand in postern.yaml")
            let repair = TableRepair(text) { TableRepair.problems($0, type: .texthash) { _, _ in nil } }
            guard let table = try? TextTable(repair.text) else { return [] }
            return table.keys.compactMap { key in table[key].map { (key, SourcePlace(file: path, line: $0.line)) } }
        }
    }

    /// The entries of a table of any kind that has keys.
    mutating func entries(_ value: Value) -> [TableEntry] {
        value.words.flatMap { word -> [TableEntry] in
            guard let name = TableName(word) else { return [] }
            if name.type == "inline", let table = try? RuleTable(inConfiguration: name.text),
                case .text(let text) = table.content
            {
                let place = self.place(value, word: word)
                return text.keys.compactMap { key in
                    text[key].map { TableEntry(key: key, value: $0.value, place: place) }
                }
            }
            guard name.isIndexed else {
                self.warn(value, word: word, "\(name.text): what it has is not known here, and left out")
                self.list(name, value, word, .unsupported, becomes: nil, "its entries cannot be read")
                return []
            }
            switch self.find(name.rest) {
            case .missing(let why):
                self.warn(value, word: word, "\(why): what it has is left out")
                self.list(name, value, word, .missing, becomes: nil, why)
                return []
            case .text(let text, let path, _):
                self.warnIfOutdated(name, path, value, word: word)
                let repair = TableRepair(text) { TableRepair.problems($0, type: .texthash) { _, _ in nil } }
                guard let table = try? TextTable(repair.text) else { return [] }
                self.list(name, value, word, .made, becomes: nil, "its entries were read")
                return table.keys.compactMap { key in
                    table[key].map {
                        TableEntry(key: key, value: $0.value, place: SourcePlace(file: path, line: $0.line))
                    }
                }
            }
        }
    }
}

struct TableEntry: Hashable {
    let key: String
    let value: String
    let place: SourcePlace
}
