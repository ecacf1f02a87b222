/// Something that is counted for each name, such as messages and octets.
protocol Countable: Sendable {
    init()
    /// What decides who is kept when there are too many names.
    var weight: Int { get }
}

/// Counts for names, in bounded memory.
///
/// When there are twice as many names as ``capacity`` those with the lowest counts are forgotten. Who comes again is
/// counted from nothing: counts of names that are not among the first few may then be too low, which
/// ``isExact`` says.
struct TopCounts<Value: Countable>: Sendable {
    private(set) var values: [String: Value] = [:]
    /// Whether nobody was forgotten.
    private(set) var isExact = true
    let capacity: Int

    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    mutating func update(_ name: String, _ body: (inout Value) -> Void) {
        body(&self.values[name, default: Value()])
        guard self.values.count >= 2 * self.capacity else { return }
        let kept = self.values.sorted { ($1.value.weight, $0.key) < ($0.value.weight, $1.key) }.prefix(self.capacity)
        self.values = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
        self.isExact = false
    }

    /// The first few by a number, the highest first, names in order among equals.
    func top(_ count: Int, by number: (Value) -> Int = { $0.weight }) -> [(name: String, value: Value)] {
        self.values.sorted { (number($1.value), $0.key) < (number($0.value), $1.key) }.prefix(count)
            .map { ($0.key, $0.value) }
    }
}

extension Int: Countable {
    var weight: Int { self }
}

extension TopCounts where Value == Int {
    mutating func count(_ name: String, _ number: Int = 1) { self.update(name) { $0 += number } }
}

/// Messages and their octets.
struct Volume: Countable, Hashable {
    var messages = 0
    var bytes = 0

    var weight: Int { self.messages }

    mutating func add(_ messages: Int, _ bytes: Int) {
        self.messages += messages
        self.bytes += bytes
    }
}

/// What became of mail to a domain; recipients.
struct Fate: Countable {
    var received = 0
    var bytes = 0
    var delivered = 0
    var deferred = 0
    var failed = 0
    /// Seconds between arrival and delivery: of all delivered ones, and the longest.
    var delaySum = 0.0
    var longestDelay = 0.0

    var weight: Int { self.received + self.delivered + self.deferred + self.failed }
}

/// What somebody was told, and how often.
struct Refusals: Countable {
    var count = 0
    /// The latest.
    var reply = ""

    var weight: Int { self.count }
}
