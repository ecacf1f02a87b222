/// Which part of the clients a list usually lists: exponentially weighted mean and variance over windows of distinct
/// clients. Small enough to be kept across restarts.
package struct HitRateHistory: Hashable, Sendable, Codable {
    package private(set) var mean = 0.0
    package private(set) var variance = 0.0
    package private(set) var windows = 0

    /// Chance moves the rate of a hundred clients by 5 points (√(0.5·0.5/100)) at most, and yet a small site has a
    /// window every few hours.
    package static let windowClients = 100
    /// Windows before any is judged.
    private static let leastWindows = 5
    /// The last twenty windows or so are what is usual. The first are weighted alike.
    private static let weight = 0.05
    /// Of a window that jumps: what is wrong for an hour must not become usual, but what lasts must in the end. From a
    /// rate of 0.2 to 0.8 that takes some 2500 clients, to 1.0 some 90 000.
    private static let jumpWeight = weight / 20
    /// Seven times what chance does, and more than a wave of spam usually does to a list.
    private static let leastJump = 0.35
    /// For a list whose rate goes up and down by itself, as with day and night.
    private static let jumpDeviations = 4.0
    /// How likely a hundred hits in a row may be: above a mean of 0.65 ``leastJump`` leaves nothing to exceed.
    private static let leastLikelihood = 1e-4

    package init() {}

    /// What was kept. Figures that no history can have make an empty one.
    package init(mean: Double, variance: Double, windows: Int) {
        // No rate is further than 0.5 from the mean of them in quadratic mean; NaN is in no range.
        guard (0...1).contains(mean), (0...0.25).contains(variance), windows >= 0 else { return }
        (self.mean, self.variance, self.windows) = (mean, variance, windows)
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            mean: try values.decode(Double.self, forKey: .mean),
            variance: try values.decode(Double.self, forKey: .variance),
            windows: try values.decode(Int.self, forKey: .windows))
    }

    /// Whether there is enough of it to judge by.
    package var isKnown: Bool { self.windows >= Self.leastWindows }

    /// Takes a window in.
    ///
    /// - Returns: whether its rate jumped far above what was usual before it.
    package mutating func take(hits: Int) -> Bool {
        let rate = Double(hits) / Double(Self.windowClients)
        let isJump = self.isKnown && self.isJump(rate)
        let weight = isJump ? Self.jumpWeight : max(Self.weight, 1 / Double(self.windows + 1))
        // West 1979, with weights that fall exponentially.
        let difference = rate - self.mean
        self.mean += weight * difference
        self.variance = (1 - weight) * (self.variance + weight * difference * difference)
        if self.windows < .max { self.windows += 1 }
        return isJump
    }

    private func isJump(_ rate: Double) -> Bool {
        let margin = max(Self.leastJump, Self.jumpDeviations * self.variance.squareRoot())
        return rate > self.mean + margin || rate == 1 && self.allHitLikelihood < Self.leastLikelihood
    }

    /// That a whole window is hit by chance.
    private var allHitLikelihood: Double {
        var likelihood = 1.0
        for _ in 0..<Self.windowClients { likelihood *= self.mean }
        return likelihood
    }
}
