/// A name of the exposition, with what it means. Names, labels and units do not change within a major version.
package struct MetricFamily: Hashable, Sendable {
    package enum Kind: String, Sendable {
        /// Only grows, from 0 at the start of the daemon.
        case counter
        case gauge
        case histogram
    }

    package let name: String
    package let kind: Kind
    package let labels: [String]
    package let help: String

    init(_ name: String, _ kind: Kind, _ labels: [String], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    init(_ name: String, _ kind: Kind, _ help: String) {
        self.init(name, kind, [], help)
    }
}

/// The text that Prometheus reads (exposition format 0.0.4).
package struct Exposition: Sendable {
    package private(set) var text = ""
    private var last: MetricFamily?

    package init() {}

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Adds a sample. All samples of a family follow each other.
    ///
    /// - Parameter values: of the family's labels, in their order.
    package mutating func add(_ family: MetricFamily, _ values: [String] = [], _ number: Double) {
        self.begin(family)
        self.sample(family.name, Array(zip(family.labels, values)), number)
    }

    package mutating func add(_ family: MetricFamily, _ values: [String] = [], _ number: Int) {
        self.add(family, values, Double(number))
    }

    package mutating func add(_ family: MetricFamily, _ histogram: Histogram) {
        self.begin(family)
        var sum = 0
        for (bound, count) in zip(Histogram.bounds, histogram.counts) {
            sum += count
            self.sample("\(family.name)_bucket", [("le", Self.number(bound))], Double(sum))
        }
        self.sample("\(family.name)_bucket", [("le", "+Inf")], Double(histogram.total))
        self.sample("\(family.name)_sum", [], histogram.sum)
        self.sample("\(family.name)_count", [], Double(histogram.total))
    }

    private mutating func begin(_ family: MetricFamily) {
        guard self.last != family else { return }
        self.last = family
        self.text += "# HELP \(family.name) \(Self.escaped(family.help, quotes: false))\n"
        self.text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
    }

    private mutating func sample(_ name: String, _ labels: [(String, String)], _ number: Double) {
        let pairs = labels.map { "\($0.0)=\"\(Self.escaped($0.1, quotes: true))\"" }.joined(separator: ",")
        self.text += labels.isEmpty ? name : "\(name){\(pairs)}"
        self.text += " \(Self.number(number))\n"
    }

    package static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Counts are printed as such, as far as a Double is exact.
        return Int(exactly: value).map { abs($0) < 1 << 53 ? String($0) : "\(value)" } ?? "\(value)"
    }

    /// Line ends and backslashes, and in values of labels quotes.
    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"": result += quotes ? "\\\"" : "\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// How old messages are when they are delivered.
package struct Histogram: Hashable, Sendable {
    /// Upper bounds in seconds: 1 s to five days.
    package static let bounds: [Double] = [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 432_000]

    /// Of each bound, what is above the one before; the last count has what is above all.
    package private(set) var counts = Array(repeating: 0, count: Self.bounds.count + 1)
    package private(set) var sum = 0.0
    package private(set) var total = 0

    package init() {}

    package mutating func add(_ value: Double, times: Int = 1) {
        // A clock that was set back makes no negative sum.
        let value = max(value, 0)
        self.counts[Self.bounds.firstIndex { value <= $0 } ?? Self.bounds.count] += times
        self.sum += value * Double(times)
        self.total += times
    }
}
