/// What the kernel says of a process in /proc/PID/status (proc(5)); what it does not say is nil.
package struct ProcessStatus: Hashable, Sendable {
    /// Real, effective, saved and that for files.
    package private(set) var userIDs: [UInt32] = []
    /// What it may do now, and what it may give itself or others: `CapEff`, `CapPrm`, `CapInh`, `CapAmb`.
    package private(set) var capabilities: UInt64?
    package private(set) var hasNoNewPrivileges: Bool?
    /// Whether system calls pass a filter (seccomp(2)).
    package private(set) var hasSystemCallFilter: Bool?

    /// Reads lines such as `NoNewPrivs:\t1`; those that are not known are passed over, as are values that make no sense.
    package init(_ text: String) {
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let values = line[line.index(after: colon)...].split(whereSeparator: \.isWhitespace)
            self.take(line[..<colon], values)
        }
    }

    private mutating func take(_ key: Substring, _ values: [Substring]) {
        switch key {
        case "Uid": self.userIDs = values.compactMap { UInt32($0) }
        case "CapEff", "CapPrm", "CapInh", "CapAmb":
            guard let set = values.first.flatMap({ UInt64($0, radix: 16) }) else { return }
            self.capabilities = (self.capabilities ?? 0) | set
        case "NoNewPrivs": self.hasNoNewPrivileges = values.first.flatMap { UInt8($0) }.map { $0 == 1 }
        // 0: none; 1: only four calls; 2: a filter.
        case "Seccomp": self.hasSystemCallFilter = values.first.flatMap { UInt8($0) }.map { $0 > 0 }
        default: break  // Fifty other keys, more with each kernel.
        }
    }
}
