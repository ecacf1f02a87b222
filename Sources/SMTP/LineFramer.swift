import Glibc
import Mail

/// Cuts a stream into lines, whatever pieces it arrives in.
///
/// What is not consumed stays with the caller and is shown again, longer, with the next piece; nothing that was
/// looked at is looked at twice.
package struct LineFramer: Sendable {
    package enum Frame: Equatable, Sendable {
        /// A line without its line end, which was CRLF or, if `isBare`, LF alone.
        case line([UInt8], isBare: Bool)
        /// A line above the limit; it is consumed whole, and reported once its end has come.
        case tooLong
    }

    /// Of a line above the limit its beginning is given instead of `tooLong`.
    private let cutsLongLines: Bool

    /// Longest line with its line end, in octets.
    package let limitBytes: Int
    /// Octets at the front of the input that are known to hold no line end.
    private var scannedBytes = 0
    /// The beginning of a line above the limit has been thrown away.
    private var isSkipping = false
    /// What is given of it.
    private var beginning: [UInt8] = []

    package init(limitBytes: Int, cutsLongLines: Bool = false) {
        self.limitBytes = limitBytes
        self.cutsLongLines = cutsLongLines
    }

    /// - Returns: how many octets at the front are done with, and the frame they make; nil if more must arrive.
    package mutating func next(_ input: UnsafeRawBufferPointer) -> (consumedBytes: Int, frame: Frame?) {
        guard let end = input.firstIndex(ofByte: ASCII.lineFeed, from: self.scannedBytes) else {
            guard self.isSkipping || input.count >= self.limitBytes else {
                self.scannedBytes = input.count
                return (0, nil)
            }
            self.skip(input)
            self.scannedBytes = 0
            return (input.count, nil)
        }
        self.scannedBytes = 0
        if self.isSkipping || end >= self.limitBytes {
            self.skip(input)
            self.isSkipping = false
            return (end + 1, self.cutsLongLines ? .line(self.beginning, isBare: false) : .tooLong)
        }
        let isBare = end == 0 || input[end - 1] != ASCII.carriageReturn
        return (end + 1, .line(Array(input[..<(isBare ? end : end - 1)]), isBare: isBare))
    }

    private mutating func skip(_ input: UnsafeRawBufferPointer) {
        if self.cutsLongLines, !self.isSkipping { self.beginning = Array(input[..<self.limitBytes]) }
        self.isSkipping = true
    }
}

extension UnsafeRawBufferPointer {
    /// The place of an octet at or behind `start`.
    func firstIndex(ofByte byte: UInt8, from start: Int) -> Int? {
        guard start < self.count, let base = self.baseAddress,
            let found = memchr(base + start, Int32(byte), self.count - start)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }
}
