/// What asking a server about an address came to (SEMANTICS §9).
package struct ProbeResult: Hashable, Sendable {
    package enum Verdict: String, Hashable, Sendable {
        /// The server would take mail for it.
        case accepted
        /// The server does not have it.
        case unknown
        /// The server refuses us, our sender or our way of asking, which says nothing of the address.
        case blocked
        /// The server was asked and does not say now, or broke off instead.
        case temporary
        /// No server could be asked.
        case unreachable
    }

    package let verdict: Verdict
    /// What the server said, or what went wrong in its place.
    package let reply: Reply
    /// Name, address and port of the server; nil if none was asked.
    package let remote: String?

    package init(_ verdict: Verdict, _ reply: Reply, remote: String? = nil) {
        self.verdict = verdict
        self.reply = reply
        self.remote = remote
    }

    /// For the log: who said what.
    package var text: String {
        self.remote.map { "\($0) said: \(self.reply.oneLine)" } ?? self.reply.oneLine
    }
}
