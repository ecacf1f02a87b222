internal import Mail

/// The ARC fields of a header, sorted and checked for what needs no keys (RFC 8617 §5.2, steps 1 and 2).
struct ARCChain: Hashable, Sendable {
    /// §4.2.1.
    static let maximumInstance = 50

    /// The fields of one instance, by their places in the header.
    struct Set: Hashable, Sendable {
        let results: Int
        let message: Int
        let seal: Int
        let messageSignature: MessageSignature
        let sealSignature: ARCSeal
        /// `x=` of the message signature, seconds since 1970.
        let expiration: Int64?
    }

    /// From instance 1 on.
    let sets: [Set]

    /// - Returns: nil if there is no ARC field at all.
    /// - Throws: what is wrong with the chain.
    init?(_ header: MessageHeader) throws(SignatureProblem) {
        let results = try Self.places(header, ARCField.results, "ARC-Authentication-Results")
        let messages = try Self.places(header, .message, "ARC-Message-Signature")
        let seals = try Self.places(header, .seal, "ARC-Seal")
        guard let last = (Array(results.keys) + messages.keys + seals.keys).max() else { return nil }
        var sets: [Set] = []
        for instance in 1...last {
            guard let result = results[instance], let message = messages[instance], let seal = seals[instance] else {
                throw SignatureProblem("instance \(instance) is not complete", .fail)
            }
            let tags = try header.fields[message].tags()
            sets.append(
                Set(
                    results: result, message: message, seal: seal,
                    messageSignature: try MessageSignature(tags, .arcMessage),
                    sealSignature: try ARCSeal(try header.fields[seal].tags(), instance: instance),
                    expiration: try tags.integer("x", maximumDigits: 18)))
        }
        self.sets = sets
    }

    /// Places of the fields of a kind by instance.
    private static func places(
        _ header: MessageHeader, _ field: ARCField, _ name: String
    ) throws(SignatureProblem) -> [Int: Int] {
        var places: [Int: Int] = [:]
        for place in header.indices(of: field.rawValue) {
            guard let instance = field.instance(of: header.fields[place]) else {
                throw SignatureProblem("an \(name) has no valid instance", .fail)
            }
            guard places.updateValue(place, forKey: instance) == nil else {
                throw SignatureProblem("two \(name) have instance \(instance)", .fail)
            }
        }
        return places
    }
}

/// The three fields of a set, by their names in lower case.
enum ARCField: String, CaseIterable {
    case results = "arc-authentication-results"
    case message = "arc-message-signature"
    case seal = "arc-seal"

    /// The number of the set that a field belongs to; nil if it says none, or none between 1 and 50.
    func instance(of field: HeaderField) -> Int? {
        let number: Int64??
        switch self {
        // The value is no list of tags, but it begins like one (§4.1.1).
        case .results:
            guard let end = field.value.firstIndex(of: UInt8(ascii: ";")) else { return nil }
            number = (try? TagList(field.value[..<end]))?.number("i", maximumDigits: 2)
        case .message, .seal: number = (try? TagList(field.value))?.number("i", maximumDigits: 2)
        }
        guard case .some(.some(let value)) = number, (1...Int64(ARCChain.maximumInstance)).contains(value) else {
            return nil
        }
        return Int(value)
    }
}

/// An ARC-Seal field that follows the rules (RFC 8617 §4.1.3).
struct ARCSeal: Hashable, Sendable {
    let common: SignatureParameters
    let chainValidation: ARCResult.Outcome

    init(_ tags: TagList, instance: Int) throws(SignatureProblem) {
        guard tags["h"] == nil else { throw SignatureProblem("a seal has an h= tag", .fail) }
        self.common = try SignatureParameters(tags)
        guard let value = tags["cv"].flatMap({ ARCResult.Outcome(rawValue: $0.asciiLowercased) }) else {
            throw SignatureProblem("seal \(instance) does not say what it found", .fail)
        }
        self.chainValidation = value
    }
}

extension MessageHeader {
    /// What an ARC-Seal signs (RFC 8617 §5.1.1): these sets from the first one on, the last seal without signature.
    func sealedFields(_ sets: ArraySlice<ARCChain.Set>) -> (fields: [HeaderField], last: HeaderField)? {
        guard let last = sets.last else { return nil }
        let fields = sets.flatMap { [$0.results, $0.message, $0.seal] }.dropLast().map { self.fields[$0] }
        return (fields, self.fields[last.seal].removing(last.sealSignature.common.signatureRange))
    }
}
