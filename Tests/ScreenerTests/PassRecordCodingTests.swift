import Mail
import Screener
import Testing

/// SEMANTICS §1, cache record.
struct PassRecordCodingTests {
    private func number(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

    private func read(_ bytes: [UInt8]) -> PassRecord? { bytes.withUnsafeBytes { PassRecord(record: $0) } }

    private var mixed: PassRecord {
        var record = PassRecord()
        record[.dnsbl] = .disabled
        record[.pipelining] = .passed(until: Timestamp(seconds: 1_800_000_000))
        record[.bareNewline] = .passed(until: Timestamp(seconds: 0x0102_0304))
        return record
    }

    @Test func `the octets of a record are these, and stay so`() {
        let bytes = [1, 5] + self.number(0) + self.number(1) + self.number(1_800_000_000) + self.number(0)
        #expect(self.mixed.encoded() == bytes + [0, 0, 0, 0, 1, 2, 3, 4])
    }

    @Test(arguments: [
        (PassRecord.Entry.new, PassRecord.Entry.new), (.disabled, .disabled),
        (.passed(until: Timestamp(seconds: 1_800_000_000)), .passed(until: Timestamp(seconds: 1_800_000_000))),
        // Fractions are cut off, never added.
        (
            .passed(until: Timestamp(microseconds: 1_800_000_000_999_999)),
            .passed(until: Timestamp(seconds: 1_800_000_000))
        ),
        // Times that would read as new and disabled, or cannot be written.
        (.passed(until: Timestamp(seconds: 0)), .passed(until: Timestamp(seconds: 2))),
        (.passed(until: Timestamp(seconds: 1)), .passed(until: Timestamp(seconds: 2))),
        (.passed(until: Timestamp(microseconds: .min)), .passed(until: Timestamp(seconds: 2))),
        (.passed(until: Timestamp(microseconds: .max)), .passed(until: Timestamp(seconds: 9_223_372_036_854))),
    ])
    func `every entry is read as it was written`(written: PassRecord.Entry, expected: PassRecord.Entry) throws {
        for test in ScreeningTest.allCases {
            var record = PassRecord()
            record[test] = written
            let again = try #require(self.read(record.encoded()))
            for other in ScreeningTest.allCases { #expect(again[other] == (other == test ? expected : .new)) }
        }
    }

    @Test func `a record that ends anywhere before its end is none`() {
        let bytes = self.mixed.encoded()
        for end in bytes.indices { #expect(self.read(Array(bytes[..<end])) == nil, "\(end) octets") }
        #expect(self.read(bytes) == self.mixed)
    }

    @Test func `tests that an older version did not know read as disabled`() throws {
        let bytes = self.mixed.encoded()
        for count in 0...5 {
            let record = try #require(self.read([1, UInt8(count)] + bytes[2..<2 + 8 * count]))
            for test in ScreeningTest.allCases {
                #expect(record[test] == (test.index < count ? self.mixed[test] : .disabled), "\(test) of \(count)")
            }
        }
    }

    @Test func `what lists say for a client stands behind the tests, if they do`() throws {
        var record = self.mixed
        record.allowlistedUntil = Timestamp(seconds: 1_800_000_001)
        let bytes = record.encoded()
        #expect(bytes == [1, 6] + self.mixed.encoded()[2...] + self.number(1_800_000_001))
        #expect(self.read(bytes) == record)
        #expect(self.read([1, 7] + bytes[2...] + self.number(9)) == record)
        #expect(self.read([1, 6] + self.mixed.encoded()[2...] + self.number(0)) == self.mixed)
    }

    @Test func `tests that only a newer version knows are not looked at`() {
        let bytes = self.mixed.encoded()
        #expect(self.read([1, 6] + bytes[2...] + self.number(.max)) == self.mixed)
        #expect(self.read([1, 6] + bytes[2...] + self.number(.max).dropLast()) == nil, "but they must be there")
        #expect(self.read(bytes + [1, 2, 3]) == self.mixed)
    }

    @Test func `another format and times that no clock shows are refused`() {
        let bytes = self.mixed.encoded()
        for format in [0, 2, 255] as [UInt8] { #expect(self.read([format] + bytes[1...]) == nil) }
        for second in [9_223_372_036_855, UInt64(Int64.max), .max] {
            #expect(self.read(bytes.dropLast(8) + self.number(second)) == nil)
        }
    }
}
