/// Undoes deflate (RFC 1951). `Mail` has no C libraries, so whoever examines messages hands one in.
package protocol StreamInflater: AnyObject {
    /// Takes the next octets, and hands over what comes of them in pieces.
    ///
    /// - Parameter output: returns whether it wants more; if not, the stream has ended.
    /// - Returns: how it goes on, and how many octets of the input were needed.
    func inflate(_ input: UnsafeRawBufferPointer, _ output: (UnsafeRawBufferPointer) -> Bool) -> (
        status: InflateStatus, usedBytes: Int
    )
    /// Another that has read the same so far; nil if there is no memory for it.
    func copy() -> (any StreamInflater)?
}

package enum InflateStatus: Sendable {
    case more
    case ended
    /// Not deflated, or damaged.
    case failed
}

/// Makes an inflater for a stream without zlib's or gzip's header; nil if there is no memory for it.
package typealias InflaterMaker = @Sendable () -> (any StreamInflater)?
