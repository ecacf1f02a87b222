import Mail

/// The trace field that every relay puts in front of a message (RFC 5321 §4.4).
struct ReceivedField {
    let client: ClientIdentity
    /// Nil for plain text.
    var tls: TLSSummary?
    let hostname: String
    let id: QueueID
    /// The only recipient; nil if there are more, who must not learn of each other.
    let recipient: Mailbox?
    let time: Timestamp

    /// The field with its line ends.
    var text: String {
        var text = "Received: from \(Self.safe(self.client.helo)) (\(self.clientInfo))\r\n"
        text += self.tlsInfo
        text += "\tby \(self.hostname) (Postern) with \(self.client.proto) id \(self.id)"
        // Only an ASCII address may stand in a message that may go where SMTPUTF8 is not known.
        let isInternational = self.client.proto.hasPrefix("UTF8SMTP")
        if let recipient, recipient.isASCII || isInternational { text += "\r\n\tfor <\(recipient)>" }
        return text + "; \(self.time.rfc5322)\r\n"
    }

    private var clientInfo: String {
        let literal = AddressLiteral(self.client.address).description
        return self.client.hostname.map { "\(Self.safe($0)) \(literal)" } ?? literal
    }

    /// As Postfix writes it, so that what reads the fields of one reads those of the other.
    private var tlsInfo: String {
        guard let tls else { return "" }
        var text = "\t(using \(tls.version) with cipher \(tls.cipher) (\(tls.bits)/\(tls.keyBits) bits))\r\n"
        if let certificate = tls.certificate {
            let names = "CN \"\(Self.quotable(certificate.subject))\", Issuer \"\(Self.quotable(certificate.issuer))\""
            text += "\t(Client \(names) (\(certificate.isTrusted ? "verified OK" : "not verified")))\r\n"
        }
        return text
    }

    /// Of a name in a certificate, so many octets are shown.
    private static let maximumNameBytes = 60

    /// Inside of a quotation, in a comment.
    private static func quotable(_ name: String) -> String {
        String(
            decoding: name.utf8.prefix(Self.maximumNameBytes).map { byte in
                (0x20..<0x7F).contains(byte) && !"()\"\\".utf8.contains(byte) ? byte : UInt8(ascii: "?")
            }, as: UTF8.self)
    }

    /// What a client calls itself may be anything; here it must not open or close a comment or a quotation.
    private static func safe(_ name: String) -> String {
        String(
            decoding: name.utf8.map { byte in
                ASCII.isAlphanumeric(byte) || "-._:[]".utf8.contains(byte) ? byte : UInt8(ascii: "?")
            }, as: UTF8.self)
    }
}
