package import Mail

/// What days and hours of the administrator's are: seconds to add to UTC at a time.
package struct LogZone: Sendable {
    package let secondsFromUTC: @Sendable (Timestamp) -> Int

    package init(secondsFromUTC: @escaping @Sendable (Timestamp) -> Int) {
        self.secondsFromUTC = secondsFromUTC
    }

    package static let utc = LogZone { _ in 0 }

    /// Seconds since 1970 as clocks on the wall there show them.
    package func wallSeconds(_ time: Timestamp) -> Int64 { time.seconds + Int64(self.secondsFromUTC(time)) }

    /// `2026-11-21 04:50:00`
    package func text(_ time: Timestamp) -> String {
        let text = Timestamp(seconds: self.wallSeconds(time)).rfc3339
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(8))"
    }

    /// `2026-11-21`
    package func date(_ time: Timestamp) -> String { String(self.text(time).prefix(10)) }

    /// 0 to 23.
    package func hour(_ time: Timestamp) -> Int { Int(((self.wallSeconds(time) % 86_400) + 86_400) % 86_400 / 3600) }

    /// When clocks there show this. Of an hour that they show twice one of the two.
    package func time(wallSeconds: Int64) -> Timestamp {
        var time = Timestamp(seconds: wallSeconds)
        for _ in 0..<2 { time = Timestamp(seconds: wallSeconds - Int64(self.secondsFromUTC(time))) }
        return time
    }

    /// The midnight that the day of a time begins with, or one of so many days later.
    package func midnight(_ time: Timestamp, daysLater days: Int64 = 0) -> Timestamp {
        let wall = self.wallSeconds(time)
        let rest = ((wall % 86_400) + 86_400) % 86_400
        return self.time(wallSeconds: wall - rest + days * 86_400)
    }
}

extension Timestamp {
    /// Reads `2026-11-21T04:50:00.123Z`, with any fraction and any offset (RFC 3339 §5.6); nil for anything else.
    package init?(rfc3339 text: some StringProtocol) {
        var scanner = ByteScanner(text)
        guard let days = scanner.readDate(), scanner.skip("T") || scanner.skip("t"),
            let (seconds, microseconds) = scanner.readClock()
        else { return nil }
        var offset: Int64 = 0
        if !scanner.skip("Z"), !scanner.skip("z") {
            let isWest = scanner.skip("-")
            guard isWest || scanner.skip("+"), let hours = scanner.readNumber(2, 0...23), scanner.skip(":"),
                let minutes = scanner.readNumber(2, 0...59)
            else { return nil }
            offset = (hours * 60 + minutes) * (isWest ? -60 : 60)
        }
        guard scanner.isAtEnd else { return nil }
        self.init(microseconds: (days * 86_400 + seconds - offset) * 1_000_000 + microseconds)
    }
}

extension ByteScanner {
    fileprivate mutating func readNumber(_ digits: Int, _ range: ClosedRange<Int64>) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<digits {
            guard let digit = self.peek, ASCII.isDigit(digit) else { return nil }
            value = value * 10 + Int64(digit - 0x30)
            _ = self.next()
        }
        return range.contains(value) ? value : nil
    }

    /// `2026-11-21` as days since 1970.
    fileprivate mutating func readDate() -> Int64? {
        guard let year = self.readNumber(4, 1...9999), self.skip("-"), let month = self.readNumber(2, 1...12),
            self.skip("-"), let day = self.readNumber(2, 1...31)
        else { return nil }
        let isLeap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0
        let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[Int(month) - 1] else { return nil }
        // Years from March on: the leap day is the last.
        let shifted = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }

    /// `04:50:00.123` in seconds and microseconds. A leap second is the first one of the next minute.
    fileprivate mutating func readClock() -> (Int64, Int64)? {
        guard let hour = self.readNumber(2, 0...23), self.skip(":"), let minute = self.readNumber(2, 0...59) else {
            return nil
        }
        var second: Int64 = 0
        if self.skip(":") {
            guard let read = self.readNumber(2, 0...60) else { return nil }
            second = read
        }
        var microseconds: Int64 = 0
        if self.skip(".") {
            let digits = self.read(while: ASCII.isDigit)
            guard !digits.isEmpty else { return nil }
            let padded = String(decoding: digits.prefix(6), as: UTF8.self) + String(repeating: "0", count: 6)
            microseconds = Int64(padded.prefix(6)) ?? 0
        }
        return (hour * 3600 + minute * 60 + second, microseconds)
    }
}

/// A time as people give it on a command line.
package enum LogTime {
    package static let syntax =
        "a time such as 2026-11-21T04:50:00Z, '2026-11-21 04:50', 2026-11-21, today, yesterday, "
        + "now, or 2h for two hours ago"

    package static func read(_ text: String, now: Timestamp, zone: LogZone) -> Timestamp? {
        switch text {
        case "now": return now
        case "today": return zone.midnight(now)
        case "yesterday": return zone.midnight(now, daysLater: -1)
        case _: break
        }
        if let time = Timestamp(rfc3339: text) { return time }
        if let ago = Duration(optionText: text) { return now - ago }
        var scanner = ByteScanner(text)
        guard let days = scanner.readDate() else { return nil }
        var seconds: Int64 = 0
        if !scanner.isAtEnd {
            guard scanner.skip(" ") || scanner.skip("T"), let clock = scanner.readClock(), scanner.isAtEnd else {
                return nil
            }
            seconds = clock.0
        }
        return zone.time(wallSeconds: days * 86_400 + seconds)
    }

    /// A day: `today`, `yesterday` or a date. From its midnight to the next.
    package static func day(_ text: String, now: Timestamp, zone: LogZone) -> Range<Timestamp>? {
        guard text == "today" || text == "yesterday" || text.utf8.count == 10,
            let start = Self.read(text, now: now, zone: zone)
        else { return nil }
        return start..<zone.midnight(start, daysLater: 1)
    }
}
