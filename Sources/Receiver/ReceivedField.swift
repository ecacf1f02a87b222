import Mail

/// The trace field that every relay puts in front of a message (RFC 5321 §4.4).
struct ReceivedField {
    let client: ClientIdentity
    let hostname: String
    let id: QueueID
    /// The only recipient; nil if there are more, who must not learn of each other.
    let recipient: Mailbox?
    let time: Timestamp

    /// The field with its line ends.
    var text: String {
        var text = "Received: from \(Self.safe(self.client.helo)) (\(self.clientInfo))\r\n"
        text += "\tby \(self.hostname) (Postern) with \(self.client.proto) id \(self.id)"
        // Only an ASCII address may stand in a message that may go where SMTPUTF8 is not known.
        if let recipient, recipient.isASCII || self.client.proto == "UTF8SMTP" { text += "\r\n\tfor <\(recipient)>" }
        return text + "; \(self.time.rfc5322)\r\n"
    }

    private var clientInfo: String {
        let literal = AddressLiteral(self.client.address).description
        return self.client.hostname.map { "\(Self.safe($0)) \(literal)" } ?? literal
    }

    /// What a client calls itself may be anything; here it must not open or close a comment or a quotation.
    private static func safe(_ name: String) -> String {
        String(
            decoding: name.utf8.map { byte in
                ASCII.isAlphanumeric(byte) || "-._:[]".utf8.contains(byte) ? byte : UInt8(ascii: "?")
            }, as: UTF8.self)
    }
}
