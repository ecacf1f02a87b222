/// Names for peers that are told their answers instead of asking DNS: by name, what it has.
package struct PeerNames: Sendable, Encodable {
    package struct Records: Sendable, Encodable {
        /// Each record as its strings, octet for octet (Latin-1).
        package var texts: [[String]] = []
        package var addresses: [String] = []
        package var v6Addresses: [String] = []
        package var exchangers: [(preference: Int, host: String)] = []
        package var pointers: [String] = []
        package var aliases: [String] = []
        /// Asking for anything of this name fails, as if no server answered.
        package var isFailing = false

        package init(texts: [String] = [], addresses: [String] = [], exchangers: [String] = []) {
            self.texts = texts.map { [$0] }
            self.addresses = addresses
            self.exchangers = exchangers.map { (10, $0) }
        }

        private enum Key: String, CodingKey { case TXT, A, AAAA, MX, PTR, CNAME }

        package func encode(to encoder: any Encoder) throws {
            if self.isFailing {
                var container = encoder.singleValueContainer()
                return try container.encode("SERVFAIL")
            }
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(self.texts, forKey: .TXT)
            try container.encode(self.addresses, forKey: .A)
            try container.encode(self.v6Addresses, forKey: .AAAA)
            try container.encode(self.pointers, forKey: .PTR)
            try container.encode(self.aliases, forKey: .CNAME)
            var list = container.nestedUnkeyedContainer(forKey: .MX)
            for exchanger in self.exchangers {
                var pair = list.nestedUnkeyedContainer()
                try pair.encode(exchanger.preference)
                try pair.encode(exchanger.host)
            }
        }
    }

    package var records: [String: Records]

    package init(_ records: [String: Records] = [:]) {
        self.records = records
    }

    /// Of one key.
    package init(selector: String, domain: String, record: String) {
        self.records = ["\(selector)._domainkey.\(domain)": Records(texts: [record])]
    }

    package func encode(to encoder: any Encoder) throws { try self.records.encode(to: encoder) }
}
