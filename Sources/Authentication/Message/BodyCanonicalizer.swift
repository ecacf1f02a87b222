internal import Crypto
internal import Glibc
internal import Mail

/// What a signature allows to change on the way (RFC 6376 §3.4).
package enum Canonicalization: String, Hashable, Sendable { case simple, relaxed }

/// Which hash of a body a signature asks for. It is always one of SHA-256.
package struct BodyHashing: Hashable, Sendable {
    package let form: Canonicalization
    /// Of the canonical body (`l=`); nil for all of it.
    package let limitBytes: Int?

    package init(_ form: Canonicalization, limitBytes: Int? = nil) {
        self.form = form
        self.limitBytes = limitBytes
    }
}

/// A body's hash.
package struct BodyHash: Hashable, Sendable {
    package let digest: [UInt8]
    /// Of the whole canonical body, hashed or not.
    package let bodyBytes: Int
}

/// A digest that stops after so many octets.
final class LimitedDigest {
    let limitBytes: Int?
    private var remaining: Int
    private var digest: Digest?

    init(limitBytes: Int?) throws(CryptoError) {
        self.limitBytes = limitBytes
        self.remaining = limitBytes ?? .max
        self.digest = try Digest(.sha256)
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
        guard self.remaining > 0 else { return }
        let count = min(self.remaining, bytes.count)
        self.digest?.update(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        self.remaining -= count
    }

    func finish() -> [UInt8] { self.digest.take()?.finish() ?? [] }
}

/// Brings a body into a canonical form (RFC 6376 §3.4.3, §3.4.4) and hashes it, piece by piece.
///
/// Only CRLF ends a line; a CR or LF alone is an octet like others.
struct BodyCanonicalizer: ~Copyable {
    private let form: Canonicalization
    private let digests: [LimitedDigest]
    /// Line ends that belong to the body if anything follows.
    private var heldLineEnds = 0
    /// A CR at the end of a piece.
    private var holdsReturn = false
    /// White space that counts if anything follows in its line.
    private var holdsBlank = false
    /// Of the canonical form, gone to the digests and still in the buffer.
    private var bytes = 0
    private let buffer: UnsafeMutableRawBufferPointer
    private var bufferedBytes = 0

    private static let bufferBytes = 32_768
    /// Of a piece that is made relaxed at once: its form and a short run of line ends before it fit into the buffer.
    private static let stepBytes = 16_384
    /// Line ends that are written in place; more than these go the long way.
    private static let shortRun = 64

    init(_ form: Canonicalization, _ digests: [LimitedDigest]) {
        self.form = form
        self.digests = digests
        self.buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
    }

    deinit { self.buffer.deallocate() }

    mutating func feed(_ piece: UnsafeRawBufferPointer) {
        switch self.form {
        case .simple: self.take(piece)
        case .relaxed:
            for start in stride(from: 0, to: piece.count, by: Self.stepBytes) {
                let end = min(start + Self.stepBytes, piece.count)
                self.take(UnsafeRawBufferPointer(rebasing: piece[start..<end]))
            }
        }
    }

    private mutating func take(_ piece: UnsafeRawBufferPointer) {
        guard let first = piece.first else { return }
        var start = 0
        if self.holdsReturn {
            self.holdsReturn = false
            if first == ASCII.lineFeed {
                self.endLine()
                start = 1
            } else {
                self.writeReturn()
            }
        }
        let rest = UnsafeRawBufferPointer(rebasing: piece[start...])
        switch self.form {
        case .simple: self.takeSimple(rest)
        case .relaxed: self.takeRelaxed(rest)
        }
    }

    /// All that ends in line ends may be the body's end, and waits; what stands before goes on as it is.
    private mutating func takeSimple(_ piece: UnsafeRawBufferPointer) {
        var end = piece.count
        if piece.last == ASCII.carriageReturn {
            self.holdsReturn = true
            end -= 1
        }
        var textEnd = end
        while textEnd >= 2, piece[textEnd - 1] == ASCII.lineFeed, piece[textEnd - 2] == ASCII.carriageReturn {
            textEnd -= 2
        }
        if textEnd > 0 { self.write(UnsafeRawBufferPointer(rebasing: piece[..<textEnd])) }
        self.heldLineEnds += (end - textEnd) / 2
    }

