import Mail
import Testing

struct AmountTests {
    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_550_000, "1.6 MB"), (Int.max, "9223372.0 TB"),
    ]) func `bytes are shown in the unit that suits them`(_ count: Int, _ shown: String) {
        #expect(Amount.bytes(count) == shown)
    }

    @Test(arguments: [
        (0.04, "0.0"), (0.05, "0.1"), (12.34, "12.3"), (-0.5, "-0.5"), (-12.34, "-12.3"),
        (.infinity, "1000000000000000.0"),
    ]) func `decimals have one digit`(_ value: Double, _ shown: String) { #expect(Amount.decimal(value) == shown) }

    @Test(arguments: [(59.9, "59.9 s"), (150, "2.5 min"), (7200, "2.0 h"), (172_800, "2.0 d")])
    func `seconds are shown in the unit that suits them`(_ value: Double, _ shown: String) {
        #expect(Amount.seconds(value) == shown)
    }

    @Test(arguments: [(0, "0s"), (61, "1m1s"), (3600, "1h"), (90_061, "1d1h"), (86_400, "1d"), (86_401, "1d")])
    func `durations have two units`(_ seconds: Int, _ shown: String) { #expect(Amount.duration(seconds) == shown) }
}
