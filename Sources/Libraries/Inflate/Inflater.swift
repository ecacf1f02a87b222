internal import CZlib

/// Undoes deflate (RFC 1951) piece by piece. About 40 KB of memory for each that runs.
package final class Inflater {
    package enum Status: Sendable {
        case more
        case ended
        case failed
    }

    /// zlib keeps a pointer to it, so it must stay where it is.
    private let stream: UnsafeMutablePointer<z_stream>
    private var status = Status.more

    /// - Returns: nil if there is no memory.
    package init?() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        guard inflater_start(self.stream) == Z_OK else {
            self.stream.deallocate()
            return nil
        }
    }

    private init?(copying other: Inflater) {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.status = other.status
        guard inflateCopy(self.stream, other.stream) == Z_OK else {
            self.stream.deallocate()
            return nil
        }
    }

    deinit {
        inflateEnd(self.stream)
        self.stream.deallocate()
    }

    /// Another that has read the same so far; nil if there is no memory.
    package func copy() -> Inflater? { Inflater(copying: self) }

    /// Takes the next octets, and hands over what comes of them in pieces of at most 16 KB.
    ///
    /// - Parameter output: returns whether it wants more; if not, the stream has ended.
    /// - Returns: how it goes on, and how many octets of the input were needed.
    package func inflate(_ input: UnsafeRawBufferPointer, _ output: (UnsafeRawBufferPointer) -> Bool) -> (
        status: Status, usedBytes: Int
    ) {
        guard case .more = self.status else { return (self.status, 0) }
        var used = 0
        // avail_in is an unsigned int.
        while used < input.count, case .more = self.status {
            let piece = UnsafeRawBufferPointer(rebasing: input[used..<min(used + 1 << 20, input.count)])
            let count = self.inflate(piece: piece, output)
            if count == 0, case .more = self.status { self.status = .failed }
            used += count
        }
        return (self.status, used)
    }

    private func inflate(piece: UnsafeRawBufferPointer, _ output: (UnsafeRawBufferPointer) -> Bool) -> Int {
        withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 16) { room in
            // zlib does not write to its input; the cast is for its old declaration.
            let start = piece.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) }
            self.stream.pointee.next_in = start?.assumingMemoryBound(to: UInt8.self)
            self.stream.pointee.avail_in = UInt32(piece.count)
            repeat {
                self.stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                self.stream.pointee.avail_out = UInt32(room.count)
                let code = CZlib.inflate(self.stream, Z_NO_FLUSH)
                let count = room.count - Int(self.stream.pointee.avail_out)
                let wantsMore = count == 0 || output(UnsafeRawBufferPointer(rebasing: room[..<count]))
                self.status = Self.status(code, wantsMore)
                if code == Z_BUF_ERROR { break }
            } while self.stream.pointee.avail_out == 0 && self.isRunning
            let rest = Int(self.stream.pointee.avail_in)
            self.stream.pointee.next_in = nil
            self.stream.pointee.next_out = nil
            return piece.count - rest
        }
    }

    private var isRunning: Bool {
        switch self.status {
        case .more: true
        case .ended, .failed: false
        }
    }

    private static func status(_ code: Int32, _ wantsMore: Bool) -> Status {
        switch code {
        case Z_STREAM_END: .ended
        // Z_BUF_ERROR: nothing to read or nowhere to write; not an error.
        case Z_OK, Z_BUF_ERROR: wantsMore ? .more : .ended
        default: .failed
        }
    }
}
