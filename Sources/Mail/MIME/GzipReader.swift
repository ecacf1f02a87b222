/// Undoes gzip (RFC 1952): the name in its header, and what it holds as far as it is inflated.
struct GzipReader {
    /// A longer header is skipped, but a longer name is cut.
    private static let nameBytes = 1000

    private enum State {
        case fixed
        /// Two octets of length, then as many.
        case extraLength
        case extra(remaining: Int)
        case name
        case comment
        case checksum(remaining: Int)
        case data
        case ended
    }

    private var state = State.fixed
    private var buffer: [UInt8] = []
    private var flags: UInt8 = 0
    private(set) var name: [UInt8] = []
    private var inflater: (any StreamInflater)?

    init(makeInflater: InflaterMaker?) {
        self.inflater = makeInflater?()
    }

    /// - Parameter output: gets what is inflated; returns whether it wants more.
    mutating func take(_ input: UnsafeRawBufferPointer, _ output: (UnsafeRawBufferPointer) -> Bool) {
        var index = 0
        while index < input.count {
            switch self.state {
            case .data:
                guard let inflater else { return self.state = .ended }
                let (status, _) = inflater.inflate(UnsafeRawBufferPointer(rebasing: input[index...]), output)
                switch status {
                case .more: break
                case .ended, .failed: self.state = .ended
                }
                return
            case .ended: return
            case .fixed, .extraLength, .extra, .name, .comment, .checksum: self.take(input[index])
            }
            index += 1
        }
    }

    private mutating func take(_ byte: UInt8) {
        switch self.state {
        case .fixed:
            self.buffer.append(byte)
            guard self.buffer.count == 10 else { return }
            self.flags = self.buffer[3]
            self.buffer = []
            self.state = self.flags & 4 != 0 ? .extraLength : self.behindExtra
        case .extraLength:
            self.buffer.append(byte)
            guard self.buffer.count == 2 else { return }
            let length = Int(self.buffer[0]) | Int(self.buffer[1]) << 8
            self.state = length > 0 ? .extra(remaining: length) : self.behindExtra
        case .extra(let remaining): self.state = remaining > 1 ? .extra(remaining: remaining - 1) : self.behindExtra
        case .name:
            if byte == 0 { return self.state = self.behindName }
            if self.name.count < Self.nameBytes { self.name.append(byte) }
        case .comment: if byte == 0 { self.state = self.behindComment }
        case .checksum(let remaining): self.state = remaining > 1 ? .checksum(remaining: remaining - 1) : .data
        case .data, .ended: break
        }
    }

    private var behindExtra: State { self.flags & 8 != 0 ? .name : self.behindName }
    private var behindName: State { self.flags & 16 != 0 ? .comment : self.behindComment }
    private var behindComment: State { self.flags & 2 != 0 ? .checksum(remaining: 2) : .data }

    mutating func detach() { self.inflater = self.inflater?.copy() }
}
