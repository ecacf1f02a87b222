import Receiver

/// However answers come, the same actions are read; each is one line, and none is made of more than the limit.
/// A service can also be named by the same text, which is read again as it is printed.
func checkPolicyAnswers(_ bytes: [UInt8], _ arrivals: [Arrival]) throws(Violation) {
    let read = try readEveryWay(bytes, arrivals) { (pieces) throws(Violation) in
        var reader = PolicyAnswerReader()
        var results: [String] = []
        for piece in pieces {
            var rest = piece
            do {
                while !rest.isEmpty {
                    guard let action = try reader.next(&rest) else { break }
                    try require(!reader.isInAnswer, "an answer goes on behind its end")
                    results.append(action)
                }
            } catch let error as PolicyAnswerReader.Malformed {
                return PolicyAnswers(actions: results, error: error)
            } catch let error as Violation {
                throw error
            } catch {
                throw Violation(description: "\(error)")
            }
            try require(rest.isEmpty, "octets were left over without an answer")
        }
        return PolicyAnswers(actions: results, error: nil)
    }
    for action in read.actions {
        try require(holdsNoLineEnd(action), "\(action.debugDescription) ends a line")
        try require(action.utf8.count <= PolicyAnswerReader.maximumBytes, "a long action")
    }
    try checkPolicyService(String(decoding: bytes, as: UTF8.self))
}

private struct PolicyAnswers: Equatable {
    let actions: [String]
    let error: PolicyAnswerReader.Malformed?
}

private func checkPolicyService(_ text: String) throws(Violation) {
    guard let service = try? PolicyService(text, relativeTo: "/spool") else { return }
    let plain = try? PolicyService(service.address.description, relativeTo: "/elsewhere")
    // A path with a blank or comma can be written in braces only, and then not at all.
    try require(plain?.address == service.address, "\(text.debugDescription) is printed as \(service.address)")
    try require(service.timeout > .zero && service.idleLimit > .zero, "\(text.debugDescription) has no time")
    try require(!service.defaultAction.isEmpty, "\(text.debugDescription) has no default action")
}
