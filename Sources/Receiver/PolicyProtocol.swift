import Mail

/// What a policy service said.
package enum PolicyAnswer: Hashable, Sendable {
    /// An action of access(5), as it came; may be empty.
    case action(String)
    /// There is no answer, and why; the service's default action holds.
    case unavailable(String)
}

/// A question as a policy service reads it: lines of `name=value`, and an empty one.
enum PolicyRequest {
    /// What would end a line, or the question, becomes `?`. Names are ours and hold none of it.
    static func bytes(_ attributes: [(name: String, value: String)], context: String) -> [UInt8] {
        var all = attributes
        if !all.contains(where: { $0.name == "request" }) { all.insert(("request", "smtpd_access_policy"), at: 0) }
        all.append(("policy_context", context))
        var bytes: [UInt8] = []
        for (name, value) in all {
            bytes += name.utf8
            bytes.append(UInt8(ascii: "="))
            bytes += value.utf8.map { $0 == 0 || $0 == ASCII.lineFeed ? UInt8(ascii: "?") : $0 }
            bytes.append(ASCII.lineFeed)
        }
        bytes.append(ASCII.lineFeed)
        return bytes
    }
}

/// Reads answers of a policy service, one after the other: lines of `name=value` up to an empty one.
///
/// Of an answer only `action` counts, and of several the first. Lines end with LF alone, as Postfix wants it.
package struct PolicyAnswerReader: Sendable {
    package enum Malformed: Error, Equatable, Sendable, CustomStringConvertible {
        case tooLong
        /// A line without `=`, or with CR, NUL or what is not UTF-8.
        case badLine
        /// The answer ended without one.
        case noAction

        package var description: String {
            switch self {
            case .tooLong: "an answer of more than \(PolicyAnswerReader.maximumBytes) octets"
            case .badLine: "an answer that is not lines of name=value"
            case .noAction: "an answer without an action"
            }
        }
    }

    /// Of one answer. What an action says ends in a reply of at most 512 octets.
    package static let maximumBytes = 8192

    /// The unended line.
    private var line: [UInt8] = []
    /// Of the answer so far.
    private var count = 0
    private var action: String?

    package init() {}

    /// Whether part of an answer has come.
    package var isInAnswer: Bool { self.count > 0 }

    /// Takes octets up to the end of an answer, or all.
    ///
    /// - Parameter bytes: what was taken is removed.
    /// - Returns: the action, if an answer has ended; then the rest of the octets belongs to the next.
    /// - Throws: when nothing more can be understood.
    package mutating func next(_ bytes: inout ArraySlice<UInt8>) throws(Malformed) -> String? {
        while let byte = bytes.popFirst() {
            self.count += 1
            guard self.count <= Self.maximumBytes else { throw .tooLong }
            guard byte == ASCII.lineFeed else {
                self.line.append(byte)
                continue
            }
            guard !self.line.isEmpty else {
                guard let action = self.action else { throw .noAction }
                self = PolicyAnswerReader()
                return action
            }
            try self.endLine()
        }
        return nil
    }

    private mutating func endLine() throws(Malformed) {
        guard let sign = self.line.firstIndex(of: UInt8(ascii: "=")),
            !self.line.contains(where: { $0 == 0 || $0 == ASCII.carriageReturn }),
            let value = String(validatingUTF8: self.line[(sign + 1)...])
        else { throw .badLine }
        if self.action == nil, self.line[..<sign].elementsEqual("action".utf8) { self.action = value }
        self.line.removeAll(keepingCapacity: true)
    }
}
