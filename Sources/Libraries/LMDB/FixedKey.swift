/// A key whose octets are those of a value of fixed size, such as integers in network order. Costs no allocation.
package struct FixedKey<Value: BitwiseCopyable>: KeyBytes {
    private let value: Value

    package init(_ value: Value) {
        self.value = value
    }

    package func withBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws(LMDBError) -> Result
    ) throws(LMDBError) -> Result {
        try withUnsafeBytes(of: self.value) { bytes throws(LMDBError) in try body(bytes) }
    }
}
