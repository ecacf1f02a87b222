package import Mail
package import Resolver

/// One entry of `postscreen_dnsbl_sites`: `domain[=filter][*weight]` (SEMANTICS §1, DNSBL site syntax).
///
/// A site counts once for a client, however many of the list's answers match.
package struct DNSBLSite: Hashable, Sendable {
    /// Where the list is asked. It leaves room for an IPv6 address in front of it.
    package let zone: DNSName
    /// Which answers count; nil for all that mean ``DNSBLReturn/listed``.
    package let filter: DNSBLFilter?
    /// What the site adds to the score; below 0 for a list of good clients, never 0.
    package let weight: Int

    private static let heaviest = 1000

    package init(_ text: String) throws(DNSBLSyntaxError) {
        if text.utf8.contains(where: { ASCII.isBlank($0) || $0 == UInt8(ascii: ",") }) {
            throw DNSBLSyntaxError(
                message: "a site has no blanks or commas: each is an entry of its own, and lists use ';'", part: text)
        }
        let factors = text.split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = factors[0].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        self.zone = try Self.zone(parts[0])
        if parts.count > 1 { self.filter = try DNSBLFilter(parts[1]) } else { self.filter = nil }
        if factors.count > 1 { self.weight = try Self.weight(factors[1]) } else { self.weight = 1 }
    }

    private static func zone(_ text: Substring) throws(DNSBLSyntaxError) -> DNSName {
        if text.isEmpty { throw DNSBLSyntaxError(message: "a site begins with the domain of a list", part: "") }
        guard let name = DNSName(text), Self.isHostName(name) else {
            throw DNSBLSyntaxError(message: "a site begins with the domain of a list", part: String(text))
        }
        guard DNSName(reversing: .v6(high: 0, low: 0), in: name) != nil else {
            throw DNSBLSyntaxError(message: "the domain leaves no room for an address", part: String(text))
        }
        return name
    }

    /// Letters, digits, `_` and inner hyphens, and the last label is no number: an address has slipped in there.
    private static func isHostName(_ name: DNSName) -> Bool {
        let labels = name.text.utf8.split(separator: ASCII.dot, omittingEmptySubsequences: false)
        let areSane = labels.allSatisfy { label in
            label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy { ASCII.isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        }
        return areSane && labels.last?.allSatisfy(ASCII.isDigit) == false
    }

    private static func weight(_ text: Substring) throws(DNSBLSyntaxError) -> Int {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
        guard text.utf8.count - digits.count < 2, !digits.isEmpty, digits.allSatisfy(ASCII.isDigit) else {
            throw DNSBLSyntaxError(message: "the weight is not a whole number", part: String(text))
        }
        guard let weight = Int(text), abs(weight) <= Self.heaviest else {
            throw DNSBLSyntaxError(message: "the weight is beyond \(Self.heaviest)", part: String(text))
        }
        if weight == 0 { throw DNSBLSyntaxError(message: "a weight of 0 never counts", part: String(text)) }
        return weight
    }
}

extension DNSBLSite: CustomStringConvertible {
    package var description: String {
        "\(self.zone)\(self.filter.map { "=\($0)" } ?? "")\(self.weight == 1 ? "" : "*\(self.weight)")"
    }
}

extension DNSBLSite: OptionValue {
    package static var optionSyntax: String { "a list such as zen.spamhaus.org=127.0.0.[2..11]*3" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        do { self = try DNSBLSite(text) } catch { throw node.error("'\(text)': \(error)") }
    }

    package var optionText: String { self.description }
}
