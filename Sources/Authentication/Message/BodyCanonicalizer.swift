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

    init(_ form: Canonicalization, _ digests: [LimitedDigest]) {
        self.form = form
        self.digests = digests
        self.buffer = .allocate(byteCount: Self.bufferBytes, alignment: 16)
    }

    deinit { self.buffer.deallocate() }

    mutating func feed(_ piece: UnsafeRawBufferPointer) {
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
        case .simple: self.feedSimple(rest)
        case .relaxed: self.feedRelaxed(rest)
        }
    }

    /// All that ends in line ends may be the body's end, and waits; what stands before goes on as it is.
    private mutating func feedSimple(_ piece: UnsafeRawBufferPointer) {
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

    private mutating func feedRelaxed(_ piece: UnsafeRawBufferPointer) {
        var position = 0
        while position < piece.count {
            let byte = piece[position]
            if ASCII.isBlank(byte) {
                self.holdsBlank = true
                position += 1
            } else if byte == ASCII.carriageReturn {
                position += 1
                if position == piece.count {
                    self.holdsReturn = true
                } else if piece[position] == ASCII.lineFeed {
                    self.endLine()
                    position += 1
                } else {
                    self.writeReturn()
                }
            } else {
                let start = position
                repeat { position += 1 } while position < piece.count && !Self.isSpecial(piece[position])
                self.write(UnsafeRawBufferPointer(rebasing: piece[start..<position]))
            }
        }
    }

    @inline(__always) private static func isSpecial(_ byte: UInt8) -> Bool {
        byte <= ASCII.space && (ASCII.isBlank(byte) || byte == ASCII.carriageReturn)
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
