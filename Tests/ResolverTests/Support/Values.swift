import Resolver

extension DNSResult {
    var records: [DNSRecord]? {
        if case .success(let answer) = self { answer.records } else { nil }
    }

    var failure: DNSFailure? {
        if case .failure(let failure) = self { failure } else { nil }
    }
}

extension DNSName {
    /// A name that the test knows to be one.
    static func of(_ text: String) -> DNSName { DNSName(text) ?? .root }
}
