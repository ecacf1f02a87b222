internal import Glibc

/// A call to the system that failed.
package struct SystemError: Error, Hashable, Sendable {
    package let call: String
    /// errno.
    package let code: CInt

    package init(call: String, code: CInt) {
        self.call = call
        self.code = code
    }
}

extension SystemError: CustomStringConvertible {
    package var description: String { "\(self.call): \(String(cString: strerror(self.code)))" }
}

/// For calls that return a number below zero and set errno.
@discardableResult
package func check(_ call: String, _ code: CInt) throws(SystemError) -> CInt {
    guard code >= 0 else { throw SystemError(call: call, code: errno) }
    return code
}
