import Mail

/// A server may repeat what it was told, as for a command that it does not know. That must get into no log and no notice.
extension SASLExchange {
    /// What stands for a reply that must not be shown.
    static let mask = "the server repeated what it was told"

    /// So many octets in a row are no accident, and less of a secret is not worth hiding a reply for.
    private static let tellingBytes = 8

    /// Whether a text has a part of what was said, as it was said, or the password.
    func isRepeated(in text: String) -> Bool {
        let text = Array(text.utf8)
        return self.secrets.contains { secret in
            if secret.count <= Self.tellingBytes { return !secret.isEmpty && text.contains(secret) }
            return !Self.parts(of: secret).isDisjoint(with: Self.parts(of: text))
        }
    }

    func masked(_ reply: Reply) -> Reply {
        self.isRepeated(in: reply.lines.joined(separator: " ")) ? Reply(reply.code, reply.detail, Self.mask) : reply
    }

    /// All parts of that many octets.
    private static func parts(of bytes: [UInt8]) -> Set<UInt64> {
        var parts: Set<UInt64> = []
        var part: UInt64 = 0
        for (place, byte) in bytes.enumerated() {
            part = part << 8 | UInt64(byte)
            if place >= Self.tellingBytes - 1 { parts.insert(part) }
        }
        return parts
    }
}
