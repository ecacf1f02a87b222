/// Counts since the last message that was taken.
struct ErrorCount {
    var count = 0
    var junk = 0
    var excessRecipients = 0

    /// Whether recipients above the limit have become as many as are allowed.
    mutating func overshoot(limit: Int) -> Bool {
        self.excessRecipients += 1
        return self.excessRecipients > limit
    }
}
