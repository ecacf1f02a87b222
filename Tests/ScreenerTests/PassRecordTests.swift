import Mail
import Screener
import Testing

struct PassRecordTests {
    @Test func `A test is passed until it expires`() {
        var record = PassRecord()
        let now = Timestamp(microseconds: 1_000_000)
        #expect(!record.isUnexpired(.dnsbl, at: now))
        record[.dnsbl] = .passed(until: now + .seconds(1))
        #expect(record.isUnexpired(.dnsbl, at: now))
        #expect(!record.isUnexpired(.dnsbl, at: now + .seconds(1)))
        #expect(record.lastExpiry == now + .seconds(1))
    }
}
