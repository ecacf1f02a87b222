package import Mail
package import Rules

/// A session that need not take place: who connects, what he says, and perhaps what he sends.
package struct HypotheticalSession: Sendable {
    package var client: IPAddress
    /// What the client's address is called; nil to look it up.
    package var clientName: ClientName?
    package var helo: String
    package var reversePath: ReversePath
    package var forwardPaths: [ForwardPath]
    /// With CRLF line ends; nil to end before the content.
    package var content: [UInt8]?
    /// Nil for plain text.
    package var tls: TLSSummary?
    /// Recipients that are taken for ours, whatever the tables say.
    package var assumedRecipients: [Mailbox] = []

    package init(
        client: IPAddress, clientName: ClientName? = nil, helo: String, reversePath: ReversePath,
        forwardPaths: [ForwardPath], content: [UInt8]? = nil
    ) {
        self.client = client
        self.clientName = clientName
        self.helo = helo
        self.reversePath = reversePath
        self.forwardPaths = forwardPaths
        self.content = content
    }
}

/// What commands say of a session, over the control socket too.
package struct ExplainRequest: Codable, Sendable {
    package var client: String
    /// Nil to look it up.
    package var clientName: String?
    package var helo: String
    /// Empty for the null reverse-path.
    package var from: String
    package var to: [String]
    /// Base64; nil for none.
    package var content: String?

    package init(client: String, clientName: String?, helo: String, from: String, to: [String], content: String?) {
        self.client = client
        self.clientName = clientName
        self.helo = helo
        self.from = from
        self.to = to
        self.content = content
    }

    /// - Throws: which part is none.
    package func session() throws(OptionProblem) -> HypotheticalSession {
        guard let address = IPAddress(self.client) else { throw OptionProblem("'\(self.client)' is no address") }
        return HypotheticalSession(
            client: address, clientName: self.clientName.map { ClientName($0 == "unknown" ? nil : $0) },
            helo: self.helo,
            reversePath: try Self.reversePath(self.from), forwardPaths: try Self.forwardPaths(self.to),
            content: self.content.flatMap { Base64Text.decode($0) })
    }

    static func reversePath(_ text: String) throws(OptionProblem) -> ReversePath {
        if text.isEmpty || text == "<>" { return .null }
        guard let mailbox = Mailbox(text) else { throw OptionProblem("'\(text)' is no address") }
        return .mailbox(mailbox)
    }

    private static func forwardPaths(_ texts: [String]) throws(OptionProblem) -> [ForwardPath] {
        var paths: [ForwardPath] = []
        for text in texts { paths.append(try Self.forwardPath(text)) }
        return paths
    }

    static func forwardPath(_ text: String) throws(OptionProblem) -> ForwardPath {
        if text.equalsIgnoringCase("postmaster") { return .postmaster }
        guard let mailbox = Mailbox(text) else { throw OptionProblem("'\(text)' is no address") }
        return .mailbox(mailbox)
    }
}

/// What would happen, and why (CLI: `postern explain`).
package struct Explanation: Codable, Sendable, Equatable {
    package struct ReplyText: Codable, Sendable, Equatable {
        package var code: Int
        package var enhanced: String?
        package var text: String
    }

    package struct Step: Codable, Sendable, Equatable {
        package var stage: String
        package var restriction: String
        package var result: String
        /// In how many restriction classes it stands.
        package var depth: Int
        package var table: String?
        package var file: String?
        package var line: Int?
        package var key: String?
        package var value: String?
        package var facts: [String]
    }

    /// `accept`, `defer`, `reject`, `discard` or `hold`.
    package var verdict: String
    /// Nil if nothing is refused.
    package var reply: ReplyText?
    package var stage: String?
    package var restriction: String?
    package var table: String?
    package var file: String?
    package var line: Int?
    package var key: String?
    /// The generation that was asked.
    package var generation: Int
    package var trace: [Step]
}

extension Explanation.Step {
    init(_ reason: Reason, depth: Int, result: String) {
        self.stage = reason.stage
        self.restriction = reason.restriction
        self.result = result
        self.depth = depth
        self.table = reason.table
        self.file = reason.file
        self.line = reason.line
        self.key = reason.key
        self.value = reason.value
        self.facts = reason.facts
    }

    /// For people: `recipient: check_sender_access hash:senders -> dunno (FILE:LINE, key x)`.
    package var text: String {
        let place = self.file.map { file in self.line.map { "\(file):\($0)" } ?? file }
        let details = [place, self.key.map { "key '\($0)'" }, self.value.map { "value '\($0)'" }].compactMap { $0 }
        let indent = String(repeating: "  ", count: self.depth)
        return "\(indent)\(self.stage): \(self.restriction) -> \(self.result)"
            + (details.isEmpty ? "" : " (\(details.joined(separator: ", ")))")
            + self.facts.map { "\n\(indent)    \($0)" }.joined()
    }
}
