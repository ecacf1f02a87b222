package import Mail

/// The right-hand side of an access table, and what a policy service answers (access(5), SEMANTICS §3).
package enum AccessAction: Hashable, Sendable {
    package enum Name: String, Hashable, Sendable, CaseIterable {
        case bcc = "BCC"
        case `defer` = "DEFER"
        case deferIfPermit = "DEFER_IF_PERMIT"
        case deferIfReject = "DEFER_IF_REJECT"
        case discard = "DISCARD"
        case dunno = "DUNNO"
        case filter = "FILTER"
        case hold = "HOLD"
        case info = "INFO"
        case ok = "OK"
        case prepend = "PREPEND"
        case redirect = "REDIRECT"
        case reject = "REJECT"
        case relay = "RELAY"
        case warn = "WARN"
    }

    case dunno
    /// `OK`, `RELAY`, or nothing but digits.
    case permit
    case reject(Explanation)
    case `defer`(Explanation)
    case deferIfPermit(Explanation)
    case deferIfReject(Explanation)
    case reply(code: Int, Explanation)
    case info(String)
    case warn(String)
    case hold(String)
    case discard(String)
    /// `transport:nexthop`
    case filter(String)
    case redirect(Mailbox)
    case copy(Mailbox)
    /// A whole header field.
    case prepend(String)
    /// Names of restrictions and classes, to be evaluated here.
    case restrictions([String])

    /// The text of a refusal, which may begin with an enhanced status code.
    package struct Explanation: Hashable, Sendable {
        package let detail: Reply.Detail?
        /// Empty for the usual text.
        package let text: String

        package init(_ text: Substring) {
            let word = text.prefix { !$0.isWhitespace }
            let numbers = word.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
            if numbers.count == 3, let group = numbers[0], [2, 4, 5].contains(group), let subject = numbers[1],
                let detail = numbers[2], (0...999).contains(subject), (0...999).contains(detail),
                word.utf8.allSatisfy({ ASCII.isDigit($0) || $0 == ASCII.dot })
            {
                self.detail = Reply.Detail(subject, detail)
                self.text = String(text.dropFirst(word.count).drop { $0.isWhitespace })
            } else {
                self.detail = nil
                self.text = String(text)
            }
        }
    }

    /// - Throws: what is wrong with it, such as a REDIRECT without an address.
    package init(_ value: String) throws(OptionProblem) {
        let word = value.prefix { $0 != " " && $0 != "\t" }
        let rest = value.dropFirst(word.count).drop { $0.isWhitespace }
        guard let name = Name(rawValue: word.uppercased()) else {
            self = try Self.other(value, word: word, rest: rest)
            return
        }
        let text = String(rest)
        switch name {
        case .dunno: self = .dunno
        case .ok, .relay: self = .permit
        case .reject: self = .reject(Explanation(rest))
        case .defer: self = .defer(Explanation(rest))
        case .deferIfPermit: self = .deferIfPermit(Explanation(rest))
        case .deferIfReject: self = .deferIfReject(Explanation(rest))
        case .info: self = .info(text)
        case .warn: self = .warn(text)
        case .hold: self = .hold(text)
        case .discard: self = .discard(text)
        case .filter:
            guard text.contains(":") else { throw OptionProblem("FILTER needs transport:destination") }
            self = .filter(text)
        case .redirect: self = .redirect(try Self.mailbox(text, for: name))
        case .bcc: self = .copy(try Self.mailbox(text, for: name))
        case .prepend:
            guard Self.isHeaderField(text) else { throw OptionProblem("PREPEND needs 'Name: text'") }
            self = .prepend(text)
        }
    }

    private static func other(
        _ value: String, word: Substring, rest: Substring
    ) throws(OptionProblem) -> AccessAction {
        if ["HANGUP", "DELAY"].contains(word.uppercased()) {
            throw OptionProblem("\(word) is not an action that Postern has")
        }
        if !value.isEmpty, value.utf8.allSatisfy(ASCII.isDigit) { return .permit }
        if word.utf8.count == 3, let code = Int(word), (400...599).contains(code) {
            return .reply(code: code, Explanation(rest))
        }
        if value.contains(":") {
            throw OptionProblem("'\(value)': a table cannot name a table; make a restriction class and name that")
        }
        let names = value.split { $0 == " " || $0 == "\t" || $0 == "," }.map(String.init)
        if names.isEmpty { throw OptionProblem("an empty value") }
        return .restrictions(names)
    }

    private static func mailbox(_ text: String, for name: Name) throws(OptionProblem) -> Mailbox {
        let bare = text.hasPrefix("<") && text.hasSuffix(">") ? String(text.dropFirst().dropLast()) : text
        guard let mailbox = Mailbox(bare) else { throw OptionProblem("\(name.rawValue) needs an address user@domain") }
        return mailbox
    }

    private static func isHeaderField(_ text: String) -> Bool {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return false }
        let name = text.utf8[..<colon]
        return !name.isEmpty && name.allSatisfy { $0 > 0x20 && $0 < 0x7F } && text.isPrintable
    }
}
