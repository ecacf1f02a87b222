import Mail

/// Until when a client must have sent what is expected of it (SEMANTICS §13).
///
/// A command and a handshake have one limit for all of it, which no octet prolongs. Content has time as long as it
/// comes at the lowest rate that is put up with, but never more than the limit ahead.
package struct InputDeadline: Sendable {
    private let commandNanoseconds: UInt64
    private let dataNanoseconds: UInt64
    private let nanosecondsPerByte: UInt64
    /// Nanoseconds of the monotonic clock; nil while nothing is expected.
    package private(set) var deadline: UInt64?
    private var isForContent = false

    package init(_ limits: SessionLimits) {
        self.commandNanoseconds = UInt64(clamping: limits.commandTimeout.microseconds).multipliedClamped(by: 1000)
        self.dataNanoseconds = UInt64(clamping: limits.dataTimeout.microseconds).multipliedClamped(by: 1000)
        self.nanosecondsPerByte = 1_000_000_000 / UInt64(max(limits.minimumDataRate.bytes, 1))
    }

    /// Says what is expected now. The same thing expected again keeps its limit.
    ///
    /// - Parameter isNew: a command or message before this has ended.
    package mutating func expect(_ expectation: ServerSession.Expectation, isNew: Bool, at now: UInt64) {
        switch expectation {
        case .nothing: self.deadline = nil
        case .command, .handshake:
            if isNew || self.isForContent || self.deadline == nil { self.deadline = now &+ self.commandNanoseconds }
            self.isForContent = false
        case .content, .chunk, .discard:
            if isNew || !self.isForContent || self.deadline == nil { self.deadline = now &+ self.dataNanoseconds }
            self.isForContent = true
        }
    }

    /// Octets of content have come.
    package mutating func received(bytes: Int, at now: UInt64) {
        guard self.isForContent, let old = self.deadline else { return }
        let earned = UInt64(bytes).multipliedClamped(by: self.nanosecondsPerByte)
        let (sum, overflow) = old.addingReportingOverflow(earned)
        self.deadline = overflow ? now &+ self.dataNanoseconds : min(sum, now &+ self.dataNanoseconds)
    }
}

extension UInt64 {
    fileprivate func multipliedClamped(by factor: UInt64) -> UInt64 {
        let (product, overflow) = self.multipliedReportingOverflow(by: factor)
        return overflow ? .max / 4 : Swift.min(product, .max / 4)
    }
}
