import Mail

/// Times, sizes and numbers as Postfix writes them.
enum Quantities {
    /// A hundred years, in seconds.
    static let longest = 36_500 * 86_400

    private static let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]

    /// Seconds of `5d`, `300s`, `10`; nil for what is no time.
    ///
    /// - Parameter unit: of a bare number.
    static func seconds(_ text: String, unit: Character) -> Int? {
        guard let last = text.lowercased().last else { return nil }
        let hasUnit = self.units[last] != nil
        guard let factor = self.units[hasUnit ? last : unit], let count = Int(hasUnit ? text.dropLast() : text[...]),
            count >= 0, count < Int.max / factor
        else { return nil }
        return count * factor
    }

    /// The time in the largest unit that leaves no rest: `5d`; `0` for none.
    static func duration(_ seconds: Int) -> String {
        for (unit, factor) in [("d", 86_400), ("h", 3600), ("m", 60)] where seconds != 0 && seconds % factor == 0 {
            return "\(seconds / factor)\(unit)"
        }
        return seconds == 0 ? "0" : "\(seconds)s"
    }

    /// The size in a unit that leaves no rest and few digits.
    static func size(_ bytes: Int) -> String {
        let units = [
            ("GiB", 1 << 30), ("GB", 1_000_000_000), ("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10),
            ("KB", 1000),
        ]
        for (unit, factor) in units where bytes != 0 && bytes % factor == 0 { return "\(bytes / factor)\(unit)" }
        return "\(bytes)B"
    }
}

extension Importer {
    /// A time that is written if it is not Postern's own default.
    ///
    /// - Parameters:
    ///   - standard: that default, in seconds.
    ///   - least: what Postern takes at least, in seconds.
    mutating func convertTime(
        _ name: String, _ key: String, unit: Character, standard: Int, least: Int = 0,
        _ service: MasterFile.Service? = nil
    ) {
        let value = self.value(name, in: service)
        guard let given = Quantities.seconds(value.text, unit: unit) else { return self.warnOfText(value, "time") }
        let seconds = self.bounded(given, least...Quantities.longest, value)
        self.convert(value, key, Quantities.duration(seconds), isStandard: seconds == standard)
    }

    mutating func convertNumber(
        _ name: String, _ key: String, standard: Int, in range: ClosedRange<Int> = 0...Int.max,
        _ service: MasterFile.Service? = nil
    ) {
        let value = self.value(name, in: service)
        guard let given = Int(value.text) else { return self.warnOfText(value, "number") }
        let number = self.bounded(given, range, value)
        self.convert(value, key, "\(number)", isStandard: number == standard)
    }

    mutating func convertSize(
        _ name: String, _ key: String, standard: Int, least: Int = 0, _ service: MasterFile.Service? = nil
    ) {
        let value = self.value(name, in: service)
        guard let given = Int(value.text), given >= 0 else { return self.warnOfText(value, "number of octets") }
        let bytes = self.bounded(given, least...Int.max, value)
        self.convert(value, key, Quantities.size(bytes), isStandard: bytes == standard)
    }

    mutating func convertSwitch(
        _ name: String, _ key: String, standard: Bool, negated: Bool = false, _ service: MasterFile.Service? = nil
    ) {
        let value = self.value(name, in: service)
        guard ["yes", "no"].contains(value.text.lowercased()) else { return self.warnOfText(value, "yes or no") }
        let isOn = value.isYes != negated
        self.convert(value, key, isOn ? "true" : "false", isStandard: isOn == standard)
    }

    mutating func convert(_ value: Value, _ key: String, _ text: String, isStandard: Bool) {
        guard isStandard else { return self.set(key, .scalar(text), from: value) }
        if value.isSet { self.mark(value, .default, why: "\(key) is \(text) anyway") }
    }

    /// A number within what Postern takes.
    private mutating func bounded(_ number: Int, _ range: ClosedRange<Int>, _ value: Value) -> Int {
        let bounded = min(max(number, range.lowerBound), range.upperBound)
        if bounded != number { self.warn(value, "\(value.name) = \(value.text): Postern takes \(bounded) for that") }
        return bounded
    }

    private mutating func warnOfText(_ value: Value, _ kind: String) {
        guard value.isSet else { return }
        self.warn(value, "\(value.name) = \(Words.oneLine(value.text)) is no \(kind): left out")
        self.mark(value, .unsupported, why: "it is no \(kind)")
    }
}
