import Daemon
import Glibc
import Mail

/// Dates are those of the C library, and none makes trouble.
func checkTimestamp(_ bytes: [UInt8]) throws(Violation) {
    for start in stride(from: 0, to: bytes.count, by: 8) {
        let number = bytes[start..<min(start + 8, bytes.count)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let time = Timestamp(microseconds: Int64(bitPattern: number))
        try require(time + (time - time) == time, "\(time)")
        for sum in [time + .microseconds(Int64.max), time - .microseconds(Int64.max), time] {
            try require(sum.rfc3339.last == "Z" && sum.rfc5322.hasSuffix(" +0000"), "\(sum)")
        }
        let duration = Duration.seconds(Int64(bitPattern: number))
        try require((duration.microseconds < 0) == (duration < .zero), "\(duration)")
        try checkDate(Timestamp(microseconds: Int64(bitPattern: number) >> 8))
    }
}

private func checkDate(_ time: Timestamp) throws(Violation) {
    var seconds = time_t(time.seconds)
    var parts = tm()
    guard gmtime_r(&seconds, &parts) != nil, (0...8099).contains(parts.tm_year) else { return }
    var text = [CChar](repeating: 0, count: 64)
    let length = strftime(&text, text.count, "%a, %-d %b %Y %H:%M:%S +0000", &parts)
    let expected = String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    try require(time.rfc5322 == expected, "\(time) is \(expected) and not \(time.rfc5322)")
    let start = "\(parts.tm_year + 1900)-"
    try require(time.rfc3339.hasPrefix(start), "\(time) is not \(time.rfc3339)")
}

/// Values of the configuration are printed so that they can be read again.
func checkOptions(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    try checkOption(text, Duration.self)
    try checkOption(text, ByteCount.self)
    try checkOption(text, Int.self)
    try checkOption(text, Bool.self)
    try checkOption(text, IPNetwork.self)
    try checkOption(text, IPAddress.self)
    try checkOption(text, Endpoint.self)
    try checkOption(text, Mailbox.self)
    try checkOption(text, DomainName.self)
}

/// What a process says of itself makes a cage out of nothing only where all that is asked for is said.
func checkProcessStatus(_ bytes: [UInt8]) throws(Violation) {
    let text = String(decoding: bytes, as: UTF8.self)
    let missing = Confinement(ProcessStatus(text), isSystemWritable: false).missing
    guard missing.isEmpty else { return }
    for key in ["Uid:", "NoNewPrivs:", "Seccomp:"] {
        try require(text.contains(key), "confined without \(key) \(text.debugDescription)")
    }
    // What follows adds privileges, and takes none away.
    let more = text + "\nCapEff:\t0000000000000001\n"
    try require(!Confinement(ProcessStatus(more), isSystemWritable: false).missing.isEmpty, text.debugDescription)
}

private func checkOption<Value: OptionValue & Equatable>(_ text: String, _ type: Value.Type) throws(Violation) {
    let place = OptionPlace(line: 1, column: 1)
    guard let value = try? Value(option: OptionNode(.scalar(text), at: place)) else { return }
    let again = try? Value(option: OptionNode(.scalar(value.optionText), at: place))
    try require(again == value, "\(text.debugDescription) as \(type) is printed as \(value.optionText)")
}
