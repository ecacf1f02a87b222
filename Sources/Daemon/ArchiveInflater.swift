import Inflate
package import Mail

/// Brings zlib to the examination of messages: `Mail` has no C libraries, and `Inflate` knows nothing of mail.
package final class ArchiveInflater: StreamInflater {
    package static let make: InflaterMaker = { Inflater().map { ArchiveInflater($0) } }

    private let inflater: Inflater

    private init(_ inflater: Inflater) {
        self.inflater = inflater
    }

    package func inflate(_ input: UnsafeRawBufferPointer, _ output: (UnsafeRawBufferPointer) -> Bool) -> (
        status: InflateStatus, usedBytes: Int
    ) {
        let (status, used) = self.inflater.inflate(input, output)
        switch status {
        case .more: return (.more, used)
        case .ended: return (.ended, used)
        case .failed: return (.failed, used)
        }
    }

    package func copy() -> (any StreamInflater)? { self.inflater.copy().map { ArchiveInflater($0) } }
}