    /// Works on copies of what it changes and compares with: octet by octet in `self`, and in another module's
    /// variables, takes several times as long.
    private mutating func takeRelaxed(_ piece: UnsafeRawBufferPointer) {
        if Self.bufferBytes - self.bufferedBytes < piece.count + 2 * Self.shortRun + 1 { self.flush() }
        guard let input = piece.baseAddress?.assumingMemoryBound(to: UInt8.self),
            let output = self.buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        else { return }
        let (space, tab, carriageReturn, lineFeed) = (ASCII.space, ASCII.tab, ASCII.carriageReturn, ASCII.lineFeed)
        let count = piece.count
        var (lineEnds, holdsBlank, end) = (self.heldLineEnds, self.holdsBlank, self.bufferedBytes)
        var position = 0
        while position < count {
            var byte = input[position]
            position += 1
            if byte == space || byte == tab {
                holdsBlank = true
                continue
            }
            if byte == carriageReturn {
                if position == count {
                    self.holdsReturn = true
                    break
                }
                if input[position] == lineFeed {
                    position += 1
                    holdsBlank = false
                    lineEnds += 1
                    continue
                }
            }
            if lineEnds > Self.shortRun { self.writeLongRun(of: &lineEnds, &end) }
            while lineEnds > 0 {
                (output[end], output[end + 1]) = (carriageReturn, lineFeed)
                (end, lineEnds) = (end + 2, lineEnds - 1)
            }
            if holdsBlank {
                output[end] = space
                (end, holdsBlank) = (end + 1, false)
            }
            output[end] = byte
            end += 1
            while position < count {
                byte = input[position]
                guard byte > space else { break }
                output[end] = byte
                (end, position) = (end + 1, position + 1)
            }
        }
        self.bytes += end - self.bufferedBytes
        (self.heldLineEnds, self.holdsBlank, self.bufferedBytes) = (lineEnds, holdsBlank, end)
    }

    /// - Parameter end: of what is in the buffer.
    private mutating func writeLongRun(of lineEnds: inout Int, _ end: inout Int) {
        self.bytes += end - self.bufferedBytes
        (self.bufferedBytes, self.heldLineEnds) = (end, lineEnds)
        self.writeLineEnds()
        self.flush()
        (lineEnds, end) = (0, 0)
    }

    private mutating func endLine() {
        self.holdsBlank = false
        self.heldLineEnds += 1
    }

    private mutating func writeReturn() {
        withUnsafeBytes(of: ASCII.carriageReturn) { self.write($0) }
    }

    /// Text that is not empty, with what was held before it.
    private mutating func write(_ text: UnsafeRawBufferPointer) {
        if self.heldLineEnds > 0 { self.writeLineEnds() }
        if self.holdsBlank {
            self.holdsBlank = false
            withUnsafeBytes(of: ASCII.space) { self.put($0) }
        }
        self.put(text)
    }

    private mutating func writeLineEnds() {
        let lineEnd: (UInt8, UInt8) = (ASCII.carriageReturn, ASCII.lineFeed)
        while self.heldLineEnds > 0 {
            self.heldLineEnds -= 1
            withUnsafeBytes(of: lineEnd) { self.put($0) }
        }
    }

    private mutating func put(_ octets: UnsafeRawBufferPointer) {
        self.bytes += octets.count
        if octets.count > Self.bufferBytes - self.bufferedBytes {
            self.flush()
            guard octets.count < Self.bufferBytes else { return self.digests.forEach { $0.update(octets) } }
        }
        guard let target = self.buffer.baseAddress, let source = octets.baseAddress else { return }
        memcpy(target + self.bufferedBytes, source, octets.count)
        self.bufferedBytes += octets.count
    }

    private mutating func flush() {
        let filled = UnsafeRawBufferPointer(rebasing: self.buffer[..<self.bufferedBytes])
        self.digests.forEach { $0.update(filled) }
        self.bufferedBytes = 0
    }

    /// A body ends in one CRLF. An empty one is hashed as nothing when relaxed, and as a CRLF when simple.
    mutating func finish() -> [BodyHashing: BodyHash] {
        if self.holdsReturn { self.writeReturn() }
        self.heldLineEnds = self.bytes > 0 || self.form == .simple ? 1 : 0
        self.writeLineEnds()
        self.flush()
        let (form, bytes) = (self.form, self.bytes)
        return Dictionary(
            self.digests.map {
                (BodyHashing(form, limitBytes: $0.limitBytes), BodyHash(digest: $0.finish(), bodyBytes: bytes))
            }, uniquingKeysWith: { first, _ in first })
    }
}
