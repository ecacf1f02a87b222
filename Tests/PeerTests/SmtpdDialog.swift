import Harness

/// What came of a session: what was sent, and the reply.
struct SmtpdDialog: Sendable {
    struct Step: Equatable, Sendable {
        let command: String
        let code: Int
        /// The enhanced code, which not all replies have.
        let detail: String
        let text: String

        /// What must be the same on both sides: the codes, and words that are the administrator's.
        var outcome: String {
            let own = self.text.range(of: "Own").map { " \(self.text[$0.lowerBound...])" } ?? ""
            return "\(self.code)\(self.detail.isEmpty ? "" : " ")\(self.detail)\(own)"
        }
        /// The text of a refusal by rules; nil of what the protocol says, which everybody words in his own way.
        ///
        /// Postfix shows addresses without the quotation marks that they need.
        var refusal: String? {
            self.code < 400 || ["5.5.1", "5.5.4"].contains(self.detail) ? nil : self.text.replacing("\"", with: "")
        }
        var line: String { "\(self.command) -> \(self.code) \(self.detail) \(self.text)" }
    }

    private let contents: [String: String]
    private(set) var steps: [Step] = []
    /// Of messages that were taken, in their order.
    private(set) var ids: [String] = []
    /// Why the session did not come to its end.
    private(set) var fault: String?

    /// Goes through a session, as the load balancer in front of the server.
    ///
    /// - Parameter contents: messages by their names, for `DATA NAME`; without a name there is a short one.
    init(_ session: SmtpdScript.Session, at server: Endpoint, contents: [String: String] = [:]) {
        self.contents = contents
        do {
            let client = try SMTPClient(server, patience: .seconds(20))
            let isV6 = session.client.contains(":")
            let local = isV6 ? "2001:2::25" : "198.18.0.25"
            try client.send("PROXY \(isV6 ? "TCP6" : "TCP4") \(session.client) \(local) 40000 25\r\n")
            if !session.isHasty { try self.hear("connect", client) }
            for (index, group) in session.commands.enumerated() {
                try self.say(group, client, skipping: index == 0 && session.isHasty)
            }
        } catch {
            // Also when the server ended it, after which nothing more can be said.
            self.fault = "\(error)"
        }
    }

    /// - Parameter skipping: whether lines of the greeting may still come, before the reply to EHLO; who does not wait
    ///   for its end may not hear it.
    private mutating func say(_ group: [String], _ client: SMTPClient, skipping: Bool) throws {
        try client.send(group.map { Self.onTheWire($0) + "\r\n" }.joined())
        for command in group {
            if skipping { while try !client.line().hasPrefix("250 ") {} } else { try self.hear(command, client) }
            guard Self.onTheWire(command) == "DATA", self.steps.last?.code == 354 else { continue }
            let name = String(command.dropFirst("DATA ".count))
            guard let content = name.isEmpty ? "Subject: x\r\n\r\nx\r\n" : self.contents[name] else {
                throw HarnessError("what is the content \(name)?")
            }
            try client.send(dotStuffed(Array(content.utf8)) + Array(".\r\n".utf8))
            try self.hear("content", client)
            if let step = self.steps.last, step.code == 250, let id = step.text.split(separator: " ").last {
                self.ids.append(String(id))
            }
        }
    }

    /// `DATA NAME` says what follows.
    private static func onTheWire(_ command: String) -> String { command.hasPrefix("DATA ") ? "DATA" : command }

    private mutating func hear(_ command: String, _ client: SMTPClient) throws {
        let reply = try client.reply()
        let line = reply.lines.last ?? ""
        let parts = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let isDetail = parts[0].wholeMatch(of: /[245]\.\d+\.\d+/) != nil
        self.steps.append(
            Step(
                command: command, code: reply.code, detail: isDetail ? String(parts[0]) : "",
                text: isDetail ? String(parts.dropFirst().joined()) : line))
    }

    var text: String {
        (self.steps.map(\.line) + (self.fault.map { ["ended: \($0)"] } ?? [])).joined(separator: "\n")
    }

    /// The outcomes of all steps, with a word for a session that ended early.
    var outcomes: [String] { self.steps.map(\.outcome) + (self.fault == nil ? [] : ["ended"]) }
}
