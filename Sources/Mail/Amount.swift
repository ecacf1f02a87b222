/// Numbers for people.
package enum Amount {
    package static func bytes(_ count: Int) -> String {
        let units = ["B", "KB", "MB", "GB", "TB"]
        var value = Double(count)
        var unit = 0
        while value >= 1000, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\(Self.decimal(value)) \(units[unit])"
    }

    /// One digit behind the point.
    package static func decimal(_ value: Double) -> String {
        let tenths = Int((min(max(value, -1e15), 1e15) * 10).rounded())
        let digits = "\(abs(tenths) / 10).\(abs(tenths) % 10)"
        return tenths < 0 ? "-\(digits)" : digits
    }

    /// In the unit that suits it, as statistics show it: `2.5 min`.
    package static func seconds(_ value: Double) -> String {
        switch value {
        case ..<60: "\(Self.decimal(value)) s"
        case ..<3600: "\(Self.decimal(value / 60)) min"
        case ..<172_800: "\(Self.decimal(value / 3600)) h"
        case _: "\(Self.decimal(value / 86_400)) d"
        }
    }

    /// The two largest units, which need not both be there: `2h30m`, `1d`.
    package static func duration(_ seconds: Int) -> String {
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
        ]
        let shown = parts.drop { $0.0 == 0 }.prefix(2).filter { $0.0 > 0 }
        return shown.isEmpty ? "0s" : shown.map { "\($0.0)\($0.1)" }.joined()
    }
}
