import Foundation

/// A message in Postfix's queue, read from its file: records of a type, a length and so many octets.
package struct PostfixMessage: Sendable {
    package let isHeld: Bool
    /// Those that still wait, or the one that they were redirected to.
    package private(set) var recipients: [String] = []
    /// Lines of header and body.
    package private(set) var lines: [String] = []

    init(_ bytes: [UInt8], isHeld: Bool) throws {
        self.isHeld = isHeld
        var redirection: String?
        var rest = bytes[...]
        while let type = rest.popFirst() {
            let text = String(decoding: try Self.data(&rest), as: UTF8.self)
            switch type {
            case UInt8(ascii: "R"): self.recipients.append(text)
            case UInt8(ascii: "N"): self.lines.append(text)
            case UInt8(ascii: ">"): redirection = text
            default: break
            }
        }
        if let redirection { self.recipients = [redirection] }
    }

    /// Seven bits of the length in each octet, the low ones first; the highest bit says that more follow.
    private static func data(_ rest: inout ArraySlice<UInt8>) throws -> ArraySlice<UInt8> {
        var length = 0
        var shift = 0
        while let byte = rest.popFirst() {
            length |= Int(byte & 127) << shift
            shift += 7
            if byte < 128 { break }
        }
        guard length <= rest.count else { throw HarnessError("a queue file of Postfix that cannot be read") }
        defer { rest = rest.dropFirst(length) }
        return rest.prefix(length)
    }

    /// Looks for a message of an ID; nil if it is in none of the queues.
    ///
    /// - Parameter folder: `queue_directory`.
    static func find(_ id: String, in folder: String) throws -> PostfixMessage? {
        // A message that moves may be missed once.
        for _ in 0..<3 {
            for name in ["hold", "incoming", "active", "deferred", "maildrop"] {
                for path in ["\(folder)/\(name)/\(id)", "\(folder)/\(name)/\(id.prefix(1))/\(id)"] {
                    guard let bytes = FileManager.default.contents(atPath: path) else { continue }
                    return try PostfixMessage(Array(bytes), isHeld: name == "hold")
                }
            }
        }
        return nil
    }
}
