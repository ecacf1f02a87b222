import Mail
import Rules
import Testing

/// Look-ups in tables made by chance, against going through them line by line.
struct CIDRReferenceTests {
    private enum Rule {
        case entry(IPNetwork, isNegated: Bool)
        case condition(IPNetwork, isNegated: Bool)
        case end

        var line: String {
            switch self {
            case .entry(let network, let isNegated): "\(isNegated ? "!" : "")\(network) value"
            case .condition(let network, let isNegated): "if \(isNegated ? "!" : "")\(network)"
            case .end: "endif"
            }
        }

        static func matches(_ network: IPNetwork, _ isNegated: Bool, _ address: IPAddress) -> Bool {
            network.base.width == address.width && network.contains(address) != isNegated
        }
    }

    /// The line of the first entry that matches.
    private func firstMatch(of address: IPAddress, in rules: [Rule]) -> Int? {
        /// Whether the lines of each block that is open count.
        var open: [Bool] = []
        for (rule, line) in zip(rules, 1...) {
            switch rule {
            case .entry(let network, let isNegated):
                if !open.contains(false), Rule.matches(network, isNegated, address) { return line }
            case .condition(let network, let isNegated): open.append(Rule.matches(network, isNegated, address))
            case .end: open.removeLast()
            }
        }
        return nil
    }

    /// Sixteen addresses of each family, in which networks are chosen.
    private static let addresses = (0..<16).flatMap { [IPAddress.v4(0xC000_0200 + $0), .v6(high: 1, low: UInt64($0))] }

    private func network(using generator: inout SplitMix) -> IPNetwork {
        let address = Self.addresses[Int.random(in: 0..<32, using: &generator)]
        let length = Int.random(in: 0..<8, using: &generator) == 0 ? 0 : Int.random(in: 28...32, using: &generator)
        return address.network(prefixLength: length == 0 ? 0 : length + address.width - 32)
    }

    private func rules(using generator: inout SplitMix) -> [Rule] {
        var rules: [Rule] = []
        var depth = 0
        for _ in 0..<Int.random(in: 0...30, using: &generator) {
            let network = self.network(using: &generator)
            let isNegated = Int.random(in: 0..<4, using: &generator) == 0
            switch Int.random(in: 0..<8, using: &generator) {
            case 0:
                rules.append(.condition(network, isNegated: isNegated))
                depth += 1
            case 1 where depth > 0:
                rules.append(.end)
                depth -= 1
            default: rules.append(.entry(network, isNegated: isNegated))
            }
        }
        return rules + Array(repeating: .end, count: depth)
    }

    @Test func `an index finds what going through all lines finds, and nothing that was warned of`() throws {
        var generator = SplitMix(state: 1)
        var warned = 0
        for _ in 0..<500 {
            let rules = self.rules(using: &generator)
            let text = rules.map(\.line).joined(separator: "\n")
            let table = try CIDRTable(text: text)
            let warnings = Set(table.warnings.map(\.line))
            warned += warnings.count
            for address in Self.addresses {
                let line = table.lookup(address)?.line
                #expect(line == self.firstMatch(of: address, in: rules), "\(address) in\n\(text)")
                if let line { #expect(!warnings.contains(line), "\(address) in\n\(text)") }
            }
        }
        #expect(warned > 100)
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var word = self.state
            word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
            return word ^ word >> 31
        }
    }
}
