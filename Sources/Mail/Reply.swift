/// What an SMTP server answers (RFC 5321 §4.2) with its enhanced status code (RFC 3463).
///
/// Temporary or permanent is what the first digit says, and it is said once: the enhanced code stores only its
/// last two numbers, its first is the reply code's.
package struct Reply: Hashable, Sendable {
    /// Subject and detail of an enhanced status code: the 1 and 5 of 2.1.5.
    package struct Detail: Hashable, Sendable {
        package let subject: Int
        package let detail: Int

        package init(_ subject: Int, _ detail: Int) {
            self.subject = subject
            self.detail = detail
        }
    }

    /// 200 to 599.
    package let code: Int
    package let detail: Detail?
    /// At least one; printable, without line ends, each short enough for a reply line.
    package let lines: [String]

    /// Octets of text in a line; RFC 5321 §4.5.3.1.5 allows 512 with code and CRLF.
    package static let maximumLineBytes = 480

    package init(_ code: Int, _ detail: Detail? = nil, _ lines: String...) {
        self.init(code: code, detail: detail, lines: lines)
    }

    package init(code: Int, detail: Detail?, lines: [String]) {
        self.code = min(max(code, 200), 599)
        // A 3yz reply has no enhanced code (RFC 2034 §4).
        self.detail = (300..<400).contains(self.code) ? nil : detail
        self.lines = lines.isEmpty ? [""] : lines.map { $0.printable(maximumBytes: Self.maximumLineBytes) }
    }
}

extension Reply {
    package enum Outcome: Sendable { case accepted, intermediate, temporary, permanent }

    package var outcome: Outcome {
        switch self.code {
        case ..<300: .accepted
        case ..<400: .intermediate
        case ..<500: .temporary
        default: .permanent
        }
    }

    /// `2.1.5`; nil without one.
    package var enhanced: String? {
        self.detail.map { "\(self.code / 100).\($0.subject).\($0.detail)" }
    }

    /// The status of RFC 3463 for notices: the enhanced code, or `4.0.0`, `5.0.0` where the reply has none.
    package var status: String { self.enhanced ?? "\(self.code / 100).0.0" }

    /// All text on one line, the codes in front: `550 5.1.1 User unknown`.
    package var oneLine: String {
        ([String(self.code)] + (self.enhanced.map { [$0] } ?? []) + [self.lines.joined(separator: " ")])
            .joined(separator: " ")
    }

    /// The reply as it goes over the wire, the enhanced code on every line (RFC 2034 §4).
    ///
    /// - Parameter enhanced: whether the enhanced code is sent; it is not in greetings and in answers to HELO and EHLO.
    package func append(to output: inout [UInt8], enhanced: Bool = true) {
        for (index, line) in self.lines.enumerated() {
            output += String(self.code).utf8
            output.append(index == self.lines.count - 1 ? ASCII.space : UInt8(ascii: "-"))
            if enhanced, let status = self.enhanced {
                output += status.utf8
                output.append(ASCII.space)
            }
            output += line.utf8
            output += [ASCII.carriageReturn, ASCII.lineFeed]
        }
    }
}

extension StringProtocol {
    /// The text cut to so many octets, at a character's border, with `?` for control characters.
    package func printable(maximumBytes: Int) -> String {
        if self.utf8.count <= maximumBytes, self.isPrintable { return String(self) }
        var result = String.UnicodeScalarView()
        var bytes = 0
        for scalar in self.unicodeScalars {
            let shown = Self.isUnprintable(scalar) ? "?" : scalar
            bytes += UTF8.width(shown)
            guard bytes <= maximumBytes else { break }
            result.append(shown)
        }
        return String(result)
    }

    /// No character could act on a terminal, a log or a protocol.
    package var isPrintable: Bool { !self.unicodeScalars.contains(where: Self.isUnprintable) }

    /// C0 and C1 controls and the separators of lines and paragraphs, which terminals and logs may act on.
    private static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20..<0x7F: false
        case ..<0xA0, 0x2028, 0x2029: true
        default: false
        }
    }
}
