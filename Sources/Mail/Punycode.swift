/// U-labels to A-labels (RFC 3492 with the parameters of RFC 5891).
///
/// Labels are made lower case first, as browsers and mail programs do; they are expected in Unicode's composed
/// form (NFC), in which RFC 6531 §3.3 has them travel. Which code points a registry allows is not our question:
/// a name that does not exist is not found.
package enum Punycode {
    /// The domain with each label in lower case and as A-label; nil if a label cannot be one.
    package static func asciiDomain(_ domain: String) -> String? {
        var labels: [String] = []
        // RFC 3490 §3.1 names three more characters that are typed as dots. A dot is one also before a combining mark.
        let parts = domain.unicodeScalars.split(omittingEmptySubsequences: false) {
            ".。．｡".unicodeScalars.contains($0)
        }
        for label in parts.map(String.init) {
            guard !label.isEmpty else { return nil }
            if label.isASCII {
                labels.append(label.asciiLowercased)
            } else {
                guard let encoded = Self.encode(label.lowercased()), encoded.utf8.count <= 59 else { return nil }
                labels.append("xn--" + encoded)
            }
        }
        return labels.joined(separator: ".")
    }

    /// Whether every label that claims to be an A-label is one: it decodes, and to something that is not ASCII.
    package static func hasValidALabels(_ domain: String) -> Bool {
        domain.split(separator: ".").allSatisfy { label in
            guard label.prefix(4).equalsIgnoringCase("xn--") else { return true }
            guard let decoded = Self.decode(label.dropFirst(4).asciiLowercased) else { return false }
            return !decoded.isASCII
        }
    }

    private static let base = 36, tMin = 1, tMax = 26, skew = 38, damp = 700, initialBias = 72, initialN = 128

    private static func adapt(_ delta: Int, points: Int, first: Bool) -> Int {
        var delta = first ? delta / Self.damp : delta / 2
        delta += delta / points
        var k = 0
        while delta > (Self.base - Self.tMin) * Self.tMax / 2 {
            delta /= Self.base - Self.tMin
            k += Self.base
        }
        return k + (Self.base - Self.tMin + 1) * delta / (delta + Self.skew)
    }

    private static func threshold(_ k: Int, _ bias: Int) -> Int { min(max(k - bias, Self.tMin), Self.tMax) }

    private static func digit(_ value: Int) -> UInt8 { UInt8(value < 26 ? value + 97 : value + 22) }

    private static func value(_ digit: UInt8) -> Int? {
        if ASCII.isDigit(digit) { return Int(digit) - 22 }
        return ASCII.isLetter(digit) ? Int(digit | 0x20) - 97 : nil
    }

    static func encode(_ label: String) -> String? {
        let points = label.unicodeScalars.map { Int($0.value) }
        guard points.count <= 63 else { return nil }
        var output = points.filter { $0 < 128 }.map { UInt8($0) }
        let basic = output.count
        var handled = basic
        if basic > 0 { output.append(UInt8(ascii: "-")) }
        var n = Self.initialN
        var delta = 0
        var bias = Self.initialBias
        while handled < points.count {
            guard let next = points.lazy.filter({ $0 >= n }).min() else { return nil }
            delta += (next - n) * (handled + 1)
            n = next
            for point in points {
                if point < n { delta += 1 }
                guard point == n else { continue }
                output += Self.digits(of: delta, bias: bias)
                bias = Self.adapt(delta, points: handled + 1, first: handled == basic)
                delta = 0
                handled += 1
            }
            delta += 1
            n += 1
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// A generalised variable-length integer (RFC 3492 §3.3).
    private static func digits(of delta: Int, bias: Int) -> [UInt8] {
        var digits: [UInt8] = []
        var q = delta
        var k = Self.base
        while q >= Self.threshold(k, bias) {
            let t = Self.threshold(k, bias)
            digits.append(Self.digit(t + (q - t) % (Self.base - t)))
            q = (q - t) / (Self.base - t)
            k += Self.base
        }
        return digits + [Self.digit(q)]
    }

    static func decode(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        let split = bytes.lastIndex(of: UInt8(ascii: "-"))
        var points = bytes[..<(split ?? 0)].map { Int($0) }
        guard bytes.count <= 63, points.allSatisfy({ $0 < 128 }) else { return nil }
        var position = split.map { $0 + 1 } ?? 0
        guard position < bytes.count else { return nil }
        var n = Self.initialN
        var i = 0
        var bias = Self.initialBias
        while position < bytes.count {
            let old = i
            var weight = 1
            var k = Self.base
            while true {
                guard position < bytes.count, let digit = Self.value(bytes[position]) else { return nil }
                position += 1
                i += digit * weight
                guard i <= 0x7FFF_FFFF else { return nil }
                let t = Self.threshold(k, bias)
                if digit < t { break }
                weight *= Self.base - t
                guard weight <= 0x7FFF_FFFF else { return nil }
                k += Self.base
            }
            bias = Self.adapt(i - old, points: points.count + 1, first: old == 0)
            n += i / (points.count + 1)
            i %= points.count + 1
            guard Unicode.Scalar(UInt32(clamping: n)) != nil else { return nil }
            points.insert(n, at: i)
            i += 1
        }
        var scalars = String.UnicodeScalarView()
        scalars.append(contentsOf: points.compactMap { Unicode.Scalar(UInt32($0)) })
        return String(scalars)
    }
}
