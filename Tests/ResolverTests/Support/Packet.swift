import Resolver

/// Builds messages, also wrong ones.
struct Packet {
    var bytes: [UInt8] = []

    mutating func uint16(_ value: Int) { self.bytes += [UInt8(value >> 8 & 255), UInt8(value & 255)] }

    mutating func uint32(_ value: Int) {
        self.uint16(value >> 16)
        self.uint16(value)
    }

    /// Not compressed.
    mutating func name(_ text: String) {
        for label in text.split(separator: ".") {
            self.bytes.append(UInt8(label.utf8.count))
            self.bytes += Array(label.utf8)
        }
        self.bytes.append(0)
    }

    mutating func pointer(to offset: Int) { self.uint16(0xC000 | offset) }

    /// - Parameter owner: nil points to the name of the question.
    mutating func record(
        _ owner: String?, _ type: DNSType, ttl: Int = 300, class recordClass: Int = 1, _ data: [UInt8]
    ) {
        if let owner { self.name(owner) } else { self.pointer(to: 12) }
        self.uint16(Int(type.rawValue))
        self.uint16(recordClass)
        self.uint32(ttl)
        self.uint16(data.count)
        self.bytes += data
    }

    static func name(_ text: String) -> [UInt8] {
        var packet = Packet()
        packet.name(text)
        return packet.bytes
    }

    static func soa(_ zone: String, minimum: Int) -> [UInt8] {
        var packet = Packet()
        packet.name("ns.\(zone)")
        packet.name("admin.\(zone)")
        for value in [1, 3600, 600, 86400, minimum] { packet.uint32(value) }
        return packet.bytes
    }

    static func mx(_ preference: Int, _ exchange: String) -> [UInt8] {
        var packet = Packet()
        packet.uint16(preference)
        packet.name(exchange)
        return packet.bytes
    }

    /// Header and question of an answer.
    static func answer(
        to name: String, _ type: DNSType, identifier: Int = 0, code: Int = 0, isTruncated: Bool = false,
        answers: Int = 0, authority: Int = 0
    ) -> Packet {
        var packet = Packet()
        packet.uint16(identifier)
        packet.uint16(0x8180 | (isTruncated ? 0x0200 : 0) | code)
        for count in [1, answers, authority, 0] { packet.uint16(count) }
        packet.name(name)
        packet.uint16(Int(type.rawValue))
        packet.uint16(1)
        return packet
    }
}
