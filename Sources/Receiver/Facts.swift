import Mail
import Queue
import Rules
import SMTP

/// What rules may ask about a session, and what they answer.
struct Facts {
    let client: Endpoint
    var helo = ""
    var proto = "SMTP"
    var reversePath: ReversePath?

    var identity: ClientIdentity {
        ClientIdentity(
            address: self.client.address, port: self.client.port, hostname: nil, helo: self.helo, proto: self.proto)
    }

    /// Policy's answer to a question of the session.
    ///
    /// - Parameter now: nanoseconds of the monotonic clock.
    func verdict(
        on subject: ServerSession.Question.Subject, _ context: ReceiverContext, _ generation: ReceiverGeneration,
        now: UInt64
    ) -> ServerSession.Decision.Verdict {
        switch subject {
        case .mail(_, let parameters):
            let bytes = parameters.declaredBytes ?? 0
            if !context.queue.hasRoom(forBytes: bytes) { return .refuse(.insufficientStorage) }
            return self.isWithin(.messages, context, generation, now) ? .accept() : .refuse(.messageRate)
        case .recipient(let path, _):
            guard self.isWithin(.recipients, context, generation, now) else { return .refuse(.recipientRate) }
            switch generation.relay.verdict(on: path, from: self.client.address) {
            case .accept(let mailbox): return .accept(mailbox)
            case .relayDenied: return .refuse(.relayDenied)
            case .unknownRecipient: return .refuse(.unknownRecipient)
            }
        case .content: return .accept()
        }
    }

    private func isWithin(
        _ rate: ClientLimits.Rate, _ context: ReceiverContext, _ generation: ReceiverGeneration, _ now: UInt64
    ) -> Bool {
        generation.relay.trusts(self.client.address)
            || context.clients.count(rate, self.client.address, limits: generation.limits, now: now)
    }
}
