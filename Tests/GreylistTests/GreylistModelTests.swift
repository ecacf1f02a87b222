import Greylist
import Mail
import Testing

/// All of it against a model that remembers every mail and never cleans up.
struct GreylistModelTests {
    /// Numbers that are the same each time (splitmix64).
    private struct Numbers: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var value = self.state
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
    }

    private struct Model {
        private struct Mail: Hashable {
            let network: Int
            let number: Int
        }

        /// Times at which it came since it is known, and those of them at which it passed.
        private var came: [Mail: Timestamp] = [:]
        private var passed: [Mail: [Timestamp]] = [:]
        /// Times that count for a network, and at which it was last seen.
        private var counted: [Int: [Timestamp]] = [:]
        private var used: [Int: Timestamp] = [:]

        mutating func passes(_ network: Int, _ number: Int, at now: Timestamp, _ options: GreylistOptions) -> Bool {
            let mail = Mail(network: network, number: number)
            if let used = self.used[network], now - used > options.autoAllowExpiry {
                self.counted[network] = nil
                self.used[network] = nil
            }
            if options.autoAllow > 0, self.counted[network]?.count ?? 0 >= options.autoAllow {
                if let used = self.used[network], now - used >= .seconds(60) { self.used[network] = now }
                return true
            }
            if let last = self.passed[mail]?.last {
                if now - last <= options.expiry {
                    if now - last >= .seconds(60) { self.passed[mail]?.append(now) }
                    return true
                }
            } else if let first = self.came[mail], now - first <= options.retryWindow {
                guard now - first >= options.delay else { return false }
                self.passed[mail] = [now]
                if self.counted[network]?.last.map({ now - $0 >= .seconds(3600) }) ?? true {
                    self.counted[network, default: []].append(now)
                }
                self.used[network] = now
                return true
            }
            self.came[mail] = now
            self.passed[mail] = nil
            return false
        }
    }

    private static let pauses: [Duration] = [
        .zero, .seconds(1), .seconds(59), .seconds(60), .seconds(300), .seconds(301), .seconds(3600),
        .seconds(30_000), .seconds(86_400), .seconds(2 * 86_400), .seconds(10 * 86_400), .seconds(36 * 86_400),
    ]

    @Test(arguments: 0..<8)
    func `whatever comes when, it is what the model says, also across restarts and cleaning`(seed: Int) async throws {
        var numbers = Numbers(state: UInt64(seed))
        var fixture = try GreylistFixture()
        fixture.options.autoAllow = [0, 2, 3, 5][seed % 4]
        var model = Model()
        var passed = 0
        for _ in 0..<6 {
            try await fixture.with { store, greylisting async throws in
                for step in 0..<400 {
                    switch Int.random(in: 0..<20, using: &numbers) {
                    case 0: store.flush()
                    case 1: store.cleanUp()
                    case 2..<8:
                        // Long pauses are rare: they make everybody a stranger.
                        let longest = Int.random(in: 1...Self.pauses.count, using: &numbers)
                        fixture.clock.advance(Self.pauses[Int.random(in: 0..<longest, using: &numbers)])
                    default:
                        let (network, number) = (
                            Int.random(in: 0..<4, using: &numbers), Int.random(in: 0..<6, using: &numbers)
                        )
                        let answer = try await fixture.answer(greylisting, delivery(number, network: network))
                        let expected = model.passes(network, number, at: fixture.clock.now, fixture.options)
                        let isPassed = answer.reply(fixture.options) == nil
                        #expect(isPassed == expected, "seed \(seed), step \(step): \(answer)")
                        passed += isPassed ? 1 : 0
                    }
                }
            }
        }
        #expect(passed > 100, "mail passes at all")
        #expect(fixture.complaints.all == [])
    }
}
