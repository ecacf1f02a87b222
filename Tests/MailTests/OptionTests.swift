import Mail
import Testing

struct OptionTests {
    private func node(_ text: String) -> OptionNode { OptionNode(.scalar(text), at: OptionPlace(line: 3, column: 5)) }

    @Test(arguments: [
        ("10d", Duration.seconds(864_000)), ("4h", .seconds(14_400)), ("5m", .seconds(300)), ("300s", .seconds(300)),
        ("500ms", .milliseconds(500)), ("1h30m", .seconds(5400)), ("0", .zero), ("11d13h46m41s", .seconds(1_000_001)),
        ("36500d", .seconds(3_153_600_000)),
    ])
    func `durations have units`(text: String, duration: Duration) throws {
        #expect(try Duration(option: self.node(text)) == duration)
        #expect(try Duration(option: self.node(duration.optionText)) == duration)
    }

    @Test(arguments: [
        "", "10", "d", "10x", "10 d", "-1d", "1e3s", "99999999999999999999d", "36500d1ms",
        "999999w999999w999999w999999w999999w999999w999999w999999w",
    ])
    func `a duration without a unit is an error where it stands`(text: String) {
        let error = #expect(throws: OptionError.self) { try Duration(option: self.node(text)) }
        #expect(error?.place == OptionPlace(line: 3, column: 5))
    }

    @Test(arguments: [
        ("25MB", 25_000_000), ("1GiB", 1 << 30), ("512KiB", 524_288), ("100B", 100), ("0", 0), ("64 GiB", 64 << 30),
        ("4295000064B", 4_295_000_064),
    ])
    func `sizes have units`(text: String, bytes: Int) throws {
        #expect(try ByteCount(option: self.node(text)).bytes == bytes)
        #expect(try ByteCount(option: self.node(ByteCount(bytes).optionText)).bytes == bytes)
    }

    @Test(arguments: ["", "25", "MB", "25XB", "-1MB", "1.5MB", "8388608TiB"])
    func `a size without a unit is an error`(text: String) {
        #expect(throws: OptionError.self) { try ByteCount(option: self.node(text)) }
    }

    @Test(arguments: [("0.0.0.0:25", 25), ("[::]:2525", 2525), ("127.0.0.1:0", 0)])
    func `endpoints read back`(text: String, port: Int) {
        #expect(Endpoint(text)?.port == port)
        #expect(Endpoint(text)?.description == text)
    }

    @Test(arguments: ["127.0.0.1", "::1:25", "localhost:25", "127.0.0.1:65536", "127.0.0.1:", ":25", "[127.0.0.1:25"])
    func `what is no endpoint is not read`(text: String) {
        #expect(Endpoint(text) == nil)
    }
}
