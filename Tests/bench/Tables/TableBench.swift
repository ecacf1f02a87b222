import CSystem
import Glibc
import Rules

/// How fast tables are: a million lines of text, and patterns over header lines. See Tests/bench/README.md.
@main
enum TableBench {
    static func main() throws {
        try self.measureText(lines: 1_000_000)
        for kind in [PatternTable.Kind.pcre, .regexp] { try self.measurePatterns(kind) }
        try self.measureLongKeys()
    }

    // MARK: text

    private static func measureText(lines: Int) throws {
        let text = (0..<lines).map { "user\($0)@domain\($0 % 1000).example.test\tOK\n" }.joined()
        let clock = ProcessorClock()
        let before = self.allocatedBytes()
        var read: TextTable?
        let loading = try clock.measure { read = try TextTable(text) }
        guard let table = read else { return }
        let bytes = self.allocatedBytes() - before
        let keys = (0..<200_000).map { "user\(($0 * 7919) % lines)@domain\(($0 * 7919) % lines % 1000).example.test" }
        var found = 0
        let finding = clock.measure { for key in keys where table[key] != nil { found += 1 } }
        let missing = clock.measure { for key in keys where table["x" + key] != nil { found += 1 } }
        precondition(found == keys.count)
        print("text table, \(lines) lines of \(text.utf8.count / lines) octets:")
        print("  read in \(self.milliseconds(loading)) ms")
        print("  \(bytes / lines - text.utf8.count / lines) octets a line beyond its text")
        print(
            "  a key that is there: \(self.nanoseconds(finding, keys.count)) ns; one that is not:"
                + " \(self.nanoseconds(missing, keys.count)) ns")
    }

    private static func allocatedBytes() -> Int {
        let info = mallinfo2()
        return Int(info.uordblks + info.hblkhd)
    }

    // MARK: patterns

    /// Like those of collected header_checks: half of them for one field, some for others, some for any.
    private static var patterns: String {
        let words = [
            "pharmacy", "casino", "lottery", "refinance", "replica", "weight.?loss", "invest(ment|or)", "crypto",
        ]
        return (0..<200).map { number in
            let word = "\(words[number % words.count])[a-z]*\(number)"
            switch number % 10 {
            case 0...4: return "/^Subject:.*\(word)/ REJECT no \(number)\n"
            case 5: return "/^From:.*@\(word)\\.example/ REJECT no \(number)\n"
            case 6: return "/^X-Mailer: \(word)/ REJECT no \(number)\n"
            case 7: return "/^Received:.*\\[192\\.0\\.2\\.\(number)\\]/ REJECT no \(number)\n"
            case 8: return "/^(Content-(Type|Disposition)).*name=.*\(word)\\.exe/ REJECT no \(number)\n"
            default: return "/\(word)/ WARN \(number)\n"
            }
        }.joined()
    }

    private static var header: [[UInt8]] {
        let names = ["Received", "X-Spam-Report", "DKIM-Signature", "ARC-Seal", "To", "List-Unsubscribe"]
        let lines = (0..<54).map { number in
            "\(names[number % names.count]): from host\(number).example.com (host\(number).example.com [198.51.100."
                + "\(number)]) by mx.example.test with ESMTPS id \(number)AF; Mon, 1 Jan 2024 00:00:00 +0000"
        }
        let others = [
            "Subject: Minutes of the meeting of the committee on Thursday, with all attachments",
            "From: A <a@b.example>",
            "Content-Type: multipart/mixed; boundary=\"abcdef0123456789\"", "X-Mailer: Mozilla Thunderbird 115.0",
            "Message-ID: <0123456789@b.example>", "MIME-Version: 1.0",
        ]
        return (lines + others).map { Array($0.utf8) }
    }

    private static func measurePatterns(_ kind: PatternTable.Kind) throws {
        let clock = ProcessorClock()
        let header = self.header
        var read: PatternTable?
        let loading = try clock.measure { read = try PatternTable(text: self.patterns, kind: kind) }
        guard let table = read else { return }
        let rounds = 50
        var faults: [TableFault] = []
        var found = 0
        let time = clock.measure {
            for _ in 0..<rounds {
                for line in header {
                    if line.withUnsafeBytes({ table.lookup($0, faults: &faults) }) != nil { found += 1 }
                }
            }
        }
        print("\(kind): 200 patterns x \(header.count) header lines, \(found) found:")
        print("  read in \(self.milliseconds(loading)) ms")
        print("  \(self.nanoseconds(time, rounds) / 1000) us a message")
    }

    /// What an enemy who knows the rules can make of them.
    private static func measureLongKeys() throws {
        let clock = ProcessorClock()
        for kind in [PatternTable.Kind.pcre, .regexp] {
            for (pattern, unit) in [("a.*b.*d[^d]", "ab"), ("(a+)+$", "a"), ("x[^y]*z", "x")] {
                let table = try PatternTable(text: "/\(pattern)/ x\n", kind: kind)
                for length in [1000, 10_000, 100_000] {
                    let key = Array((String(repeating: unit, count: length / unit.utf8.count) + "d").utf8)
                    var faults: [TableFault] = []
                    let time = clock.measure { _ = key.withUnsafeBytes { table.lookup($0, faults: &faults) } }
                    print(
                        "\(kind) /\(pattern)/, \(length) octets: \(self.milliseconds(time)) ms \(faults.map(\.message))"
                    )
                }
            }
        }
    }

    private static func milliseconds(_ time: Duration) -> Int { Int(time / .milliseconds(1)) }

    private static func nanoseconds(_ time: Duration, _ count: Int) -> Int { Int(time / .nanoseconds(1)) / count }
}

/// Measures the time of the processor, which other programs do not change much.
private struct ProcessorClock {
    func measure(_ body: () throws -> Void) rethrows -> Duration {
        let start = self.now
        try body()
        return self.now - start
    }

    private var now: Duration {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
