internal import Crypto
internal import Mail

extension HeaderField {
    /// Appends the field in its canonical form (RFC 6376 §3.4.1, §3.4.2), without a line end.
    func appendCanonical(_ form: Canonicalization, to output: inout [UInt8]) {
        switch form {
        case .simple: output += self.bytes
        case .relaxed:
            output += self.name.utf8
            output.append(UInt8(ascii: ":"))
            Self.appendRelaxed(self.value, to: &output)
        }
    }

    /// Unfolds, makes white space one space, and drops it from both ends.
    private static func appendRelaxed(_ value: ArraySlice<UInt8>, to output: inout [UInt8]) {
        let start = output.count
        var holdsBlank = false
        var position = value.startIndex
        while position < value.endIndex {
            let byte = value[position]
            position += 1
            let isFold =
                byte == ASCII.carriageReturn && position < value.endIndex && value[position] == ASCII.lineFeed
            if isFold {
                position += 1
            } else if ASCII.isBlank(byte) {
                holdsBlank = true
            } else {
                if holdsBlank, output.count > start { output.append(ASCII.space) }
                holdsBlank = false
                output.append(byte)
            }
        }
    }

    /// The field without a part of it: a signature is made over its own field without the value of `b=`.
    func removing(_ range: Range<Int>) -> HeaderField {
        var bytes = self.bytes
        bytes.removeSubrange(range)
        return HeaderField(bytes)
    }
}

extension MessageHeader {
    /// The fields that a signature names, the last ones first (RFC 6376 §5.4.2). Names without a field left count as
    /// nothing, which is what keeps more fields of that name from being added.
    ///
    /// - Parameter signature: the place of the signature's own field, which is never selected.
    func selected(by names: [String], except signature: Int? = nil) -> [HeaderField] {
        var left: [String: ArraySlice<Int>] = [:]
        return names.compactMap { name in
            let places = left[name] ?? self.indices(of: name).filter { $0 != signature }[...]
            left[name] = places.dropLast()
            return places.last.map { self.fields[$0] }
        }
    }
}

/// The hash that a signature signs (RFC 6376 §3.7).
///
/// - Parameter last: the signature's field without its signature. It comes last and without a line end.
func headerHash(
    of fields: [HeaderField], last: HeaderField, form: Canonicalization
) throws(CryptoError) -> [UInt8] {
    var bytes: [UInt8] = []
    for field in fields {
        field.appendCanonical(form, to: &bytes)
        bytes += [ASCII.carriageReturn, ASCII.lineFeed]
    }
    last.appendCanonical(form, to: &bytes)
    var digest = try Digest(.sha256)
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.finish()
}
