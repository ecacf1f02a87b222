import Mail

extension Importer {
    /// Where a file that main.cf names may lie: below the folder of main.cf, as that need not be where it once was; or
    /// in the tree that the folder is a part of.
    func places(of path: String) -> [String] {
        guard path.hasPrefix("/") else { return ["\(self.folder)/\(path)"] }
        var places: [String] = []
        if path.hasPrefix("\(self.folder)/") { places.append(path) }
        let usual = "/etc/postfix"
        if path.hasPrefix("\(usual)/") { places.append(self.folder + path.dropFirst(usual.count)) }
        if self.folder.hasSuffix(usual) { places.append(self.folder.dropLast(usual.count) + path) }
        places.append("\(self.folder)/\(path.split(separator: "/").last ?? "")")
        return places
    }

    /// A file that main.cf names.
    enum Found {
        case text(String, path: String, isDecoded: Bool)
        /// There is no such file, or only what was made of it.
        case missing(why: String)
    }

    func find(_ path: String) -> Found {
        for place in self.places(of: path) {
            switch self.files.read(place) {
            case .text(let text, let isDecoded): return .text(text, path: place, isDecoded: isDecoded)
            case .unreadable(let why): return .missing(why: "\(place): \(why)")
            case .missing: continue
            }
        }
        for place in self.places(of: path) {
            for suffix in ["db", "lmdb", "cdb", "dir", "pag"] where self.files.modified("\(place).\(suffix)") != nil {
                return .missing(
                    why: "of \(path) there is only \(place).\(suffix): Postern reads the text that it was made from")
            }
        }
        return .missing(why: "\(path) is not there")
    }

    /// Whether a file is where its path says, on the machine that imports.
    func isHere(_ path: String) -> Bool { path.hasPrefix("/") && self.files.modified(path) != nil }

    /// Says if `postmap` was forgotten, so that Postfix still has the older table.
    mutating func warnIfOutdated(_ name: TableName, _ path: String, _ value: Value, word: String) {
        guard name.isIndexed, name.type != "texthash", let text = self.files.modified(path) else { return }
        let suffixes = ["hash": "db", "btree": "db", "lmdb": "lmdb", "cdb": "cdb", "dbm": "pag", "sdbm": "pag"]
        guard let suffix = suffixes[name.type], let index = self.files.modified("\(path).\(suffix)"), index < text
        else {
            return
        }
        self.warn(
            value, word: word,
            "\(path) is newer than its .\(suffix): Postfix goes on with the older table; the newer text is imported")
    }
}
