import Mail

enum MailProperties {
    /// An address that is written down is the same address, and cannot smuggle a line or a bracket.
    static func address(_ bytes: [UInt8]) throws {
        guard let mailbox = Mailbox(String(decoding: bytes, as: UTF8.self)) else { return }
        let text = "\(mailbox)"
        try require(!text.utf8.contains { $0 < 32 || $0 == 127 }, "a control character in \(text.debugDescription)")
        guard let again = Mailbox(text) else { throw FuzzFailure("\(text.debugDescription) is no address") }
        try require(again == mailbox && "\(again)" == text, "\(text) is \(again)")
    }

    static func domain(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        if let literal = AddressLiteral(text) {
            try require(AddressLiteral("\(literal)") == literal, "\(literal) is another literal")
        }
        guard let name = DomainName(text) else { return }
        try require(name.ascii.utf8.allSatisfy { $0 > 32 && $0 < 127 }, "\(name.ascii) is not ASCII")
        try require(name.ascii.utf8.count <= 255, "\(name.ascii.utf8.count) octets")
        try require(DomainName(name.ascii) == name, "\(name.ascii) is another name")
    }

    /// The count of Received fields does not depend on how the header arrives.
    static func header(_ bytes: [UInt8]) throws {
        var (whole, cut) = (HeaderScanner(), HeaderScanner())
        bytes.withUnsafeBytes { whole.scan($0) }
        for piece in pieces(of: bytes) { piece.withUnsafeBytes { cut.scan($0) } }
        try require(whole.receivedCount == cut.receivedCount, "another count in pieces")
        try require(whole.receivedCount <= bytes.count / 9, "more fields than there is room for")
    }

    static func address(ofHost bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        if let address = IPAddress(text) {
            try require(IPAddress("\(address)") == address, "\(address) is another address")
        }
        if let network = try? IPNetwork(text) {
            try require((try? IPNetwork("\(network)")) == network, "\(network) is another network")
            try require(network.contains(network.base), "\(network) does not hold its base")
        }
        if let endpoint = Endpoint(text) {
            try require(Endpoint("\(endpoint)") == endpoint, "\(endpoint) is another endpoint")
        }
        if let id = QueueID(text) { try require(QueueID("\(id)") == id, "\(id) is another ID") }
    }

    static func option(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        let node = OptionNode(.scalar(text), at: OptionPlace(line: 1, column: 1))
        if let duration = try? Duration(option: node) {
            try require(duration >= .zero, "\(duration) is negative")
            let again = try? Duration(option: OptionNode(.scalar(duration.optionText), at: node.place))
            try require(again == duration, "\(duration) is written \(duration.optionText)")
        }
        if let count = try? ByteCount(option: node) {
            let again = try? ByteCount(option: OptionNode(.scalar(count.optionText), at: node.place))
            try require(again == count && count.bytes >= 0, "\(count) is written \(count.optionText)")
        }
    }
}
