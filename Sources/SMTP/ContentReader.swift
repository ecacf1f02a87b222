import Mail

/// Reads the content of a message as DATA or BDAT bring it, and puts it into the one form in which it is kept:
/// lines that end in CRLF, and no CR or LF anywhere else (SEMANTICS §12).
///
/// DATA ends at CRLF.CRLF and at nothing else. A bare LF ends a line without ending the content: a line with a
/// lone dot that has a bare LF before or behind it is dropped, as either reading of it would be wrong. A bare CR
/// is no line end and becomes a space. So a next hop that is more liberal than RFC 5321 finds nothing to be
/// liberal about.
package struct ContentReader: Sendable {
    package enum Transfer: Sendable {
        /// Dot-stuffed lines up to the end marker (RFC 5321 §4.5.2).
        case data
        /// Counted octets; dots mean nothing (RFC 3030 §2).
        case bdat
    }

    private enum State {
        /// At the beginning of a line. Next: `dot`, `text`, `carriageReturn`.
        case lineStart
        /// Behind a dot at the beginning of a line. Next: `dotCarriageReturn`, `text`, `lineStart`.
        case dot
        /// Behind such a dot and a CR. Next: the end, `lineStart`, `text`.
        case dotCarriageReturn
        /// Inside a line. Next: `carriageReturn`, `lineStart`.
        case text
        /// Behind a CR inside a line or at its beginning. Next: `lineStart`, `text`.
        case carriageReturn
    }

    private let transfer: Transfer
    /// Largest content in octets. Above it the rest is read and dropped, so that the client sees 552 and not a reset.
    private let limitBytes: Int
    private var state = State.lineStart
    /// The line before ended in CRLF, not in a bare LF.
    private var followsCRLF = true
    /// Octets of the content in the form in which it is kept, those dropped above the limit included.
    package private(set) var contentBytes = 0
    /// There was a CR without LF or an LF without CR.
    package private(set) var sawBareLineEnding = false

    package init(_ transfer: Transfer, limitBytes: Int) {
        self.transfer = transfer
        self.limitBytes = limitBytes
    }

    package var isTooLarge: Bool { self.contentBytes > self.limitBytes }

    /// Takes the next octets and appends the content in them to `output`.
    ///
    /// - Returns: how many octets belong to the content, and whether its end was among them.
    package mutating func read(
        _ input: UnsafeRawBufferPointer, into output: inout [UInt8]
    ) -> (consumedBytes: Int, isAtEnd: Bool) {
        var index = 0
        while index < input.count {
            switch self.state {
            case .lineStart: index += self.beginLine(with: input[index], &output)
            case .dot: index += self.continueDot(with: input[index], &output)
            case .dotCarriageReturn:
                if self.endsContent(with: input[index], &output) { return (index + 1, true) }
                if self.state == .lineStart { index += 1 }
            case .carriageReturn: index += self.continueCarriageReturn(with: input[index], &output)
            case .text: index = self.readText(input, from: index, &output)
            }
        }
        return (index, false)
    }

    /// Ends content whose size was counted: a last line without line end gets one.
    package mutating func finish(into output: inout [UInt8]) {
        if self.state == .carriageReturn { self.appendSpaceForCarriageReturn(&output) }
        if self.state != .lineStart { self.append([ASCII.carriageReturn, ASCII.lineFeed], &output) }
        self.state = .lineStart
    }

    // MARK: - States. Each takes one octet and returns 1 if it is done with it, 0 if the next state is to look at it.

    private mutating func beginLine(with byte: UInt8, _ output: inout [UInt8]) -> Int {
        switch byte {
        case ASCII.dot where self.transfer == .data:
            self.state = .dot
            return 1
        case ASCII.carriageReturn:
            self.state = .carriageReturn
            return 1
        default:
            self.state = .text
            return 0
        }
    }

    /// The dot was either stuffed, then it is dropped, or alone.
    private mutating func continueDot(with byte: UInt8, _ output: inout [UInt8]) -> Int {
        switch byte {
        case ASCII.carriageReturn:
            self.state = .dotCarriageReturn
            return 1
        case ASCII.lineFeed:
            self.sawBareLineEnding = true
            self.followsCRLF = false
            self.state = .lineStart  // A lone dot with a bare LF behind it.
            return 1
        default:
            self.state = .text
            return 0
        }
    }

    private mutating func endsContent(with byte: UInt8, _ output: inout [UInt8]) -> Bool {
        guard byte == ASCII.lineFeed else {
            self.appendSpaceForCarriageReturn(&output)
            return false
        }
        if self.followsCRLF { return true }
        self.followsCRLF = true
        self.state = .lineStart  // A lone dot with a bare LF before it.
        return false
    }

    private mutating func continueCarriageReturn(with byte: UInt8, _ output: inout [UInt8]) -> Int {
        guard byte == ASCII.lineFeed else {
            self.appendSpaceForCarriageReturn(&output)
            return 0
        }
        self.append([ASCII.carriageReturn, ASCII.lineFeed], &output)
        self.followsCRLF = true
        self.state = .lineStart
        return 1
    }

    private mutating func appendSpaceForCarriageReturn(_ output: inout [UInt8]) {
        self.sawBareLineEnding = true
        self.append([ASCII.space], &output)
        self.state = .text
    }

    /// Copies whole lines at once for as long as they need no change.
    ///
    /// - Returns: the place of the first octet that is not done with.
    private mutating func readText(_ input: UnsafeRawBufferPointer, from start: Int, _ output: inout [UInt8]) -> Int {
        var lineStart = start
        while true {
            guard let lineFeed = input.firstIndex(ofByte: ASCII.lineFeed, from: lineStart) else {
                return self.readPartialLine(input, from: start, lineStart: lineStart, &output)
            }
            let hasCarriageReturn = lineFeed > lineStart && input[lineFeed - 1] == ASCII.carriageReturn
            let textEnd = hasCarriageReturn ? lineFeed - 1 : lineFeed
            if let bare = input[..<textEnd].firstCarriageReturn(from: lineStart) {
                return self.stop(before: bare, input, from: start, &output)
            }
            guard hasCarriageReturn else {
                self.sawBareLineEnding = true
                self.append(input[start..<lineFeed], &output)
                self.append([ASCII.carriageReturn, ASCII.lineFeed], &output)
                self.followsCRLF = false
                self.state = .lineStart
                return lineFeed + 1
            }
            lineStart = lineFeed + 1
            let continues = lineStart < input.count && !(input[lineStart] == ASCII.dot && self.transfer == .data)
            guard continues else {
                self.append(input[start..<lineStart], &output)
                self.followsCRLF = true
                self.state = .lineStart
                return lineStart
            }
        }
    }

    /// The last line of the input, which goes on in the next.
    private mutating func readPartialLine(
        _ input: UnsafeRawBufferPointer, from start: Int, lineStart: Int, _ output: inout [UInt8]
    ) -> Int {
        if lineStart > start { self.followsCRLF = true }
        if let carriageReturn = input[...].firstCarriageReturn(from: lineStart) {
            return self.stop(before: carriageReturn, input, from: start, &output)
        }
        self.append(input[start...], &output)
        return input.count
    }

    private mutating func stop(
        before carriageReturn: Int, _ input: UnsafeRawBufferPointer, from start: Int, _ output: inout [UInt8]
    ) -> Int {
        if carriageReturn > start, input[start..<carriageReturn].contains(ASCII.lineFeed) { self.followsCRLF = true }
        self.append(input[start..<carriageReturn], &output)
        self.state = .carriageReturn
        return carriageReturn + 1
    }

    private mutating func append(_ bytes: some Collection<UInt8>, _ output: inout [UInt8]) {
        self.contentBytes += bytes.count
        if !self.isTooLarge { output.append(contentsOf: bytes) }
    }
}

extension Slice<UnsafeRawBufferPointer> {
    fileprivate func firstCarriageReturn(from start: Int) -> Int? {
        UnsafeRawBufferPointer(rebasing: self.base[..<self.endIndex]).firstIndex(
            ofByte: ASCII.carriageReturn, from: start)
    }
}
