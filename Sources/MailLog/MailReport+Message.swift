package import Mail

extension MailReport {
    /// The report as a message of text and HTML (RFC 2046 §5.1.4), lines ended by CRLF.
    ///
    /// - Parameter mark: makes the message's name and the border of its parts different from all others; letters and
    ///   digits.
    package func message(from: Mailbox, to recipients: [Mailbox], time: Timestamp, mark: String) -> [UInt8] {
        // No line of quoted-printable has `=_`.
        let boundary = "=_\(mark)_report"
        let list = recipients.map { "<\($0)>" }.joined(separator: ",\r\n\t")
        var lines = [
            "Date: \(time.rfc5322)", "From: Postern <\(from)>", "To: \(list)",
            "Subject: Postern report for\r\n \(self.hostname),\r\n \(self.periodText)",
            "Message-ID: <\(mark).report@\(self.hostname)>", "Auto-Submitted: auto-generated", "MIME-Version: 1.0",
            "Content-Type: multipart/alternative;", "\tboundary=\"\(boundary)\"", "",
        ]
        for (type, text) in [("plain", self.text), ("html", self.html)] {
            lines += [
                "--\(boundary)", "Content-Type: text/\(type); charset=utf-8",
                "Content-Transfer-Encoding: quoted-printable", "",
            ]
            lines += QuotedPrintable.lines(of: text)
        }
        lines.append("--\(boundary)--")
        return lines.flatMap { Array($0.utf8) + [ASCII.carriageReturn, ASCII.lineFeed] }
    }
}

/// RFC 2045 §6.7.
enum QuotedPrintable {
    /// Octets of a line, without the `=` of a soft line end.
    private static let width = 75

    /// - Parameter text: its lines end with LF.
    static func lines(of text: String) -> [String] {
        text.utf8.split(separator: ASCII.lineFeed, omittingEmptySubsequences: false).dropLast().flatMap { line in
            var lines: [String] = []
            var current = ""
            for (index, byte) in zip(line.indices, line) {
                let isLast = line.index(after: index) == line.endIndex
                let isPlain =
                    (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "=") || ASCII.isBlank(byte) && !isLast
                let piece = isPlain ? String(Unicode.Scalar(byte)) : "=" + Self.hexadecimal(byte)
                if current.utf8.count + piece.utf8.count > Self.width {
                    lines.append(current + "=")
                    current = ""
                }
                current += piece
            }
            return lines + [current]
        }
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16, uppercase: true)
        return digits.utf8.count < 2 ? "0" + digits : digits
    }
}
