internal import CZlib

/// Packs octets as gzip (RFC 1952), piece by piece. About 270 KB of memory for each that runs.
///
/// The same octets become the same, whenever that is and in whichever pieces they come.
package final class GzipWriter {
    /// zlib keeps a pointer to it, so it must stay where it is.
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Returns: nil if there is no memory.
    package init?() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        guard gzip_start(self.stream) == Z_OK else {
            self.stream.deallocate()
            return nil
        }
    }

    deinit {
        deflateEnd(self.stream)
        self.stream.deallocate()
    }

    /// Takes the next octets; what comes of them may come later.
    package func write(_ input: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        var used = 0
        // avail_in is an unsigned int.
        while used < input.count {
            let piece = UnsafeRawBufferPointer(rebasing: input[used..<min(used + 1 << 20, input.count)])
            self.deflate(piece, Z_NO_FLUSH, &output)
            used += piece.count
        }
    }

    package func write(_ input: [UInt8], to output: inout [UInt8]) {
        input.withUnsafeBytes { self.write($0, to: &output) }
    }

    /// Writes what is left, and the end. Nothing may follow.
    package func finish(_ output: inout [UInt8]) {
        self.deflate(UnsafeRawBufferPointer(start: nil, count: 0), Z_FINISH, &output)
    }

    private func deflate(_ piece: UnsafeRawBufferPointer, _ flush: Int32, _ output: inout [UInt8]) {
        withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 16) { room in
            // zlib does not write to its input; the cast is for its old declaration.
            let start = piece.baseAddress.map { UnsafeMutableRawPointer(mutating: $0) }
            self.stream.pointee.next_in = start?.assumingMemoryBound(to: UInt8.self)
            self.stream.pointee.avail_in = UInt32(piece.count)
            // With room to write to, it only stops when nothing is left to read or to write: no code is an error.
            repeat {
                self.stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                self.stream.pointee.avail_out = UInt32(room.count)
                _ = CZlib.deflate(self.stream, flush)
                output += room[..<(room.count - Int(self.stream.pointee.avail_out))]
            } while self.stream.pointee.avail_out == 0
            self.stream.pointee.next_in = nil
            self.stream.pointee.next_out = nil
        }
    }
}
