extension String: OptionValue {
    package static var optionSyntax: String { "text" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard !text.isEmpty else { throw node.error("expected \(Self.optionSyntax)") }
        self = text
    }

    package var optionText: String { self }
}

extension Int: OptionValue {
    package static var optionSyntax: String { "a whole number" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let value = Int(text), value >= 0 else { throw node.error("'\(text)' is not a whole number") }
        self = value
    }

    package var optionText: String { String(self) }
}

extension Bool: OptionValue {
    package static var optionSyntax: String { "true or false" }

    package init(option node: OptionNode) throws(OptionError) {
        switch try node.scalar(expected: Self.optionSyntax) {
        case "true", "yes", "on": self = true
        case "false", "no", "off": self = false
        case let other: throw node.error("'\(other)' is neither true nor false")
        }
    }

    package var optionText: String { self ? "true" : "false" }
}

extension Optional: OptionValue where Wrapped: OptionValue {
    package static var optionSyntax: String { Wrapped.optionSyntax }
    package static var optionReference: OptionReference? { Wrapped.optionReference }

    package init(option node: OptionNode) throws(OptionError) {
        self = try Wrapped(option: node)
    }

    package var optionText: String { self?.optionText ?? "" }
}

extension Array: OptionValue where Element: OptionValue {
    package static var optionSyntax: String { "a list, each \(Element.optionSyntax)" }
    package static var optionReference: OptionReference? { Element.optionReference }

    package init(option node: OptionNode) throws(OptionError) {
        guard case .list(let nodes) = node.content else { throw node.error("expected \(Self.optionSyntax)") }
        var elements: [Element] = []
        var errors: [OptionError] = []
        for node in nodes {
            do { elements.append(try Element(option: node)) } catch { errors += error.all }
        }
        if let error = OptionError(gathered: errors) { throw error }
        self = elements
    }

    package var optionText: String { "[\(self.map(\.optionText).joined(separator: ", "))]" }
}

/// Groups under names that the administrator chooses, such as one per destination.
package struct Named<Value: OptionValue>: OptionValue {
    package var values: [String: Value] = [:]

    package init() {}

    package static var optionSyntax: String { "names, below each \(Value.optionSyntax)" }
    package static var optionReference: OptionReference? { Value.optionReference }

    package init(option node: OptionNode) throws(OptionError) {
        guard case .map(let entries) = node.content else { throw node.error("expected \(Self.optionSyntax)") }
        var errors: [OptionError] = []
        for (key, place, value) in entries {
            guard self.values[key] == nil else {
                errors.append(OptionError(place: place, message: "'\(key)' is repeated"))
                continue
            }
            do { self.values[key] = try Value(option: value) } catch { errors += error.all }
        }
        if let error = OptionError(gathered: errors) { throw error }
    }

    package var optionText: String { "{}" }
}

extension RawRepresentable where Self: OptionValue & CaseIterable, RawValue == String {
    package static var optionSyntax: String { Self.allCases.map(\.rawValue).joined(separator: " or ") }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let value = Self(rawValue: text) else {
            throw node.error("'\(text)' is not \(Self.optionSyntax)")
        }
        self = value
    }

    package var optionText: String { self.rawValue }
}

/// `10d`, `4h`, `5m`, `300s`, `500ms`, or sums of them such as `1h30m`; a bare number other than 0 has no unit and is
/// refused, and so is more than a million weeks, so that no time reckoned with it overflows.
extension Duration: OptionValue {
    package static var optionSyntax: String { "a duration such as 10d, 4h, 5m, 300s or 500ms" }

    private static let units: [(name: String, microseconds: Int64)] = [
        ("w", 604_800_000_000), ("d", 86_400_000_000), ("h", 3_600_000_000), ("ms", 1000), ("m", 60_000_000),
        ("s", 1_000_000),
    ]

    /// A hundred years in microseconds: no sum of a duration and a time of any unit can overflow.
    private static let longest: Int64 = 36_500 * 86_400_000_000

