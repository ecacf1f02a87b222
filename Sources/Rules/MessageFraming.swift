import Mail

/// Finds out what each piece of a message's content is: part of a header field, and of which header, or of a body.
///
/// It sees what Postfix's checks see (PF `src/global/mime_state.c`), because rules are written for that: fields are
/// unfolded by joining their lines with LF; a line that is no field ends a header as an empty one does; parts of
/// `multipart` have headers behind their boundary and attached messages behind the empty line. Boundaries are
/// looked for whatever the transfer encoding is. Only the octets of the first 2048 of a line can be a field's name
/// or a boundary.
package struct MessageFraming: Sendable {
    /// A line of content without its line end, or one of the pieces of a line that is too long.
    struct Piece {
        let text: UnsafeRawBufferPointer
        /// The line goes on in the next piece.
        let isCut: Bool
    }

    package enum Section: Sendable { case primaryHeader, partHeader, nestedHeader, body }

    enum Role: Equatable {
        case field
        /// In a body, so many octets behind its segment's beginning, each line end counted as one.
        case body(offset: Int)
    }

    /// What follows a header, as far as that makes a difference.
    private enum Nature { case leaf, message, multipart }

    /// A boundary that may still come, from RFC 2046 §5.1.
    private struct Level {
        let boundary: [UInt8]
        /// Its parts are messages if they do not say otherwise.
        let isDigest: Bool
    }

    package private(set) var section = Section.primaryHeader
    /// The field that is open, as rules see it; empty if none is.
    private(set) var field: [UInt8] = []
    /// There are more boundaries within each other than the limit, and the innermost were not looked for.
    package private(set) var isTooDeep = false

    private let limits: ContentRules.Limits
    private var nature = Nature.leaf
    private var levels: [Level] = []
    private var isFirst = true
    private var followsCut = false
    private var offset = 0

    init(limits: ContentRules.Limits) {
        self.limits = limits
    }

    var hasField: Bool { !self.field.isEmpty }

    /// Nothing is added to the open field any more, even if it goes on.
    var fieldIsFull: Bool { self.field.count >= self.limits.headerBytes }

    /// All that comes is of one body.
    var isInLastBody: Bool { self.section == .body && self.levels.isEmpty }

    /// The next piece begins a line.
    var isAtLineStart: Bool { !self.followsCut }

    /// How much of the segment of a body has been seen.
    var segmentBytes: Int { self.offset }

    /// Adds a piece to the open field.
    ///
    /// - Returns: whether it belongs there.
    mutating func extendField(with piece: Piece) -> Bool {
        guard self.followsCut || piece.text.first.map(ASCII.isBlank) == true else { return false }
        if !self.fieldIsFull {
            if !self.followsCut { self.field.append(ASCII.lineFeed) }
            self.field.append(contentsOf: piece.text)
        }
        self.followsCut = piece.isCut
        return true
    }

    /// Closes the open field, and takes notice of what it says about the structure.
    mutating func endField() {
        if FieldSyntax.name(of: self.field).elementsEqual("content-type".utf8) { self.readContentType() }
        self.field.removeAll(keepingCapacity: true)
        self.followsCut = false
    }

    /// Says what a piece is that belongs to no open field.
    mutating func place(_ piece: Piece) -> Role {
        defer {
            self.isFirst = false
            self.followsCut = piece.isCut
        }
        if self.section != .body {
            if self.beginField(with: piece.text) { return .field }
            self.endHeader(isProperly: piece.text.isEmpty)
        }
        self.findBoundary(in: piece.text)
        defer { self.offset += piece.text.count + 1 }
        return .body(offset: self.offset)
    }

    // MARK: - Headers

    /// A first line `From ` of a mailbox file becomes a field, as in Postfix, so that those behind it are seen.
    private static let mailboxField = Array("X-Mailbox-Line: ".utf8)

    private mutating func beginField(with text: UnsafeRawBufferPointer) -> Bool {
        if self.isFirst, text.drop(while: { $0 == UInt8(ascii: ">") }).starts(with: "From ".utf8) {
            self.field = Self.mailboxField + text
            return true
        }
        guard let name = FieldSyntax.nameLength(in: text) else { return false }
        self.field.append(contentsOf: UnsafeRawBufferPointer(rebasing: text[..<name]))
        let rest = text[name...].drop(while: ASCII.isBlank)
        self.field.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest))
        return true
    }

    /// - Parameter isProperly: by an empty line.
    private mutating func endHeader(isProperly: Bool) {
        self.offset = 0
        self.section = .body
        guard isProperly else { return }
        switch self.nature {
        case .message:
            self.section = .nestedHeader
            self.nature = .leaf
        case .multipart: self.nature = .leaf
        case .leaf: break
        }
    }

    /// Takes over a media type, and every boundary it names: there is one, but who hides something may give more.
    ///
    /// A type that has no structure of its own leaves what a default or a field before it has said.
    private mutating func readContentType() {
        let value = self.field.drop { $0 != UInt8(ascii: ":") }.dropFirst()
        var scanner = ContentTypeScanner(value)
        guard let type = scanner.nextItem(), !type.isEmpty else {
            self.nature = .leaf
            return
        }
        let subtype = type.count > 2 && type[1] == .special(UInt8(ascii: "/")) ? type[2] : nil
        if type[0].isWord("text") {
            self.nature = .leaf
        } else if type[0].isWord("message") {
            let hasHeader = subtype?.isWord("rfc822") == true || subtype?.isWord("global") == true
            self.nature = hasHeader ? .message : .leaf
        } else if type[0].isWord("multipart") {
            self.nature = .multipart
            let isDigest = subtype?.isWord("digest") == true
            while let item = scanner.nextItem() {
                guard item.count > 2, item[0].isWord("boundary"), item[1] == .special(UInt8(ascii: "=")) else {
                    continue
                }
                self.expect(boundary: item[2].text, isDigest: isDigest)
            }
        }
    }

    private mutating func expect(boundary: [UInt8], isDigest: Bool) {
        // As Postfix counts: the outermost is level -1.
        guard self.levels.count - 1 <= self.limits.nesting else {
            self.isTooDeep = true
            return
        }
        self.levels.append(Level(boundary: Array(boundary.prefix(self.limits.boundaryBytes)), isDigest: isDigest))
    }

    // MARK: - Bodies

    /// Whatever stands behind a boundary in its line is ignored: so do mail clients, and ours may have been cut.
    private mutating func findBoundary(in text: UnsafeRawBufferPointer) {
        guard !self.levels.isEmpty, !self.followsCut, text.count > 2, text.starts(with: "--".utf8) else { return }
        let text = UnsafeRawBufferPointer(rebasing: text[2...])
        guard let found = self.levels.lastIndex(where: { text.starts(with: $0.boundary) }) else { return }
        self.levels.removeSubrange((found + 1)...)
        let level = self.levels[found]
        if text[level.boundary.count...].starts(with: "--".utf8) {
            self.levels.removeLast()
            self.section = .body
            self.nature = .leaf
            self.offset = 0
        } else {
            self.section = .partHeader
            self.nature = level.isDigest ? .message : .leaf
        }
    }
}
