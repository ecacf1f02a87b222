/// Which answers of a list count: four fields, each a number or a list such as `[2;3;9..11]`
/// (SEMANTICS §1, DNSBL site syntax; Postfix's ip_match).
///
/// As in Postfix, a number may have leading zeros, which do not make it octal, and brackets may stand around the
/// whole filter.
package struct DNSBLFilter: Hashable, Sendable {
    private let first: OctetSet
    private let second: OctetSet
    private let third: OctetSet
    private let fourth: OctetSet

    package init(_ text: some StringProtocol) throws(DNSBLSyntaxError) {
        var parser = DNSBLFilterParser(text)
        self.first = try parser.readField()
        try parser.readDot()
        self.second = try parser.readField()
        try parser.readDot()
        self.third = try parser.readField()
        try parser.readDot()
        self.fourth = try parser.readField()
        try parser.readEnd()
    }

    /// - Parameter address: an IPv4 address in host order.
    package func matches(_ address: UInt32) -> Bool {
        self.fourth.contains(UInt8(truncatingIfNeeded: address))
            && self.third.contains(UInt8(truncatingIfNeeded: address >> 8))
            && self.second.contains(UInt8(truncatingIfNeeded: address >> 16))
            && self.first.contains(UInt8(truncatingIfNeeded: address >> 24))
    }
}

extension DNSBLFilter: CustomStringConvertible {
    /// Numbers in their order, each once, and three or more in a row as a range.
    package var description: String {
        "\(self.first).\(self.second).\(self.third).\(self.fourth)"
    }
}

/// Values that an octet may have.
struct OctetSet: Hashable, Sendable {
    private var words = SIMD4<UInt64>()

    func contains(_ octet: UInt8) -> Bool { self.words[Int(octet >> 6)] >> UInt64(octet & 63) & 1 != 0 }

    mutating func insert(_ octet: UInt8) { self.words[Int(octet >> 6)] |= 1 << UInt64(octet & 63) }
}

extension OctetSet: CustomStringConvertible {
    var description: String {
        var runs: [ClosedRange<UInt8>] = []
        for octet in UInt8.min...UInt8.max where self.contains(octet) {
            if let last = runs.last, last.upperBound &+ 1 == octet {
                runs[runs.count - 1] = last.lowerBound...octet
            } else {
                runs.append(octet...octet)
            }
        }
        if runs.count == 1, runs[0].count == 1 { return "\(runs[0].lowerBound)" }
        let members = runs.flatMap { run in
            run.count > 2 ? ["\(run.lowerBound)..\(run.upperBound)"] : run.map { "\($0)" }
        }
        return "[\(members.joined(separator: ";"))]"
    }
}

/// Reads the fields of a filter from left to right.
private struct DNSBLFilterParser {
    private var scanner: ByteScanner

    init(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        self.scanner = ByteScanner(Self.isBracketed(bytes) ? bytes.dropFirst().dropLast() : bytes[...])
    }

    /// Whether the bracket that opens first is the one that closes last: `[[1;2].0.0.3]`, but not `[1;2].0.0.[3]`.
    private static func isBracketed(_ bytes: [UInt8]) -> Bool {
        guard bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]"), bytes.contains(ASCII.dot) else {
            return false
        }
        var depth = 0
        for byte in bytes.dropLast() {
            if byte == UInt8(ascii: "[") { depth += 1 }
            if byte == UInt8(ascii: "]") { depth -= 1 }
            if depth == 0 { return false }
        }
        return depth == 1
    }

    private func error(_ message: String) -> DNSBLSyntaxError {
        DNSBLSyntaxError(message: message, part: String(decoding: self.scanner.rest, as: UTF8.self))
    }

    mutating func readDot() throws(DNSBLSyntaxError) {
        if self.scanner.skip(".") { return }
        if self.scanner.isAtEnd { throw self.error("a filter has four fields") }
        throw self.errorBehindField(or: "a dot is missing behind a field")
    }

    func readEnd() throws(DNSBLSyntaxError) {
        if self.scanner.isAtEnd { return }
        throw self.errorBehindField(
            or: self.scanner.peek == ASCII.dot ? "a filter has only four fields" : "nothing may follow the last field")
    }

    private func errorBehindField(or message: String) -> DNSBLSyntaxError {
        guard let byte = self.scanner.peek, byte == UInt8(ascii: "[") || ASCII.isDigit(byte) else {
            return self.error(message)
        }
        return self.error("a field is either a number or one list")
    }

    mutating func readField() throws(DNSBLSyntaxError) -> OctetSet {
        var octets = OctetSet()
        if self.scanner.skip("[") {
            if self.scanner.peek == UInt8(ascii: "]") { throw self.error("a list is empty") }
            repeat {
                for octet in try self.readMember() { octets.insert(octet) }
            } while self.scanner.skip(";")
            guard self.scanner.skip("]") else { throw self.errorInList() }
        } else {
            if self.scanner.isAtEnd { throw self.error("a filter has four fields") }
            octets.insert(try self.readNumber(orError: "a field is a number or a list in brackets"))
        }
        return octets
    }

    /// `a` or `a..b`.
    private mutating func readMember() throws(DNSBLSyntaxError) -> ClosedRange<UInt8> {
        let lower = try self.readNumber(orError: "a number of a list is missing")
        let behind = self.scanner
        guard self.scanner.skip("."), self.scanner.skip(".") else {
            self.scanner = behind
            return lower...lower
        }
        let start = self.scanner
        let upper = try self.readNumber(orError: "the end of a range is missing")
        guard lower <= upper else {
            self.scanner = start
            throw self.error("a range runs backwards")
        }
        return lower...upper
    }

    private mutating func readNumber(orError message: String) throws(DNSBLSyntaxError) -> UInt8 {
        let start = self.scanner
        let digits = self.scanner.read(while: ASCII.isDigit)
        guard !digits.isEmpty else { throw self.error(message) }
        let value = digits.reduce(0) { min($0 * 10 + Int($1 - 0x30), 256) }
        guard let octet = UInt8(exactly: value) else {
            self.scanner = start
            throw self.error("a field of the filter is above 255")
        }
        return octet
    }

    private func errorInList() -> DNSBLSyntaxError {
        switch self.scanner.peek {
        case nil: self.error("a list is not closed")
        case ASCII.dot: self.error("a list may not span fields")
        case UInt8(ascii: ","): self.error("the numbers of a list are separated by ';'")
        case UInt8(ascii: "-"): self.error("a range is written 'a..b'")
        default: self.error("a list goes on with ';' or ends with ']'")
        }
    }
}

/// What is wrong with a site or a filter, and where.
package struct DNSBLSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    package let message: String
    /// The part that is wrong, or the filter from there on; empty at the end of the text.
    package let part: String

    package init(message: String, part: String) {
        self.message = message
        self.part = part
    }

    package var description: String {
        self.part.isEmpty ? "\(self.message), at the end" : "\(self.message), at '\(self.part)'"
    }
}
