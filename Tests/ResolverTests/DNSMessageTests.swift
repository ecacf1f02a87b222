import Resolver
import Testing

struct DNSMessageTests {
    private static func parse(_ packet: Packet) throws(DNSMessageError) -> DNSMessage {
        try DNSMessage(parsing: packet.bytes)
    }

    /// One record of the type asked for.
    private static func record(_ type: DNSType, _ data: [UInt8]) throws -> DNSRecord? {
        var packet = Packet.answer(to: "example.com", type, answers: 1)
        packet.record(nil, type, data)
        return try Self.parse(packet).answers.first?.data
    }

    // MARK: - Records

    @Test func `Every type is read into its values`() throws {
        #expect(try Self.record(.a, [192, 0, 2, 1]) == .a(0xC000_0201))
        #expect(
            try Self.record(.aaaa, [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1])
                == .aaaa(high: 0x2001_0DB8_0000_0000, low: 1))
        let exchange = DNSName.of("mx.example.com")
        #expect(try Self.record(.mx, Packet.mx(10, "MX.example.com")) == .mx(preference: 10, exchange: exchange))
        #expect(try Self.record(.mx, Packet.mx(0, "")) == .mx(preference: 0, exchange: .root), "null MX, RFC 7505")
        #expect(try Self.record(.txt, [2, 0x61, 0xFF, 0, 1, 0x62]) == .txt([[0x61, 0xFF], [], [0x62]]))
        #expect(try Self.record(.ptr, Packet.name("host.example")) == .ptr(.of("host.example")))
        #expect(try Self.record(.ns, Packet.name("ns.example")) == .ns(.of("ns.example")))
        #expect(try Self.record(.cname, Packet.name("other.example")) == .cname(.of("other.example")))
        #expect(
            try Self.record(.tlsa, [3, 1, 1, 0xAB, 0xCD])
                == .tlsa(.init(usage: 3, selector: 1, matching: 1, data: [0xAB, 0xCD])))
        #expect(
            try Self.record(.soa, Packet.soa("example.com", minimum: 60))
                == .soa(
                    DNSAuthority(
                        primary: .of("ns.example.com"), mailbox: .of("admin.example.com"), serial: 1,
                        refresh: .seconds(3600), retry: .seconds(600), expire: .seconds(86400), minimum: .seconds(60))))
        #expect(try Self.record(.srv, [1, 2, 3]) == .other(.srv, [1, 2, 3]))
    }

    @Test(
        arguments: [
            (DNSType.a, [1, 2, 3]), (.a, [1, 2, 3, 4, 5]), (.aaaa, [1]), (.mx, [0, 1]), (.mx, [0]),
            (.mx, [0, 1, 0, 0]),
            (.txt, [3, 1]), (.cname, [1]), (.cname, [0, 0]), (.soa, [0, 0, 1]), (.tlsa, [1, 2]), (.cname, [0xC0]),
        ] as [(DNSType, [UInt8])])
    func `Data that does not fit its type is an error`(type: DNSType, data: [UInt8]) {
        #expect(throws: DNSMessageError.self) { try Self.record(type, data) }
    }

    @Test func `Other classes and the proofs of DNSSEC are left out`() throws {
        var packet = Packet.answer(to: "example.com", .a, answers: 3)
        packet.record(nil, .a, class: 3, [1, 2, 3, 4])
        packet.record(nil, .rrsig, [1])
        packet.record(nil, .a, [192, 0, 2, 1])
        #expect(try Self.parse(packet).answers.map(\.data) == [.a(0xC000_0201)])
    }

    // MARK: - Names

    @Test func `Compressed names are put together`() throws {
        var packet = Packet.answer(to: "example.com", .mx, answers: 1)
        packet.record(nil, .mx, [0, 10, 4, 0x6D, 0x61, 0x69, 0x6C, 0xC0, 12])
        #expect(try Self.parse(packet).answers[0].data == .mx(preference: 10, exchange: .of("mail.example.com")))
    }

    @Test func `Pointers that lead forward or to themselves are errors`() {
        for target in [29, 30, 200, 0x3FFF] {  // The record begins at 29.
            var packet = Packet.answer(to: "example.com", .a, answers: 1)
            packet.pointer(to: target)
            packet.bytes += [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4]
            #expect(throws: DNSMessageError.invalidName) { try Self.parse(packet) }
        }
    }

    @Test func `Two pointers that lead to each other are an error`() {
        var packet = Packet.answer(to: "example.com", .cname, answers: 1)
        packet.record("a", .cname, [0xC0, 46, 0xC0, 44])
        #expect(packet.bytes.count == 46)
        #expect(throws: DNSMessageError.self) { try Self.parse(packet) }
    }

    @Test func `A name put together from pieces is not longer than 255 octets`() {
        let label = String(repeating: "x", count: 60)
        var packet = Packet.answer(to: "\(label).\(label).\(label)", .cname, answers: 1)
        packet.record(nil, .cname, Packet.name(label).dropLast() + [0xC0, 12])
        #expect(throws: Never.self) { try Self.parse(packet) }
        packet = Packet.answer(to: "\(label).\(label).\(label).\(label)", .cname, answers: 1)
        packet.record(nil, .cname, Packet.name(label).dropLast() + [0xC0, 12])
        #expect(throws: DNSMessageError.invalidName) { try Self.parse(packet) }
    }

    @Test func `Octets that are not printable are escaped`() throws {
        let name: [UInt8] = [4, 0x41, 0x2E, 0x00, 0xFF, 0]
        #expect(try Self.record(.ptr, name) == .ptr(.of("a\\.\\000\\255")))
    }

    // MARK: - Results

    private static let names = ["a", "b", "c"].map { "\($0).example" }

    /// a -> b -> c, and what is behind it.
    private static func chain(_ type: DNSType, code: Int = 0, _ end: (inout Packet) -> Void) throws -> DNSResult {
        var packet = Packet.answer(to: Self.names[0], type, code: code, answers: code == 0 ? 3 : 2, authority: 1)
        packet.record(Self.names[1], .cname, ttl: 40, Packet.name(Self.names[2]))
        packet.record(nil, .cname, ttl: 50, Packet.name(Self.names[1]))
        end(&packet)
        packet.record("example", .soa, ttl: 900, Packet.soa("example", minimum: 30))
        return try Self.parse(packet).result(security: .secure)
    }

    @Test func `Aliases are followed, and the smallest TTL counts`() throws {
        let result = try Self.chain(.a) { $0.record(Self.names[2], .a, ttl: 60, [192, 0, 2, 1]) }
        let answer = DNSAnswer(
            records: [.a(0xC000_0201)], ttl: .seconds(40), canonicalName: .of(Self.names[2]), security: .secure)
        #expect(result == .success(answer))
    }

    @Test func `Asked for itself, an alias is not followed`() throws {
        let result = try Self.chain(.cname) { $0.record(Self.names[2], .a, [192, 0, 2, 1]) }
        #expect(result.records == [.cname(.of(Self.names[1]))])
    }

    @Test func `That there is none is told with the smaller time of the zone`() throws {
        let negative = DNSNegative(ttl: .seconds(30), canonicalName: .of(Self.names[2]), security: .secure)
        #expect(try Self.chain(.a) { $0.record(Self.names[2], .txt, [0]) } == .failure(.noData(negative)))
        #expect(try Self.chain(.a, code: 3) { _ in } == .failure(.noSuchName(negative)))
        #expect(negative == DNSFailure.noData(negative).negative)
        #expect(DNSFailure.noData(negative).security == .secure && DNSFailure.bogus("").security == .bogus)
    }

    @Test func `Without a SOA record, a negative answer must not be kept`() throws {
        let result = try Self.parse(.answer(to: "example.com", .a)).result(security: .insecure)
        #expect(result.failure?.negative?.ttl == .zero)
    }

    @Test func `A TTL with the highest bit set is zero`() throws {
        var packet = Packet.answer(to: "example.com", .a, answers: 1)
        packet.record(nil, .a, ttl: 0x8000_0001, [192, 0, 2, 1])
        #expect(try Self.parse(packet).answers[0].ttl == .zero)
    }

    @Test func `Aliases that go round are a failure`() throws {
        var packet = Packet.answer(to: "a.example", .a, answers: 2)
        packet.record(nil, .cname, Packet.name("b.example"))
        packet.record("b.example", .cname, Packet.name("a.example"))
        #expect(try Self.parse(packet).result(security: .insecure) == .failure(.serverFailure("more than 16 aliases")))
    }

    @Test func `Error codes and truncated answers are failures`() throws {
        for (code, text) in [(1, "FORMERR"), (2, "SERVFAIL"), (4, "NOTIMP"), (5, "REFUSED"), (9, "RCODE9")] {
            let result = try Self.parse(.answer(to: "example.com", .a, code: code)).result(security: .insecure)
            #expect(result == .failure(.serverFailure(text)))
        }
        var packet = Packet.answer(to: "example.com", .a, isTruncated: true, answers: 1)
        packet.record(nil, .a, [192, 0, 2, 1])
        #expect(try Self.parse(packet).result(security: .insecure) == .failure(.serverFailure("truncated answer")))
    }

    @Test func `There must be one question`() {
        var packet = Packet.answer(to: "example.com", .a)
        packet.bytes[5] = 0
        #expect(throws: DNSMessageError.questionCount(0)) { try Self.parse(packet) }
    }

    // MARK: - Hostile bytes

    /// Messages with every type, compression and all sections.
    private static let messages: [[UInt8]] = {
        let types: [(DNSType, [UInt8])] = [
            (.a, [192, 0, 2, 1]), (.mx, Packet.mx(10, "mx.example") + []), (.txt, [3, 1, 2, 3, 1, 4]),
            (.cname, [3, 0x77, 0x77, 0x77, 0xC0, 12]), (.soa, Packet.soa("example", minimum: 60)),
            (.tlsa, [3, 1, 1, 7]), (.srv, [0, 1, 0, 2, 0, 3, 0]), (.aaaa, [UInt8](repeating: 7, count: 16)),
        ]
        return types.map { type, data in
            var packet = Packet.answer(to: "www.example.com", type, answers: 2, authority: 1)
            packet.record(nil, type, data)
            packet.record("www.example.com", type, data)
            packet.record("example.com", .soa, Packet.soa("example.com", minimum: 60))
            return packet.bytes
        }
    }()

    /// An error is as good as a message here.
    private static func readToTheEnd(_ bytes: [UInt8]) {
        if let message = try? DNSMessage(parsing: bytes) { _ = message.result(security: .insecure) }
    }

    @Test func `No beginning of a message is a message`() throws {
        for bytes in Self.messages {
            _ = try DNSMessage(parsing: bytes)
            for count in 0..<bytes.count {
                #expect(throws: DNSMessageError.self) { try DNSMessage(parsing: Array(bytes.prefix(count))) }
            }
        }
    }

    @Test func `Whatever one octet becomes, reading ends`() {
        for bytes in Self.messages {
            var changed = bytes
            for index in bytes.indices {
                let bits = (0..<8).map { bytes[index] ^ 1 << $0 }
                for value in bits + [0, 1, 11, 12, 13, 63, 64, 0xC0, 0xFF, bytes[index] &+ 1, bytes[index] &- 1] {
                    changed[index] = value
                    Self.readToTheEnd(changed)
                }
                changed[index] = bytes[index]
            }
        }
    }

    @Test func `Whatever several octets become, reading ends`() {
        var random = SystemRandomNumberGenerator()
        for bytes in Self.messages {
            for _ in 0..<5000 {
                var changed = bytes
                for _ in 0..<Int.random(in: 2...8, using: &random) {
                    changed[Int.random(in: changed.indices, using: &random)] = .random(in: 0...255, using: &random)
                }
                Self.readToTheEnd(changed)
            }
        }
    }
}
