import Glibc
import Mail

/// Asks the rules for content while a message goes by, and changes it as they say (header_checks(5), SEMANTICS §4).
///
/// A value: content in, content to be stored out, and an outcome. Of content that no rule matches every octet comes out
/// as it went in; and whatever the pieces in which it comes, the outcome is the same. It holds back a field until the
/// rules have been asked, at most about twice ``ContentRules/Limits/headerBytes``, and never more than a piece of a
/// line otherwise.
///
/// Differences from Postfix, all meant: the empty line that is missing behind a header is not put in, and blanks before
/// a colon stay; a NUL does not hide what stands behind it; the line end of a line that a rule removes in part stays.
package struct ContentChecks: Sendable {
    private enum Stage {
        /// Line by line. Next: `skipping`, `passing`.
        case checking
        /// Inside a line of a body of which only the end is looked for. Next: `checking`, `passing`.
        case skipping
        /// Nothing more can matter. Next: none.
        case passing
    }

    let rules: ContentRules
    package internal(set) var outcome = ContentOutcome()
    /// How often each pattern has reached its limit.
    var patternFaults: [PatternPlace: Int] = [:]
    /// Lines of tables whose patterns are not tried any more, or a message of lines that are made for them would take
    /// the limit of a pattern for each.
    var givenUp: [String: Set<Int>] = [:]
    var framing: MessageFraming

    private var stage = Stage.checking
    /// The beginning of a piece of a line whose end has not come.
    private var begun: [UInt8] = []
    private var field = OpenField()
    /// A part of a line has come out, and not its end.
    private var isInsideLine = false

    /// What has come of the open field, and what becomes of it.
    private struct OpenField {
        /// Before the rules are asked.
        var held: [UInt8] = []
        /// What becomes of the rest; nil before the rules are asked.
        var isKept: Bool?
    }

    struct PatternPlace: Hashable {
        let table: String
        let line: Int
    }

    package init(_ rules: ContentRules) {
        self.rules = rules
        self.framing = MessageFraming(limits: rules.limits)
        if rules.isEmpty { self.stage = .passing }
    }

    /// Nothing more of the content is looked at or changed.
    package var isDone: Bool { self.stage == .passing }

    /// Takes the next octets of the content, whose lines end in CRLF, and appends to `output` what is to be stored.
    package mutating func feed(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch self.stage {
            case .passing:
                output.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest))
                return
            case .skipping: self.skipLine(&rest, into: &output)
            case .checking:
                if self.begun.isEmpty, self.skipLines(&rest, into: &output) { continue }
                self.checkPiece(&rest, into: &output)
            }
        }
    }

    /// The content has ended: what was held back comes out, and the outcome is final.
    package mutating func finish(into output: inout [UInt8]) {
        if !self.begun.isEmpty {
            let last = self.begun
            self.begun = []
            last.withUnsafeBytes { self.take($0, isCut: false, into: &output) }
        }
        if self.stage == .checking, self.framing.hasField { self.endField(into: &output) }
        self.stage = .passing
        if self.framing.isTooDeep, self.rules.hasHeaderRules, self.outcome.verdict == .accept {
            self.outcome.verdict = .reject(Reply(550, .init(6, 0), "MIME nesting exceeds safety limit"))
        }
    }

    // MARK: - Pieces of lines

    /// Takes a piece of a line from the front, or keeps what there is of it.
    private mutating func checkPiece(_ rest: inout Slice<UnsafeRawBufferPointer>, into output: inout [UInt8]) {
        if self.begun.isEmpty {
            let bytes = UnsafeRawBufferPointer(rebasing: rest)
            guard let length = self.pieceLength(bytes) else {
                self.begun.append(contentsOf: bytes)
                rest = rest[rest.endIndex...]
                return
            }
            rest = rest.dropFirst(length)
            self.take(UnsafeRawBufferPointer(rebasing: bytes[..<length]), isCut: nil, into: &output)
            return
        }
        // Two more than a piece: of a line end behind it both octets must be seen.
        let window = rest.prefix(max(1, self.rules.limits.lineBytes + 1 - self.begun.count))
        let added = UnsafeRawBufferPointer(rebasing: window).firstLineFeed.map { $0 + 1 } ?? window.count
        self.begun.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest.prefix(added)))
        rest = rest.dropFirst(added)
        guard let length = self.begun.withUnsafeBytes({ self.pieceLength($0) }) else { return }
        let piece = Array(self.begun[..<length])
        self.begun.removeFirst(length)
        piece.withUnsafeBytes { self.take($0, isCut: nil, into: &output) }
        // The inspection may have ended with the piece.
        if self.stage == .passing {
            output += self.begun
            self.begun = []
        }
    }

    /// How long the first piece is, its line end included if that is not longer than two octets more; nil if that
    /// cannot be known yet.
    private func pieceLength(_ bytes: UnsafeRawBufferPointer) -> Int? {
        let limit = self.rules.limits.lineBytes
        if let end = UnsafeRawBufferPointer(rebasing: bytes.prefix(limit)).firstLineFeed { return end + 1 }
        guard bytes.count >= limit else { return nil }
        guard bytes[limit - 1] == ASCII.carriageReturn else { return limit }
        guard bytes.count > limit else { return nil }
        return bytes[limit] == ASCII.lineFeed ? limit + 1 : limit
    }

    /// - Parameter isCut: whether the line goes on behind these octets; nil if their end tells.
    private mutating func take(_ bytes: UnsafeRawBufferPointer, isCut: Bool?, into output: inout [UInt8]) {
        let hasEnd = bytes.last == ASCII.lineFeed
        var text = bytes.dropLast(hasEnd ? 1 : 0)
        if hasEnd, text.last == ASCII.carriageReturn { text.removeLast() }
        let piece = MessageFraming.Piece(text: UnsafeRawBufferPointer(rebasing: text), isCut: isCut ?? !hasEnd)
        if self.framing.hasField {
            if self.framing.extendField(with: piece) {
                self.continueField(bytes, into: &output)
                return
            }
            self.endField(into: &output)
            if self.stage == .passing {
                output.append(contentsOf: bytes)
                return
            }
        }
        switch self.framing.place(piece) {
        case .field:
            self.field = OpenField()
            self.continueField(bytes, into: &output)
        case .body(let offset): self.checkBody(bytes, piece.text, offset: offset, into: &output)
        }
    }

    // MARK: - Fields

    private mutating func continueField(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        switch self.field.isKept {
        case true?: self.keep(bytes, into: &output)
        case false?: self.remove(bytes, into: &output)
        case nil:
            self.field.held.append(contentsOf: bytes)
            if self.framing.fieldIsFull { self.decideField(into: &output) }
        }
    }

    private mutating func endField(into output: inout [UInt8]) {
        if self.field.isKept == nil { self.decideField(into: &output) }
        self.framing.endField()
    }

    private mutating func decideField(into output: inout [UInt8]) {
        let held = self.field.held
        self.field.held = []
        let contentClass = self.classOfField
        let found = self.findField(contentClass)
        self.field.isKept = held.withUnsafeBytes { held in
            self.perform(found, in: contentClass, on: held, into: &output)
        }
    }

    private var classOfField: ContentClass {
        if FieldSyntax.isMIME(self.framing.field) { return .mimeHeader }
        return switch self.framing.section {
        case .primaryHeader: .header
        case .partHeader, .body: .mimeHeader
        case .nestedHeader: .nestedHeader
        }
    }

    // MARK: - Bodies

    private mutating func checkBody(
        _ bytes: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, offset: Int, into output: inout [UInt8]
    ) {
        guard !text.isEmpty, !self.rules.body.isEmpty, offset < self.rules.limits.bodyBytes ?? .max else {
            self.keep(bytes, into: &output)
            return
        }
        _ = self.perform(self.find(text, in: .body), in: .body, on: bytes, into: &output)
    }

    /// Does what a rule says with these octets: a line or a piece of one, or what has come of a field.
    ///
    /// - Returns: whether what else there is of the field is kept.
    private mutating func perform(
        _ found: FoundRule?, in contentClass: ContentClass, on bytes: UnsafeRawBufferPointer,
        into output: inout [UInt8]
    ) -> Bool {
        let action = found.flatMap { self.note($0, in: contentClass) } ?? .next
        if action.endsInspection { self.stage = .passing }
        switch action {
        case .remove:
            self.remove(bytes, into: &output)
            return false
        case .replace(let text):
            self.insert(text, in: contentClass, into: &output)
            // A piece that is replaced goes on with the next one.
            if bytes.last == ASCII.lineFeed { output += [ASCII.carriageReturn, ASCII.lineFeed] }
            self.isInsideLine = bytes.last != ASCII.lineFeed
            return false
        case .prepend(let text):
            self.insert(text, in: contentClass, into: &output)
            output += [ASCII.carriageReturn, ASCII.lineFeed]
        case .next, .hold, .filter, .bcc, .pass, .redirect, .discard, .reject: break
        }
        self.keep(bytes, into: &output)
        return true
    }

    /// Puts a rule's text in, without a line end behind it. Where it has captured a folded field, it stays folded.
    private mutating func insert(_ text: String, in contentClass: ContentClass, into output: inout [UInt8]) {
        self.outcome.isChanged = true
        var isFolded = false
        for line in text.utf8.split(separator: ASCII.lineFeed, omittingEmptySubsequences: true) {
            if isFolded, contentClass.isHeader { output += [ASCII.carriageReturn, ASCII.lineFeed] }
            if isFolded, line.first.map(ASCII.isBlank) != true {
                output.append(contentClass.isHeader ? ASCII.tab : ASCII.space)
            }
            output += line.map { $0 == ASCII.carriageReturn || $0 == 0 ? ASCII.space : $0 }
            isFolded = true
        }
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        guard let last = bytes.last else { return }
        output.append(contentsOf: bytes)
        self.isInsideLine = last != ASCII.lineFeed
    }

    private mutating func remove(_ bytes: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        self.outcome.isChanged = true
        guard self.isInsideLine, bytes.last == ASCII.lineFeed else { return }
        output += [ASCII.carriageReturn, ASCII.lineFeed]
        self.isInsideLine = false
    }

    // MARK: - Bodies that are not looked at

    /// Where no rule is asked of the lines of this body, only boundaries are looked for.
    private var skipsBody: Bool {
        self.framing.section == .body
            && (self.rules.body.isEmpty || self.framing.segmentBytes >= self.rules.limits.bodyBytes ?? .max)
    }

    /// Passes on lines that cannot be boundaries.
    ///
    /// - Returns: false if the next line must be looked at.
    private mutating func skipLines(_ rest: inout Slice<UnsafeRawBufferPointer>, into output: inout [UInt8]) -> Bool {
        guard self.skipsBody else { return false }
        if self.framing.isInLastBody || !self.rules.looksBehindHeader {
            self.stage = .passing
            return true
        }
        guard self.framing.isAtLineStart else { return false }
        let bytes = UnsafeRawBufferPointer(rebasing: rest)
        var start = 0
        while start < bytes.count, bytes[start] != UInt8(ascii: "-") {
            guard let end = UnsafeRawBufferPointer(rebasing: bytes[start...]).firstLineFeed else {
                self.stage = .skipping
                start = bytes.count
                break
            }
            start += end + 1
        }
        guard start > 0 else { return false }
        output.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<start]))
        rest = rest.dropFirst(start)
        return true
    }

    private mutating func skipLine(_ rest: inout Slice<UnsafeRawBufferPointer>, into output: inout [UInt8]) {
        let end = UnsafeRawBufferPointer(rebasing: rest).firstLineFeed.map { $0 + 1 }
        output.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest.prefix(end ?? rest.count)))
        rest = rest.dropFirst(end ?? rest.count)
        if end != nil { self.stage = .checking }
    }
}

extension UnsafeRawBufferPointer {
    /// Found with memchr, which looks at many octets at once.
    var firstLineFeed: Int? {
        guard let base = self.baseAddress, let found = memchr(base, Int32(ASCII.lineFeed), self.count) else {
            return nil
        }
        return UnsafeRawPointer(found) - base
    }
}
