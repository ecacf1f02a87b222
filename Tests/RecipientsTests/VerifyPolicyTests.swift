import Mail
import Recipients
import Testing

/// The timing of SEMANTICS §9 as a value.
struct VerifyPolicyTests {
    private static let start = Timestamp(seconds: 1_800_000_000)
    private static let day = Duration.seconds(86_400)
    private let policy = VerifyPolicy()

    /// An answer, how long ago it came.
    struct Step: Sendable {
        let result: ProbeResult
        let ago: Duration

        init(_ result: ProbeResult, _ ago: Duration) {
            self.result = result
            self.ago = ago
        }
    }

    enum Standing: String, Sendable { case accepted, refused, undecided, unheard }

    private func record(_ steps: [Step]) -> VerifyRecord? {
        steps.reduce(nil) { self.policy.updated($0, with: $1.result, at: Self.start - $1.ago) }
    }

    private func standing(_ record: VerifyRecord?) -> Standing {
        switch self.policy.standing(of: record, at: Self.start) {
        case .accepted: .accepted
        case .refused: .refused
        case .undecided: .undecided
        case .unheard: .unheard
        }
    }

    @Test(
        arguments: [
            ([], .unheard, true),
            ([Step(.accepted, .seconds(1))], .accepted, false),
            ([Step(.accepted, .seconds(7 * 86_400 - 1))], .accepted, false),
            ([Step(.accepted, .seconds(7 * 86_400))], .accepted, true),
            ([Step(.accepted, .seconds(31 * 86_400 - 1))], .accepted, true),
            ([Step(.accepted, .seconds(31 * 86_400))], .unheard, true),
            ([Step(.unknown, .seconds(3 * 3600 - 1))], .refused, false),
            ([Step(.unknown, .seconds(3 * 3600))], .refused, true),
            ([Step(.unknown, .seconds(3 * 86_400))], .unheard, true),
            ([Step(.unreachable, .seconds(299))], .undecided, false),
            ([Step(.blocked, .seconds(300))], .undecided, true),
            ([Step(.temporary, .seconds(3 * 86_400))], .unheard, true),
            // Nothing takes away a good answer before it expires,
            ([Step(.accepted, Self.day * 10), Step(.unknown, Self.day)], .accepted, true),
            ([Step(.accepted, Self.day * 10), Step(.unknown, .seconds(60))], .accepted, false),
            ([Step(.accepted, Self.day * 10), Step(.unreachable, .seconds(60))], .accepted, false),
            ([Step(.accepted, Self.day * 10), Step(.unreachable, .seconds(300))], .accepted, true),
            ([Step(.accepted, Self.day * 30), Step(.blocked, .seconds(1))], .accepted, false),
            // after that the last other one counts.
            ([Step(.accepted, Self.day * 31), Step(.unknown, Self.day)], .refused, true),
            ([Step(.accepted, Self.day * 31), Step(.unreachable, Self.day)], .undecided, true),
            // Nor does an outage take away a bad one.
            ([Step(.unknown, Self.day), Step(.unreachable, .seconds(1))], .refused, false),
            ([Step(.unknown, Self.day * 3), Step(.unreachable, .seconds(1))], .undecided, false),
            ([Step(.unreachable, Self.day), Step(.unknown, .seconds(1))], .refused, false),
            ([Step(.unknown, .seconds(10)), Step(.accepted, .seconds(1))], .accepted, false),
        ] as [([Step], Standing, Bool)])
    func `answers count for as long as they should`(steps: [Step], standing: Standing, isDue: Bool) {
        let record = self.record(steps)
        #expect(self.standing(record) == standing)
        #expect(self.policy.isProbeDue(record, at: Self.start) == isDue)
    }

    @Test func `a probe under way is not repeated until it counts as lost`() {
        for steps in [[], [Step(.accepted, Self.day * 8)], [Step(.unknown, Self.day)]] {
            let before = self.record(steps)
            let record = self.policy.begun(before, at: Self.start)
            #expect(!self.policy.isProbeDue(record, at: Self.start + .seconds(999)))
            #expect(self.policy.isProbeDue(record, at: Self.start + .seconds(1000)))
            #expect(self.standing(record) == self.standing(before))
        }
    }

    @Test func `a clock that was set back does not stop probes`() {
        let record = self.record([Step(.accepted, .seconds(-400 * 86_400))])
        #expect(self.policy.isProbeDue(record, at: Self.start))
    }

    @Test func `a record expires with the last of its answers`() throws {
        let accepted = try #require(self.record([Step(.accepted, .zero), Step(.unknown, .zero)]))
        #expect(self.policy.expiry(of: accepted) == Self.start + Self.day * 31)
        let unknown = try #require(self.record([Step(.unknown, .zero)]))
        #expect(self.policy.expiry(of: unknown) == Self.start + Self.day * 3)
        let begun = self.policy.begun(nil, at: Self.start)
        #expect(self.policy.expiry(of: begun) == Self.start + .seconds(1000))
    }

    @Test func `of a domain the last answer counts`() {
        let accepted = self.policy.updatedDomain(nil, with: .accepted, at: Self.start - Self.day)
        #expect(self.standing(accepted) == .accepted)
        #expect(self.standing(self.policy.updatedDomain(accepted, with: .unreachable, at: Self.start)) == .accepted)
        let refused = self.policy.updatedDomain(accepted, with: .unknown, at: Self.start)
        #expect(self.standing(refused) == .refused)
        #expect(!self.policy.isProbeDue(refused, at: Self.start + .seconds(7 * 86_400 - 1)))
    }

    @Test func `records are read as they were written, and nothing else is`() throws {
        let long = ProbeResult(.blocked, Reply(554, nil, String(repeating: "ä", count: 400)))
        for steps in [
            [Step(.accepted, .zero)], [Step(.unknown, .zero)], [Step(long, .zero)],
            [Step(.accepted, Self.day), Step(.unknown, .seconds(9)), Step(.temporary, .zero)],
        ] {
            let record = try #require(self.record(steps))
            let bytes = record.encoded()
            #expect(self.decode(bytes) == record)
            #expect(bytes.count < 800)
            for end in bytes.indices { #expect(self.decode(Array(bytes[..<end])) == nil) }
            #expect(self.decode(bytes + [0]) == nil)
            #expect(self.decode([2] + bytes.dropFirst()) == nil)
            #expect(self.decode([1, 8] + bytes.dropFirst(2)) == nil)
        }
    }

    private func decode(_ bytes: [UInt8]) -> VerifyRecord? { bytes.withUnsafeBytes { VerifyRecord(record: $0) } }
}
