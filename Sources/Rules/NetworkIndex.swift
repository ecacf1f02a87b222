import Mail

/// Values of networks in an order: finds the first that holds another network with one question for each prefix
/// length that occurs, however many there are.
struct NetworkIndex<Value: Sendable>: Sendable {
    /// Networks of one family and prefix length.
    private struct Group {
        let width: Int
        let prefixLength: Int
        /// The place of the first of them.
        let first: Int
    }

    private var values: [Value] = []
    private var places: [IPNetwork: Int] = [:]
    /// By their first places.
    private var groups: [Group] = []

    var isEmpty: Bool { self.values.isEmpty }

    mutating func append(_ value: Value, for network: IPNetwork) {
        let (width, length) = (network.base.width, network.prefixLength)
        if !self.groups.contains(where: { $0.width == width && $0.prefixLength == length }) {
            self.groups.append(Group(width: width, prefixLength: length, first: self.values.count))
        }
        if self.places[network] == nil { self.places[network] = self.values.count }
        self.values.append(value)
    }

    /// The value that was appended first of those whose network holds all of this one.
    func first(containing network: IPNetwork) -> Value? {
        var best: Int?
        for group in self.groups {
            if let best, best < group.first { break }
            guard group.width == network.base.width, group.prefixLength <= network.prefixLength,
                let place = self.places[network.base.network(prefixLength: group.prefixLength)]
            else { continue }
            best = min(place, best ?? place)
        }
        return best.map { self.values[$0] }
    }
}
