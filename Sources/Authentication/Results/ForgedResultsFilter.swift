import Mail

/// Takes Authentication-Results fields out of a message that claim to be ours (RFC 8601 §5), piece by piece.
///
/// Everything else leaves as it came, octet for octet, and nothing in the body is looked at. A field that may be one of
/// those is held back until its end. One longer than ``maximumFieldBytes`` is taken out whoever it is of: nobody has results
/// of that length, and what some reader finds behind them cannot be known.
package struct ForgedResultsFilter: Sendable {
    private enum State {
        /// At the beginning of a line. Next: any.
        case lineStart
        /// After a CR there. Next: `body`, `line`.
        case lineStartReturn
        /// So many octets of a new field's name are those of ours. Next: `line`.
        case name(Int)
        /// Inside a line of the header. Next: `lineStart`.
        case line
        /// Behind the empty line.
        case body
    }

    /// What becomes of the field that the line belongs to.
    private enum Field { case passing, held, removed }

    package static let maximumFieldBytes = 65_536
    private static let name = Array("authentication-results".utf8)

    /// How many fields were taken out.
    package private(set) var removed = 0

    private let identity: AuthservIdentity
    private var state = State.lineStart
    private var field = Field.passing
    /// What may have to be taken out.
    private var held: [UInt8] = []

    package init(authservID: String) {
        self.identity = AuthservIdentity(authservID)
    }

    /// Takes the next octets of the content and adds what is to be kept.
    package mutating func filter(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        var position = 0
        while position < bytes.count {
            switch self.state {
            case .body:
                output.append(contentsOf: bytes[position...])
                return
            case .line:
                // As much of the line as there is.
                let end = bytes[position...].firstIndex(of: ASCII.lineFeed).map { $0 + 1 } ?? bytes.count
                self.keep(bytes[position..<end], &output)
                if bytes[end - 1] == ASCII.lineFeed { self.state = .lineStart }
                position = end
            case .lineStart, .lineStartReturn, .name:
                if self.takesAtStart(bytes[position], &output) { position += 1 }
            }
        }
    }

    /// The content has ended.
    package mutating func finish(into output: inout [UInt8]) {
        switch self.state {
        case .lineStartReturn:
            self.settle(&output)
            output.append(ASCII.carriageReturn)
        case .name:
            output += self.held
            self.held = []
        case .lineStart, .line: self.settle(&output)
        case .body: break
        }
        self.state = .body
    }

    /// - Returns: false if the octet must be looked at again in the new state.
    private mutating func takesAtStart(_ byte: UInt8, _ output: inout [UInt8]) -> Bool {
        switch self.state {
        case .lineStart:
            switch byte {
            case ASCII.space, ASCII.tab:
                self.state = .line
                return false
            case ASCII.carriageReturn:
                self.state = .lineStartReturn
                return true
            case ASCII.lineFeed:
                self.endHeader(&output)
                return false
            default:
                self.settle(&output)
                self.state = .name(0)
                return false
            }
        case .lineStartReturn:
            if byte == ASCII.lineFeed {
                self.endHeader(&output)
            } else {
                // A CR alone begins no folded line.
                self.settle(&output)
                self.state = .line
            }
            output.append(ASCII.carriageReturn)
            return false
        case .name(let matched): return self.takesInName(byte, matched, &output)
        case .line, .body: return false
        }
    }

    private mutating func takesInName(_ byte: UInt8, _ matched: Int, _ output: inout [UInt8]) -> Bool {
        if matched < Self.name.count, ASCII.lowercased(byte) == Self.name[matched] {
            self.held.append(byte)
            self.state = .name(matched + 1)
            return true
        }
        // Blanks may stand before the colon, and some would even read it in the next line.
        let isWhole = matched == Self.name.count
        if isWhole, byte == UInt8(ascii: ":") || ASCII.isBlank(byte) || byte == ASCII.carriageReturn {
            self.field = .held
        } else {
            self.field = .passing
            output += self.held
            self.held.removeAll(keepingCapacity: true)
        }
        self.state = .line
        return false
    }

    private mutating func keep(_ piece: Slice<UnsafeRawBufferPointer>, _ output: inout [UInt8]) {
        switch self.field {
        case .passing: output.append(contentsOf: piece)
        case .removed: break
        case .held:
            guard piece.count <= Self.maximumFieldBytes - self.held.count else {
                self.field = .removed
                self.removed += 1
                self.held.removeAll(keepingCapacity: true)
                return
            }
            self.held.append(contentsOf: piece)
        }
    }

    private mutating func endHeader(_ output: inout [UInt8]) {
        self.settle(&output)
        self.state = .body
    }

    /// The field before has ended.
    private mutating func settle(_ output: inout [UInt8]) {
        if self.field == .held { self.decide(&output) }
        self.field = .passing
    }

    private mutating func decide(_ output: inout [UInt8]) {
        let isOurs = self.identity.isClaimed(by: self.held.dropFirst(Self.name.count))
        if isOurs { self.removed += 1 } else { output += self.held }
        self.held.removeAll(keepingCapacity: true)
    }
}
