import Mail
import SMTP

/// What is read as an address is printed as it was written, and read from that as the same.
func checkAddress(_ bytes: [UInt8]) throws(Violation) {
    var scanner = ByteScanner(bytes[...])
    if let mailbox = scanner.readMailbox() { try checkMailbox(mailbox) }
    let text = String(decoding: bytes, as: UTF8.self)
    if let mailbox = Mailbox(text) {
        try checkMailbox(mailbox)
        try require(mailbox.description == text, "\(text.debugDescription) is printed as \(mailbox)")
    }
    if let domain = Domain(text) { try checkDomain(domain) }
    if let literal = AddressLiteral(text) {
        try require(AddressLiteral("[\(literal.taggedText)]") == literal, "\(literal) is not \(literal.taggedText)")
    }
    try checkPunycode(text)
}

func checkMailbox(_ mailbox: Mailbox) throws(Violation) {
    let text = mailbox.description
    try require(holdsNoLineEnd(text) && text.isPrintable, "unprintable: \(text.debugDescription)")
    try require(Mailbox(text) == mailbox && Mailbox(text)?.description == text, "not read again: \(text)")
    try require(holdsNoLineEnd(mailbox.localPart.unquoted), "unprintable: \(text.debugDescription)")
    try checkDomain(mailbox.domain)
}

private func checkDomain(_ domain: Domain) throws(Violation) {
    let text = domain.description
    try require(Domain(text) == domain, "not read again: \(text.debugDescription)")
    try require(domain.key.isASCII && domain.key.isPrintable, "key of \(text): \(domain.key.debugDescription)")
    try require(Domain(domain.key)?.key == domain.key, "key of \(text) is none: \(domain.key)")
    guard let name = domain.name else { return }
    try require(text.utf8.count <= DomainName.maximumBytes, "too long: \(text)")
    try require(name.ascii.utf8.count <= DomainName.maximumBytes, "too long: \(name.ascii)")
    let labels = name.ascii.utf8.split(separator: ASCII.dot, omittingEmptySubsequences: false)
    try require(labels.allSatisfy { (1...63).contains($0.count) }, "labels of \(name.ascii)")
    try require(labels.count == name.labelCount, "labels of \(name.ascii)")
    // U+3002, U+FF0E and U+FF61 are dots too.
    let dots: Set<UInt32> = [0x2E, 0x3002, 0xFF0E, 0xFF61]
    let parts = text.unicodeScalars.split(omittingEmptySubsequences: false) { dots.contains($0.value) }
    try require(parts.count == labels.count, "\(text.debugDescription) has other labels than \(name.ascii)")
    for (part, label) in zip(parts, labels) where part.allSatisfy(\.isASCII) {
        try require(
            label.elementsEqual(String(part).asciiLowercased.utf8), "\(text.debugDescription) becomes \(name.ascii)")
    }
}

/// What is made an A-label is one.
private func checkPunycode(_ text: String) throws(Violation) {
    guard let domain = Punycode.asciiDomain(text) else { return }
    try require(domain.isASCII, "\(domain) is not ASCII")
    try require(Punycode.asciiDomain(domain) == domain, "\(domain) becomes another")
    if DomainName(text) != nil { try require(Punycode.hasValidALabels(domain), "\(domain) is not valid") }
}

/// Encoding and decoding are the inverse of each other.
func checkXText(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let encoded = XText.encode(text)
    try require(XText.decode(encoded) == Array(text.utf8), "\(text.debugDescription) as \(encoded)")
    if let decoded = XText.decode(text), let plain = String(validatingUTF8: decoded[...]) {
        try require(XText.decode(XText.encode(plain)) == decoded, "\(text.debugDescription) changes")
    }
    guard let original = OriginalRecipient(text) else { return }
    try require(!original.address.isEmpty && original.address.isPrintable, "unprintable: \(original)")
    try require(original.addressType.isASCII && original.addressType.isPrintable, "type of \(original)")
}

/// Addresses, networks and endpoints have one text.
func checkIPAddress(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let address = IPAddress(text) {
        try require(IPAddress(address.description) == address, "\(text) is printed as \(address)")
        for length in [0, 1, 31, 32, 33, 63, 64, 65, 127, 128] where length <= address.width {
            let network = address.network(prefixLength: length)
            try require(network.contains(address) && network.contains(network.base), "\(network) has no \(address)")
            try require((try? IPNetwork(network.description)) == network, "\(network) is not read again")
        }
    }
    do {
        let network = try IPNetwork(text)
        try require((try? IPNetwork(network.description)) == network, "\(text) is printed as \(network)")
        try require(network.contains(network.base), "\(network) has no \(network.base)")
    } catch let error as IPNetwork.SyntaxError {
        if case .hostBitsSet(let meant) = error {
            try require((try? IPNetwork(meant.description)) == meant, "\(text) would be \(meant)")
        }
    } catch let error as Violation {
        throw error
    } catch {
        throw Violation(description: "\(error)")
    }
    if let endpoint = Endpoint(text) {
        try require(Endpoint(endpoint.description) == endpoint, "\(text) is printed as \(endpoint)")
    }
    if let endpoint = Endpoint(text, defaultPort: 53) {
        try require(Endpoint(endpoint.description, defaultPort: 25) == endpoint, "\(text) is printed as \(endpoint)")
    }
    if let id = QueueID(text) { try require(QueueID(id.description) == id, "\(text) is printed as \(id)") }
}
