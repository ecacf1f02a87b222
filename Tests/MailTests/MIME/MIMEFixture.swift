import Daemon
import Mail

/// Small messages and archives for the tests of the examiner.
enum MIMEFixture {
    static func examine(_ content: [UInt8], limits: MIMELimits = MIMELimits()) -> MIMEStructure {
        MIMEStructure(of: content, limits: limits, makeInflater: ArchiveInflater.make)
    }

    static func examine(_ text: String, limits: MIMELimits = MIMELimits()) -> MIMEStructure {
        Self.examine(Array(text.utf8), limits: limits)
    }

    /// The names of a message that is nothing but a header, which is given without its end.
    static func names(_ header: String) -> [String] {
        Self.examine("\(header)\r\n\r\n").parts.flatMap(\.names)
    }

    /// A multipart with an attachment, whose header and body are given.
    static func attachment(_ header: String, _ body: [UInt8], boundary: String = "b") -> [UInt8] {
        let start = "Content-Type: multipart/mixed; boundary=\(boundary)\r\n\r\n--\(boundary)\r\n\(header)\r\n\r\n"
        return Array(start.utf8) + body + Array("\r\n--\(boundary)--\r\n".utf8)
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            var letters: [UInt8] = []
            for _ in 0..<4 {
                letters.insert(alphabet[bits & 63], at: 0)
                bits >>= 6
            }
            text += letters.prefix(group.count + 1) + [UInt8](repeating: 0x3D, count: 3 - group.count)
        }
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: Archives

    struct File {
        var name: String
        var content: [UInt8] = Array("some content that is long enough to be looked at".utf8)
        var isEncrypted = false
        var isDeflated = false
    }

    static func zip(_ files: [File], hasDirectory: Bool = true) -> [UInt8] {
        var archive: [UInt8] = []
        var directory: [UInt8] = []
        for file in files {
            let data = file.isDeflated ? Self.deflated(file.content) : file.content
            let fixed =
                Self.little(20, 2) + Self.little(file.isEncrypted ? 1 : 0, 2) + Self.little(file.isDeflated ? 8 : 0, 2)
                + Self.little(0, 8) + Self.little(data.count, 4) + Self.little(file.content.count, 4)
                + Self.little(file.name.utf8.count, 2) + Self.little(0, 2)
            directory += [0x50, 0x4B, 1, 2] + Self.little(20, 2) + fixed + Self.little(0, 14) + Array(file.name.utf8)
            archive += [0x50, 0x4B, 3, 4] + fixed + Array(file.name.utf8) + data
        }
        return archive + (hasDirectory ? directory : [])
    }

    /// Deflate without compression: blocks of at most 65535 octets (RFC 1951 §3.2.4).
    static func deflated(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var rest = bytes[...]
        repeat {
            let piece = rest.prefix(65535)
            rest = rest.dropFirst(piece.count)
            let length = Self.little(piece.count, 2)
            result += [rest.isEmpty ? 1 : 0] + length + length.map { ~$0 } + piece
        } while !rest.isEmpty
        return result
    }

    static func little(_ number: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { $0 < 8 ? UInt8(truncatingIfNeeded: number >> (8 * $0)) : 0 }
    }
}
