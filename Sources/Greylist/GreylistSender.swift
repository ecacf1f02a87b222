package import Mail

/// Makes one of the senders under which one list, forwarder or service sends each of its mails.
///
/// What it takes away is what changes from mail to mail; domain and the rest of the local part stay. Wrongly making one
/// of two senders only means that the second of them, from the same network to the same recipient, need not wait.
package enum GreylistSender {
    /// `<>` for the null reverse-path, else `local@domain` in small letters with A-labels. In this order:
    ///
    /// 1. BATV (draft-levine-smtp-batv): `prvs=TAG=user`, `prvs=user/TAG`, `btv1==TAG==user` is `user`.
    /// 2. SRS: of `SRS0=HASH=DAY=domain=user` hash and day go, of `SRS1=HASH=host==HASH=DAY=domain=user` all but the
    ///    hosts and the user; behind `SRS0` and `SRS1` may be `=`, `+` or `-`.
    /// 3. An extension goes: `list+bounce-17` is `list`.
    /// 4. Words of digits, of four and more hexadecimal digits or of twelve and more letters and digits, if there is a
    ///    decimal digit in them, become `#`: `bounce-4711-5f3a` is `bounce-#-#`, and `anna1985` stays.
    package static func key(_ reversePath: ReversePath) -> String {
        guard let mailbox = reversePath.mailbox else { return "<>" }
        let local = self.withoutBATV(mailbox.localPart.unquoted.lowercased())
        return "\(self.withoutNumbers(self.withoutExtension(self.withoutSRS(local))))@\(mailbox.domain.key)"
    }

    private static func withoutBATV(_ local: String) -> String {
        let parts = local.split(separator: "=", omittingEmptySubsequences: false)
        if parts.count >= 3, parts[0] == "prvs", self.isToken(parts[1]) {
            return self.nonEmpty(parts[2...].joined(separator: "="), local)
        }
        if parts.count == 2, parts[0] == "prvs", let slash = parts[1].lastIndex(of: "/") {
            return self.nonEmpty(String(parts[1][..<slash]), local)
        }
        if parts.count >= 5, parts[0] == "btv1", parts[1].isEmpty, self.isToken(parts[2]), parts[3].isEmpty {
            return self.nonEmpty(parts[4...].joined(separator: "="), local)
        }
        return local
    }

    private static func withoutSRS(_ local: String) -> String {
        guard let separator = local.utf8.dropFirst(4).first, "=+-".utf8.contains(separator) else { return local }
        let parts = local.dropFirst(5).split(separator: "=", omittingEmptySubsequences: false)
        if local.hasPrefix("srs0"), parts.count >= 4 {
            return self.nonEmpty(parts[2...].joined(separator: "="), local)
        }
        // HASH, host, nothing, HASH, DAY, domain, user; the separator of SRS0 stands before the second hash.
        if local.hasPrefix("srs1"), parts.count >= 6, let place = parts.dropFirst(2).firstIndex(where: { $0.isEmpty }),
            parts.count > place + 4
        {
            return ([parts[1]] + parts[(place + 3)...]).joined(separator: "=")
        }
        return local
    }

    private static func withoutExtension(_ local: String) -> String {
        guard let plus = local.dropFirst().firstIndex(of: "+") else { return local }
        return String(local[..<plus])
    }

    private static func withoutNumbers(_ local: String) -> String {
        var result = ""
        var word = ""
        for character in local {
            if self.isOfWord(character) {
                word.append(character)
            } else {
                result += self.isNumber(word) ? "#" : word
                result.append(character)
                word = ""
            }
        }
        return result + (self.isNumber(word) ? "#" : word)
    }

    private static func isOfWord(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber)
    }

    private static func isNumber(_ word: String) -> Bool {
        let bytes = word.utf8
        guard bytes.contains(where: ASCII.isDigit) else { return false }
        return bytes.allSatisfy(ASCII.isDigit) || bytes.count >= 4 && bytes.allSatisfy(ASCII.isHexDigit)
            || bytes.count >= 12
    }

    private static func isToken(_ part: Substring) -> Bool {
        !part.isEmpty && part.allSatisfy { self.isOfWord($0) }
    }

    private static func nonEmpty(_ text: String, _ other: String) -> String { text.isEmpty ? other : text }
}
