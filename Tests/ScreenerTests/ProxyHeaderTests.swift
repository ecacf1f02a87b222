import Mail
import Screener
import Testing

/// haproxy's proxy-protocol.txt; SEMANTICS §14.
struct ProxyHeaderTests {
    private typealias Source = ProxyHeader.Source

    private func read(_ bytes: [UInt8]) -> ProxyHeader.Progress { bytes.withUnsafeBytes { ProxyHeader.read($0) } }

    private func read(_ text: String) -> ProxyHeader.Progress { self.read(Array(text.utf8)) }

    /// How many octets are read until something is wrong.
    private func wrongOctet(_ bytes: [UInt8]) -> Int? {
        (0...bytes.count).first { if case .malformed = self.read(Array(bytes[..<$0])) { true } else { false } }
    }

    private static func proxied(_ client: String, _ local: String) throws -> Source {
        .proxied(client: try #require(Endpoint(client)), local: try #require(Endpoint(local)))
    }

    private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
    private static let v4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 1, 0x9C, 0x40, 0, 25]
    private static let v6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [1]
        + [0x20, 0x01, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [2] + [0xFF, 0xFF, 0, 0]

    private static func header(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
        Self.signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 255)] + rest
    }

    /// Headers in a form that is printed, with what they say.
    private static let lines: [(line: String, client: String, local: String)] = [
        ("PROXY TCP4 192.0.2.1 198.51.100.1 40000 25\r\n", "192.0.2.1:40000", "198.51.100.1:25"),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0", "255.255.255.255:65535"),
        ("PROXY TCP6 2001:db8::1 2001:db8::2 40000 25\r\n", "[2001:db8::1]:40000", "[2001:db8::2]:25"),
        ("PROXY TCP6 :: ::1 1 2\r\n", "[::]:1", "[::1]:2"),
        ("PROXY TCP6 1:2:3:4:5:6:7:8 fc:00:00:00:1:2:3:4 1 2\r\n", "[1:2:3:4:5:6:7:8]:1", "[fc::1:2:3:4]:2"),
        ("PROXY TCP6 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 1 2\r\n", "[1:2:3:4:5:6:7:0]:1", "[0:2:3:4:5:6:7:8]:2"),
        ("PROXY TCP6 1::8 1:2:3::6:7:8 1 2\r\n", "[1::8]:1", "[1:2:3::6:7:8]:2"),
        ("PROXY TCP6 ::FFFF:192.0.2.1 ::ffff:198.51.100.1 1 2\r\n", "192.0.2.1:1", "198.51.100.1:2"),
        ("PROXY TCP6 ::ffff:c000:201 ::192.0.2.1 1 2\r\n", "192.0.2.1:1", "[::c000:201]:2"),
        (
            "PROXY TCP6 FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
        ),
    ]

    private static func all() throws -> [(bytes: [UInt8], source: Source)] {
        let texts = try Self.lines.map { (Array($0.line.utf8), try Self.proxied($0.client, $0.local)) }
        let own = [
            "PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN ffff::1 x\u{1} 65535\r\n",
            "PROXY UNKNOWN \(String(repeating: "x", count: 91))\r\n",
        ]
        let client4 = try Self.proxied("192.0.2.1:40000", "198.51.100.1:25")
        let client6 = try Self.proxied("[2001:db8::1]:65535", "[2001:db8::2]:0")
        let mapped = [UInt8](repeating: 0, count: 10) + [255, 255]
        let v4in6 = mapped + Self.v4[..<4] + mapped + Self.v4[4...]
        let binary: [([UInt8], Source)] = [
            (Self.header(0x21, 0x11, Self.v4), client4), (Self.header(0x21, 0x12, Self.v4), client4),
            (Self.header(0x21, 0x21, Self.v6), client6), (Self.header(0x21, 0x22, Self.v6), client6),
            (Self.header(0x21, 0x21, v4in6), client4),
            (Self.header(0x21, 0x11, Self.v4 + [3, 0, 4, 1, 2, 3, 4]), client4),
            (Self.header(0x21, 0x11, Self.v4 + Array(repeating: 4, count: 2036)), client4),
            (Self.header(0x21, 0x31, Array(repeating: 47, count: 216)), .own),
            (Self.header(0x21, 0x32, Array(repeating: 47, count: 216)), .own),
            (Self.header(0x21, 0x00, []), .own), (Self.header(0x21, 0x00, [1, 2, 3]), .own),
            (Self.header(0x20, 0x00, []), .own), (Self.header(0x20, 0x11, Self.v4), .own),
            // LOCAL: the family does not matter.
            (Self.header(0x20, 0xFF, [1]), .own),
        ]
        return texts + own.map { (Array($0.utf8), .own) } + binary
    }

    @Test func `a header is read, and what follows is not`() throws {
        for (bytes, source) in try Self.all() {
            #expect(self.read(bytes) == .complete(bytes: bytes.count, source))
            for rest in ["\r\n", "PROXY UNKNOWN\r\n", "EHLO client.test\r\n", "\0"] {
                #expect(self.read(bytes + Array(rest.utf8)) == .complete(bytes: bytes.count, source))
            }
        }
    }

    @Test func `every beginning of a header is incomplete`() throws {
        for (bytes, _) in try Self.all() {
            for count in 0..<bytes.count {
                #expect(self.read(Array(bytes[..<count])) == .incomplete, "\(count) octets")
            }
        }
    }

    /// The octet of each that is the first to be wrong, from 1.
    @Test(arguments: [
        ("EHLO client.test\r\n", 1), ("proxy TCP4 ", 1), (" PROXY TCP4", 1), ("\r\nPROXY", 3), ("\n", 1),
        ("PROXY  TCP4", 7), ("PROXY\tTCP4", 6), ("PROXY\r\n", 6), ("PROXY TCP5 ", 10), ("PROXY TCP\r", 10),
        ("PROXY UDP4 ", 8), ("PROXY tcp4 ", 7), ("PROXY UNKNOWNX", 14), ("PROXY UNKNOWN\n", 14),
        ("PROXY UNKNOWN x\n", 16), ("PROXY UNKNOWN x\rx", 17), ("PROXY TCP4\r\n", 11), ("PROXY TCP4  1", 12),
        ("PROXY TCP4 ::1 ", 12), ("PROXY TCP4 ::ffff:192.0.2.1 ", 12), ("PROXY TCP4 256.", 14),
        ("PROXY TCP4 192.0.2.01 ", 21), ("PROXY TCP4 00.", 13), ("PROXY TCP4 1.2.3 ", 17), ("PROXY TCP4 1.2.3.4.", 19),
        ("PROXY TCP4 1..2", 14), ("PROXY TCP4 1.2.3.4\t", 19), ("PROXY TCP4 1.2.3.4\r\n", 19),
        ("PROXY TCP4 1.2.3.4 5.6.7.8\r\n", 27), ("PROXY TCP4 1.2.3.4 ::1 ", 20),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 65536", 32), ("PROXY TCP4 1.2.3.4 5.6.7.8 00", 29),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 0025", 29), ("PROXY TCP4 1.2.3.4 5.6.7.8 +1", 28),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 -1", 28), ("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", 29),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 \r\n", 30), ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", 31),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", 31), ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx", 32),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 999999", 34),
        ("PROXY TCP6 1.2.3.4 ", 13), ("PROXY TCP6 :1", 13), ("PROXY TCP6 :::", 14), ("PROXY TCP6 1::2::", 17),
        ("PROXY TCP6 12345", 16), ("PROXY TCP6 g", 12), ("PROXY TCP6 1:2 ", 15), ("PROXY TCP6 1: ", 14),
        ("PROXY TCP6 1:2:3:4:5:6:7:8:", 27), ("PROXY TCP6 1:2:3:4:5:6:7::8", 27), ("PROXY TCP6 ::1:2:3:4:5:6:7:", 27),
        ("PROXY TCP6 ::ffff:256.", 22), ("PROXY TCP6 ::ffff:1.2.3 ", 24), ("PROXY TCP6 ::ffff:1.2.3.04", 26),
        ("PROXY TCP6 1::1.2.3.4 ", 16), ("PROXY TCP6 ::fffe:1.2.3.4 ", 20), ("PROXY TCP6 ::a.", 15),
        ("PROXY TCP6 ::1%eth0 ", 15), ("PROXY TCP6 [::1] ", 12), ("PROXY TCP6 ::1 1.2.3.4 ", 17),
    ])
    func `a line is wrong from its first wrong octet`(line: String, octet: Int) {
        #expect(self.wrongOctet(Array(line.utf8)) == octet)
    }

    @Test func `a line has at most 107 octets`() {
        let longest = "PROXY UNKNOWN \(String(repeating: "x", count: 91))"
        #expect(self.read("\(longest)\r\n") == .complete(bytes: 107, .own))
        #expect(self.wrongOctet(Array("\(longest)x".utf8)) == 106)
        #expect(self.read("\(longest)x\r\n") == .malformed("longer than 107 octets"))
    }

    @Test(arguments: [
        (Self.signature.dropLast() + [0x0D], 12), (Self.signature + [0x11], 13), (Self.signature + [0x31], 13),
        (Self.signature + [0x22], 13), (Self.signature + [0x2F], 13),
        (Self.signature + [0x21, 0x13], 14), (Self.signature + [0x21, 0x41], 14), (Self.signature + [0x21, 0x01], 14),
        (Self.signature + [0x21, 0x10], 14), (Self.signature + [0x21, 0xFF], 14),
        (Self.signature + [0x21, 0x11, 0, 11], 16), (Self.signature + [0x21, 0x21, 0, 35], 16),
        (Self.signature + [0x21, 0x21, 0, 12], 16), (Self.signature + [0x21, 0x31, 0, 215], 16),
        (Self.signature + [0x21, 0x11, 9], 15), (Self.signature + [0x21, 0x11, 8, 1], 16),
        (Self.signature + [0x20, 0x00, 0xFF, 0xFF], 15),
    ])
    func `a binary header is wrong from its first wrong octet`(bytes: [UInt8], octet: Int) {
        #expect(self.wrongOctet(bytes) == octet)
    }

    @Test(arguments: [
        ("GET / HTTP/1.0\r\n", "neither 'PROXY ' nor the signature of version 2"),
        ("PROXY TCP7", "neither TCP4 nor TCP6 nor UNKNOWN"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 65536 ", "the client's port is above 65535"),
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1 02", "the local port has a leading zero"),
        ("PROXY TCP6 1:2:3 ", "an IPv6 address has too few groups"),
    ])
    func `what is wrong is said without the peer's octets`(line: String, message: String) {
        #expect(self.read(line) == .malformed(message))
    }
}
