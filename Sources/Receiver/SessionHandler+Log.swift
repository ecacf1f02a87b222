import Mail
import Rules
import SMTP

extension SessionHandler {
    /// Remembers what the client says, for the log and for policy.
    func note(_ event: ServerSession.Event) {
        switch event {
        case .command(let command, _): self.note(command)
        case .malformed: self.lastCommand = "UNKNOWN"
        case .contentEnded, .chunkEnded: self.lastCommand = "END-OF-MESSAGE"
        case .connected, .tlsEstablished, .decided, .stored, .delayElapsed, .timedOut, .outputTimedOut, .shutdown,
            .disconnected:
            break
        }
    }

    private func note(_ command: Command) {
        self.lastForwardPath = nil
        switch command {
        case .helo: self.lastCommand = "HELO"
        case .ehlo: self.lastCommand = "EHLO"
        case .starttls: self.lastCommand = "STARTTLS"
        case .mail(let path, _):
            self.lastCommand = "MAIL"
            self.lastReversePath = path
        case .rcpt(let path, _):
            self.lastCommand = "RCPT"
            self.lastForwardPath = path.description
        case .data: self.lastCommand = "DATA"
        case .bdat: self.lastCommand = "BDAT"
        case .rset: self.lastCommand = "RSET"
        case .noop: self.lastCommand = "NOOP"
        case .quit: self.lastCommand = "QUIT"
        case .vrfy: self.lastCommand = "VRFY"
        case .help: self.lastCommand = "HELP"
        }
    }

    func logRefusal(_ reply: Reply) {
        var refusal = MailEvent.Refusal(
            session: self.sessionID.description, client: self.facts.client, command: self.lastCommand, reply: reply)
        refusal.helo = self.facts.helo
        refusal.tls = self.facts.tls
        refusal.reversePath = self.lastCommand == "MAIL" ? self.lastReversePath : self.facts.reversePath
        refusal.forwardPath = self.lastForwardPath
        if let (expected, reference, reason) = self.policy.refusal, expected == reply {
            (refusal.reference, refusal.reason) = (reference, reason)
            refusal.generation = self.generation.number
            self.policy.refusal = nil
        }
        self.shared.events.record(.refused(refusal))
    }

    func log(_ note: RuleNote) {
        var event = MailEvent.Note(
            session: self.sessionID.description, client: self.facts.client, kind: note.kind.rawValue, text: note.text,
            reason: note.reason)
        event.helo = self.facts.helo
        event.reversePath = self.facts.reversePath
        event.forwardPath = self.lastForwardPath
        self.shared.events.record(.noted(event))
    }
}
