import Mail

/// Content of a file as it would come over the wire.
package enum LineEnds {
    /// Every line end as CRLF.
    package static func crlf(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 32)
        for byte in bytes {
            if byte == ASCII.lineFeed, output.last != ASCII.carriageReturn { output.append(ASCII.carriageReturn) }
            output.append(byte)
        }
        return output
    }
}
