/// A DNS message (RFC 1035 §4), as far as answering a question needs it: header, question, answers and authority.
///
/// Records of other classes than IN are left out, and so are the proofs of DNSSEC unless they were asked for:
/// libunbound has checked them.
package struct DNSMessage: Hashable, Sendable {
    package struct Record: Hashable, Sendable {
        package let owner: DNSName
        package let ttl: Duration
        package let data: DNSRecord
    }

    package let identifier: UInt16
    /// 0 for no error, 3 for NXDOMAIN; the others are in RFC 1035 §4.1.1 and later.
    package let responseCode: UInt8
    /// Records are missing.
    package let isTruncated: Bool
    package let question: DNSQuestion
    package let answers: [Record]
    package let authority: [Record]

    package init(parsing bytes: [UInt8]) throws(DNSMessageError) {
        var reader = WireReader(bytes)
        self.identifier = try reader.uint16()
        let flags = try reader.uint16()
        self.isTruncated = flags & 0x0200 != 0
        self.responseCode = UInt8(flags & 0x0F)
        let questionCount = try reader.uint16()
        let answerCount = try reader.uint16()
        let authorityCount = try reader.uint16()
        try reader.skip(2)
        guard questionCount == 1 else { throw .questionCount(Int(questionCount)) }
        let name = try reader.name()
        self.question = DNSQuestion(name, DNSType(rawValue: try reader.uint16()))
        try reader.skip(2)
        self.answers = try Self.records(answerCount, askedFor: self.question.type, from: &reader)
        self.authority = try Self.records(authorityCount, askedFor: self.question.type, from: &reader)
    }

    private static func records(
        _ count: UInt16, askedFor asked: DNSType, from reader: inout WireReader
    ) throws(DNSMessageError) -> [Record] {
        var records: [Record] = []
        for _ in 0..<count {
            let owner = try reader.name()
            let type = DNSType(rawValue: try reader.uint16())
            let recordClass = try reader.uint16()
            let ttl = try reader.seconds()
            let length = Int(try reader.uint16())
            if recordClass == Self.classIN, type == asked || !Self.proofs.contains(type) {
                let data = try Self.data(type, length: length, from: &reader)
                records.append(Record(owner: owner, ttl: ttl, data: data))
            } else {
                try reader.skip(length)
            }
        }
        return records
    }

    private static let classIN = 1

    private static let proofs: [DNSType] = [.rrsig, .nsec, .nsec3]

    private static func data(
        _ type: DNSType, length: Int, from reader: inout WireReader
    ) throws(DNSMessageError) -> DNSRecord {
        let end = reader.position + length
        let data: DNSRecord
        switch type {
        case .a: data = .a(try reader.uint32())
        case .aaaa:
            let high = try reader.uint64()
            data = .aaaa(high: high, low: try reader.uint64())
        case .mx:
            let preference = try reader.uint16()
            data = .mx(preference: preference, exchange: try reader.name())
        case .txt: data = .txt(try reader.strings(upTo: end))
        case .ptr: data = .ptr(try reader.name())
        case .ns: data = .ns(try reader.name())
        case .cname: data = .cname(try reader.name())
        case .soa: data = .soa(try Self.authority(from: &reader))
        case .tlsa:
            let (usage, selector, matching) = (try reader.uint8(), try reader.uint8(), try reader.uint8())
            let association = Array(try reader.octets(end - reader.position))
            data = .tlsa(.init(usage: usage, selector: selector, matching: matching, data: association))
        default: data = .other(type, Array(try reader.octets(length)))
        }
        guard reader.position == end else { throw .invalidData(type) }
        return data
    }

    private static func authority(from reader: inout WireReader) throws(DNSMessageError) -> DNSAuthority {
        let primary = try reader.name()
        let mailbox = try reader.name()
        let serial = try reader.uint32()
        let (refresh, retry, expire) = (try reader.seconds(), try reader.seconds(), try reader.seconds())
        return DNSAuthority(
            primary: primary, mailbox: mailbox, serial: serial, refresh: refresh, retry: retry, expire: expire,
            minimum: try reader.seconds())
    }
}

extension DNSMessage {
    /// Aliases followed from the name that was asked for. libunbound follows eleven.
    private static let maximumAliases = 16

    /// What the message says to its question.
    ///
    /// - Parameter security: what validation found; it holds for the whole message.
    package func result(security: DNSSecurity) -> DNSResult {
        guard [ResponseCode.noError, ResponseCode.noSuchName].contains(self.responseCode) else {
            return .failure(.serverFailure(ResponseCode.text(of: self.responseCode)))
        }
        guard !self.isTruncated else { return .failure(.serverFailure("truncated answer")) }
        var owner = self.question.name
        var ttl: Duration?
        for _ in 0...Self.maximumAliases {
            let found = self.answers.filter { $0.owner == owner && $0.data.type == self.question.type }
            if !found.isEmpty {
                let smallest = found.reduce(ttl ?? found[0].ttl) { min($0, $1.ttl) }
                return .success(
                    DNSAnswer(records: found.map(\.data), ttl: smallest, canonicalName: owner, security: security))
            }
            guard let (target, aliasTTL) = self.alias(of: owner) else {
                return .failure(self.negative(owner, chainTTL: ttl, security: security))
            }
            ttl = min(ttl ?? aliasTTL, aliasTTL)
            owner = target
        }
        return .failure(.serverFailure("more than \(Self.maximumAliases) aliases"))
    }

    private func alias(of owner: DNSName) -> (target: DNSName, ttl: Duration)? {
        for record in self.answers where record.owner == owner {
            if case .cname(let target) = record.data { return (target, record.ttl) }
        }
        return nil
    }

    /// RFC 2308 §5: the smaller of the SOA record's TTL and its minimum field.
    private func negative(_ owner: DNSName, chainTTL: Duration?, security: DNSSecurity) -> DNSFailure {
        var ttl = Duration.zero
        for record in self.authority {
            guard case .soa(let authority) = record.data else { continue }
            ttl = min(record.ttl, authority.minimum, chainTTL ?? record.ttl)
        }
        let negative = DNSNegative(ttl: ttl, canonicalName: owner, security: security)
        return self.responseCode == ResponseCode.noSuchName ? .noSuchName(negative) : .noData(negative)
    }
}

/// The response codes that are told apart, and the names of those that are only logged.
enum ResponseCode {
    static let noError: UInt8 = 0
    static let noSuchName: UInt8 = 3

    static func text(of code: UInt8) -> String {
        switch code {
        case 1: "FORMERR"
        case 2: "SERVFAIL"
        case 4: "NOTIMP"
        case 5: "REFUSED"
        default: "RCODE\(code)"
        }
    }
}