    package init?(optionText text: some StringProtocol) {
        var scanner = ByteScanner(text)
        var total: Int64 = 0
        guard !scanner.isAtEnd else { return nil }
        while !scanner.isAtEnd {
            let digits = scanner.read(while: ASCII.isDigit)
            let name = String(decoding: scanner.read { !ASCII.isDigit($0) }, as: UTF8.self)
            guard let count = Int64(String(decoding: digits, as: UTF8.self)) else { return nil }
            if count == 0, name.isEmpty, scanner.isAtEnd { break }
            guard let unit = Self.units.first(where: { $0.name == name }),
                count <= (Self.longest - total) / unit.microseconds
            else { return nil }
            total += count * unit.microseconds
        }
        self = .microseconds(total)
    }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let value = Duration(optionText: text) else {
            throw node.error("'\(text)' is not \(Self.optionSyntax)")
        }
        self = value
    }

    /// The largest unit that leaves no rest.
    package var optionText: String {
        let microseconds = self.microseconds
        let units = Self.units.sorted { $0.microseconds > $1.microseconds }.filter { $0.name != "w" }
        guard microseconds != 0, let unit = units.first(where: { microseconds % $0.microseconds == 0 }) else {
            return "0"
        }
        return "\(microseconds / unit.microseconds)\(unit.name)"
    }
}

/// A number of octets: `25MB` is 25,000,000, `25MiB` 26,214,400.
package struct ByteCount: Hashable, Comparable, Sendable, OptionValue {
    package let bytes: Int

    package init(_ bytes: Int) {
        self.bytes = bytes
    }

    package static func < (left: ByteCount, right: ByteCount) -> Bool { left.bytes < right.bytes }

    package static var optionSyntax: String { "a size such as 25MB or 512KiB" }

    private static let units: [(name: String, bytes: Int)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("kB", 1000), ("B", 1),
    ]

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let name = text.dropFirst(digits.count).drop { $0 == " " }
        guard let count = Int(digits),
            let unit = Self.units.first(where: { $0.name == name })?.bytes ?? (count == 0 && name.isEmpty ? 1 : nil),
            count <= Int.max / unit
        else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
        self.bytes = count * unit
    }

    package var optionText: String {
        guard self.bytes != 0, let unit = Self.units.first(where: { self.bytes % $0.bytes == 0 }) else { return "0" }
        return "\(self.bytes / unit.bytes)\(unit.name)"
    }
}

extension IPNetwork: OptionValue {
    package static var optionSyntax: String { "a network such as 192.0.2.0/24 or an address" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        do {
            self = try IPNetwork(text)
        } catch {
            switch error {
            case .notANetwork: throw node.error("'\(text)' is not \(Self.optionSyntax)")
            case .hostBitsSet(let meant):
                throw node.error("'\(text)' has bits set behind its prefix; \(meant) was meant?")
            }
        }
    }

    package var optionText: String { self.description }
}

extension IPAddress: OptionValue {
    package static var optionSyntax: String { "an IP address" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let address = IPAddress(text) else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
        self = address
    }

    package var optionText: String { self.description }
}

extension Mailbox: OptionValue {
    package static var optionSyntax: String { "a mail address" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let mailbox = Mailbox(text) else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
        self = mailbox
    }

    package var optionText: String { self.description }
}

extension DomainName: OptionValue {
    package static var optionSyntax: String { "a domain name" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let name = DomainName(text) else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
        self = name
    }

    package var optionText: String { self.text }
}

/// Address and port: `0.0.0.0:25`, `[::]:25`, `127.0.0.1:2525`.
package struct Endpoint: Hashable, Sendable, OptionValue, CustomStringConvertible {
    package let address: IPAddress
    package let port: Int

    package init(_ address: IPAddress, port: Int) {
        self.address = address
        self.port = port
    }

    /// - Parameter defaultPort: used if the text has none; nil if it must have one.
    package init?(_ text: some StringProtocol, defaultPort: Int? = nil) {
        var host = text[...]
        var port = defaultPort
        if let address = IPAddress(host) {
            guard let defaultPort else { return nil }
            self.init(address, port: defaultPort)
            return
        }
        if let colon = host.lastIndex(of: ":"), host.last != "]" {
            guard let number = Int(host[host.index(after: colon)...]), (0...65535).contains(number) else { return nil }
            port = number
            host = host[..<colon]
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard let port, let address = IPAddress(isBracketed ? host.dropFirst().dropLast() : host),
            isBracketed || address.width == 32
        else { return nil }
        self.init(address, port: port)
    }

    package static var optionSyntax: String { "ADDRESS:PORT, IPv6 in brackets" }

    package init(option node: OptionNode) throws(OptionError) {
        let text = try node.scalar(expected: Self.optionSyntax)
        guard let endpoint = Endpoint(text) else { throw node.error("'\(text)' is not \(Self.optionSyntax)") }
        self = endpoint
    }

    package var description: String {
        self.address.width == 32 ? "\(self.address):\(self.port)" : "[\(self.address)]:\(self.port)"
    }

    package var optionText: String { self.description }
}
