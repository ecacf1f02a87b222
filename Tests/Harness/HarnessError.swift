import Glibc

/// What kept the harness from doing its part. It fails the test, which has nothing to decide about it.
package struct HarnessError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }

    /// - Parameter code: an error number of the C library.
    init(_ what: String, code: Int32) {
        self.init("\(what): \(String(cString: strerror(code)))")
    }
}
