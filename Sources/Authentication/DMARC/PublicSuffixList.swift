package import Mail

/// The Public Suffix List: below which names do others register theirs (https://publicsuffix.org/list/)?
///
/// Rules of both sections count, ICANN's and the private one, as in other implementations of RFC 7489: a customer of a
/// hosting service is no part of it. Names are kept whole and not as hashes of a known function, because the names that
/// are looked up are chosen by senders. About 0.5 MB for the 9,500 rules of 2023.
package struct PublicSuffixList: Sendable {
    private struct Kinds: OptionSet {
        let rawValue: UInt8

        /// `uk`: the name is a suffix.
        static let plain = Kinds(rawValue: 1)
        /// `*.ck`, kept under `ck`: every name one label below is a suffix.
        static let wildcard = Kinds(rawValue: 2)
        /// `!www.ck`: the name is none, in spite of a wildcard.
        static let exception = Kinds(rawValue: 4)
    }

    /// What was read is no list.
    package struct SyntaxError: Error, Hashable, CustomStringConvertible {
        /// From 1.
        package let line: Int
        package let description: String
    }

    private var rules: [String: Kinds] = [:]
    /// The most labels of any rule, so that long names do not cost more.
    private var maximumLabels = 1

    /// Lines that are no rules to us, from 1. Lists are made by others, and a name that they know and we do not is no
    /// reason not to start; but somebody should be told.
    package private(set) var skipped: [Int] = []

    package var ruleCount: Int { self.rules.count }

    /// Reads `public_suffix_list.dat`. U-labels become A-labels.
    ///
    /// - Throws: for a file without any rule, and, with the first line that is none, for one with more other lines than
    ///   rules: what was read then is something else, and every domain would be another's subdomain.
    package init(_ bytes: some Sequence<UInt8>) throws(SyntaxError) {
        var number = 0
        for line in Array(bytes).split(separator: ASCII.lineFeed, omittingEmptySubsequences: false) {
            number += 1
            // "Each line is only read up to the first whitespace."
            let text = line.drop(while: ASCII.isBlank).prefix { !ASCII.isBlank($0) && $0 != ASCII.carriageReturn }
            guard !text.isEmpty, !text.starts(with: "//".utf8) else { continue }
            guard let rule = String(validatingUTF8: text), self.add(rule) else {
                self.skipped.append(number)
                continue
            }
        }
        if let first = self.skipped.first, self.skipped.count > self.rules.count {
            throw SyntaxError(line: first, description: "not a rule of a public suffix list")
        }
        guard !self.rules.isEmpty else { throw SyntaxError(line: number, description: "no rule in the whole file") }
    }

    private mutating func add(_ rule: String) -> Bool {
        var name = rule[...]
        var kind = Kinds.plain
        if name.hasPrefix("!") {
            kind = .exception
            name = name.dropFirst()
        } else if name.hasPrefix("*.") {
            kind = .wildcard
            name = name.dropFirst(2)
        } else if name == "*" {
            return true  // What holds for names that no rule matches, anyway.
        }
        guard let domain = DomainName(name), kind != .exception || domain.labelCount > 1 else { return false }
        self.rules[domain.ascii, default: []].insert(kind)
        self.maximumLabels = max(self.maximumLabels, domain.labelCount + 1)
        return true
    }

    /// How many labels of the name are its public suffix; at least one, even of names in no list.
    private func suffixLabels(of name: String) -> Int {
        let bytes = name.utf8
        var labels = 0
        var found = 1
        var start = bytes.endIndex
        while start > bytes.startIndex, labels < self.maximumLabels {
            // To the beginning of the next label on the left.
            let dot = start == bytes.endIndex ? start : bytes.index(before: start)
            start = bytes[..<dot].lastIndex(of: ASCII.dot).map { bytes.index(after: $0) } ?? bytes.startIndex
            labels += 1
            guard let kinds = self.rules[String(name[start...])] else { continue }
            if kinds.contains(.exception) { return labels - 1 }
            if kinds.contains(.plain) { found = max(found, labels) }
            if kinds.contains(.wildcard) { found = max(found, labels + 1) }
        }
        return found
    }

    /// The domain that was registered: the public suffix and one label more (RFC 7489 §3.2); the name itself if it is a
    /// public suffix.
    package func organizationalDomain(of domain: DomainName) -> DomainName {
        domain.keepingLabels(self.suffixLabels(of: domain.ascii) + 1)
    }

    package func isPublicSuffix(_ domain: DomainName) -> Bool {
        self.suffixLabels(of: domain.ascii) >= domain.labelCount
    }
}

extension DomainName {
    /// The name of these last labels; the whole name if it has no more.
    package func keepingLabels(_ count: Int) -> DomainName {
        let labels = self.ascii.split(separator: ".")
        guard count > 0, labels.count > count else { return self }
        return DomainName(labels.suffix(count).joined(separator: ".")) ?? self
    }

    /// The name itself or one below it.
    package func isWithin(_ other: DomainName) -> Bool {
        self == other || self.ascii.hasSuffix("." + other.ascii)
    }
}
