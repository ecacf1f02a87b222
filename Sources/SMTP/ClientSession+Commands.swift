import Mail

extension ClientSession.Delivery {
    /// MAIL with the parameters that the server knows.
    func mailCommand(_ extensions: Extensions) -> String {
        let parameters = self.envelope.parameters
        var command = "MAIL FROM:<\(self.envelope.reversePath)>"
        if extensions.size { command += " SIZE=\(self.contentBytes)" }
        // Without 8BITMIME the octets go all the same: nobody but test programs lacks it, and nothing is rewritten
        // here.
        if extensions.eightBitMIME, parameters.body == .eightBitMIME || self.needsSMTPUTF8 {
            command += " BODY=8BITMIME"
        }
        if extensions.requireTLS, parameters.tls == .required { command += " REQUIRETLS" }
        if extensions.smtputf8, self.needsSMTPUTF8 { command += " SMTPUTF8" }
        if extensions.dsn {
            switch parameters.noticeReturn {
            case .full: command += " RET=FULL"
            case .headers: command += " RET=HDRS"
            case nil: break
            }
            if let id = parameters.envelopeID { command += " ENVID=\(id)" }
        }
        return command + "\r\n"
    }
}

extension Recipient {
    /// RCPT with the parameters that the server knows.
    func rcptCommand(_ extensions: Extensions) -> String {
        var command = "RCPT TO:<\(self.mailbox)>"
        if extensions.dsn {
            if let notify = self.parameters.notify { command += " NOTIFY=\(notify)" }
            if let original = self.parameters.originalRecipient {
                command += " ORCPT=\(OriginalRecipient.asciiForm(of: original))"
            }
        }
        return command + "\r\n"
    }
}

extension ClientIdentity {
    /// `XCLIENT ADDR=… NAME=…` with what of it the server supports (SEMANTICS §14).
    func xclientCommand(supported: Set<String>) -> String {
        self.command("XCLIENT", supported, proto: self.proto == "SMTP" ? "SMTP" : "ESMTP", id: nil)
    }

    func xforwardCommand(supported: Set<String>, id: QueueID) -> String {
        self.command("XFORWARD", supported, proto: self.proto == "SMTP" ? "SMTP" : "ESMTP", id: id)
    }

    private func command(_ verb: String, _ supported: Set<String>, proto: String, id: QueueID?) -> String {
        let address = self.address.width == 128 ? "IPV6:\(self.address)" : "\(self.address)"
        let attributes: [(String, String?)] = [
            ("NAME", self.hostname ?? "[UNAVAILABLE]"), ("ADDR", address), ("PORT", String(self.port)),
            ("PROTO", proto), ("HELO", self.helo), ("IDENT", id?.description), ("SOURCE", id == nil ? nil : "REMOTE"),
        ]
        let words = attributes.compactMap { name, value in
            value.flatMap { supported.contains(name) ? "\(name)=\(XText.encode($0))" : nil }
        }
        return ([verb] + words).joined(separator: " ") + "\r\n"
    }
}
