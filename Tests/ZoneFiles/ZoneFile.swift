import Glibc
import Resolver

/// The records of a master file (RFC 1035 §5).
struct ZoneFile {
    struct Record {
        let owner: DNSName
        let ttl: Duration
        let data: DNSRecord
    }

    private(set) var records: [Record] = []
    private var origin = DNSName.root
    private var defaultTTL = Duration.seconds(3600)
    private var owner: DNSName?

    init(_ text: String) throws(ZoneFileError) {
        for entry in try ZoneEntry.split(text) {
            do {
                try self.add(entry)
            } catch {
                throw ZoneFileError(line: entry.line, problem: error.text)
            }
        }
    }

    private struct Problem: Error {
        let text: String

        init(_ text: String) { self.text = text }
    }

    // MARK: - Entries

    private mutating func add(_ entry: ZoneEntry) throws(Problem) {
        var fields = Fields(entry.fields)
        switch entry.fields[0] {
        case "$ORIGIN": self.origin = try self.name(entry.fields.dropFirst().first ?? "")
        case "$TTL": self.defaultTTL = try Self.duration(entry.fields.dropFirst().first ?? "")
        case let text where text.hasPrefix("$"): throw Problem("\(text) is not supported")
        default:
            if !entry.isIndented { self.owner = try self.name(try fields.next("owner")) }
            guard let owner = self.owner else { throw Problem("no owner") }
            try self.addRecord(of: owner, &fields)
        }
    }

    /// TTL and class may be left out, and stand in either order.
    private mutating func addRecord(of owner: DNSName, _ fields: inout Fields) throws(Problem) {
        var ttl = self.defaultTTL
        var text = try fields.next("type")
        while true {
            if text.uppercased() == "IN" {
                text = try fields.next("type")
            } else if text.first?.isNumber == true {
                ttl = try Self.duration(text)
                text = try fields.next("type")
            } else {
                break
            }
        }
        let data = try self.data(text.uppercased(), &fields)
        guard fields.isEmpty else { throw Problem("too many fields") }
        self.records.append(Record(owner: owner, ttl: ttl, data: data))
    }

    private struct Fields {
        private var rest: ArraySlice<String>

        init(_ fields: [String]) { self.rest = fields[...] }

        var isEmpty: Bool { self.rest.isEmpty }

        mutating func next(_ what: String) throws(Problem) -> String {
            guard let field = self.rest.popFirst() else { throw Problem("no \(what)") }
            return field
        }

        mutating func number<Number: FixedWidthInteger>(_ what: String) throws(Problem) -> Number {
            guard let number = Number(try self.next(what)) else { throw Problem("\(what) is no number") }
            return number
        }
    }

    // MARK: - Data

    private func data(_ type: String, _ fields: inout Fields) throws(Problem) -> DNSRecord {
        switch type {
        case "A": return try Self.address(try fields.next("address"), AF_INET)
        case "AAAA": return try Self.address(try fields.next("address"), AF_INET6)
        case "MX":
            let preference: UInt16 = try fields.number("preference")
            return .mx(preference: preference, exchange: try self.name(try fields.next("exchange")))
        case "TXT":
            var strings: [[UInt8]] = []
            repeat { strings.append(try Self.octets(try fields.next("text"))) } while !fields.isEmpty
            return .txt(strings)
        case "CNAME": return .cname(try self.name(try fields.next("name")))
        case "NS": return .ns(try self.name(try fields.next("name")))
        case "PTR": return .ptr(try self.name(try fields.next("name")))
        case "SOA": return .soa(try self.authority(&fields))
        case "TLSA": return .tlsa(try Self.association(&fields))
        default: throw Problem("type \(type) is not supported")
        }
    }

    private func authority(_ fields: inout Fields) throws(Problem) -> DNSAuthority {
        let primary = try self.name(try fields.next("primary"))
        let mailbox = try self.name(try fields.next("mailbox"))
        let serial: UInt32 = try fields.number("serial")
        let refresh = try Self.duration(try fields.next("refresh"))
        let retry = try Self.duration(try fields.next("retry"))
        let expire = try Self.duration(try fields.next("expire"))
        let minimum = try Self.duration(try fields.next("minimum"))
        return DNSAuthority(
            primary: primary, mailbox: mailbox, serial: serial, refresh: refresh, retry: retry, expire: expire,
            minimum: minimum)
    }

    private static func association(_ fields: inout Fields) throws(Problem) -> DNSCertificateAssociation {
        let usage: UInt8 = try fields.number("usage")
        let selector: UInt8 = try fields.number("selector")
        let matching: UInt8 = try fields.number("matching type")
        var digits = ""
        repeat { digits += try fields.next("data") } while !fields.isEmpty
        var data: [UInt8] = []
        while !digits.isEmpty {
            guard digits.count >= 2, let octet = UInt8(digits.prefix(2), radix: 16) else {
                throw Problem("data is not hexadecimal")
            }
            data.append(octet)
            digits.removeFirst(2)
        }
        return DNSCertificateAssociation(usage: usage, selector: selector, matching: matching, data: data)
    }

    private static func address(_ text: String, _ family: Int32) throws(Problem) -> DNSRecord {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard inet_pton(family, text, &bytes) == 1 else { throw Problem("\(text) is no address of this type") }
        func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        return family == AF_INET ? .a(UInt32(number(0..<4))) : .aaaa(high: number(0..<8), low: number(8..<16))
    }

    // MARK: - Fields

    /// A name without a dot at its end lies below the origin.
    private func name(_ text: String) throws(Problem) -> DNSName {
        if text == "@" { return self.origin }
        let isAbsolute = text == "." || text.hasSuffix(".") && !text.hasSuffix("\\.")
        guard let name = DNSName(isAbsolute || self.origin == .root ? text : "\(text).\(self.origin)") else {
            throw Problem("'\(text)' is no name")
        }
        return name
    }

    /// Seconds, or numbers with a unit: `1h30m`.
    private static func duration(_ text: String) throws(Problem) -> Duration {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800]
        var total = 0
        var digits = ""
        for character in text.lowercased() + (text.last?.isNumber == true ? "s" : "") {
            if character.isNumber {
                digits.append(character)
            } else {
                guard let unit = units[character], let number = Int(digits) else {
                    throw Problem("'\(text)' is no time")
                }
                total += number * unit
                digits = ""
            }
        }
        guard !text.isEmpty else { throw Problem("no time") }
        return .seconds(total)
    }

    /// A string with its escapes undone; at most 255 octets.
    private static func octets(_ text: String) throws(Problem) -> [UInt8] {
        var octets: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let octet = rest.popFirst() {
            guard octet == UInt8(ascii: "\\"), let next = rest.first else {
                octets.append(octet)
                continue
            }
            if 0x30...0x39 ~= next, let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self)), rest.count >= 3
            {
                octets.append(value)
                rest.removeFirst(3)
            } else {
                octets.append(next)
                rest.removeFirst()
            }
        }
        guard octets.count <= 255 else { throw Problem("a string has more than 255 octets") }
        return octets
    }
}
