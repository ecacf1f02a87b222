import Mail

/// Logging in (RFC 4954), inside TLS only.
extension ClientSession {
    mutating func authenticate(_ credentials: SASLCredentials, _ delivery: Delivery?) -> [Action] {
        // That there is TLS has been seen to; nothing may be said should that ever be wrong.
        guard self.isSecured else { return self.leave(.notOffered, "credentials need TLS", delivery) }
        guard var exchange = SASLExchange(credentials, announced: self.extensions.auth) else {
            let text = "SASL authentication failed: the server offers no mechanism that is allowed here"
            return self.leave(.mechanismMissing, text, delivery)
        }
        let command = exchange.command()
        self.state = .authenticating(exchange, delivery)
        return [.expect(.hello), Self.line(command)]
    }

    mutating func answeredAUTH(_ reply: Reply, _ exchange: SASLExchange, _ delivery: Delivery?) -> [Action] {
        switch reply.outcome {
        case .accepted:
            // There is no security layer, so that EHLO need not be said again.
            if exchange.isComplete { return self.becomeReady(delivery) }
            return self.refused("the server did not prove that it knows our password", exchange, delivery)
        case .intermediate:
            if reply.code == 334, reply.lines.count == 1 { return self.challenged(Array(reply.lines[0].utf8)) }
            return self.refused("unexpected reply: \(reply.oneLine)", exchange, delivery, cancels: true)
        case .temporary, .permanent:
            // With 421 the server goes, whoever we are.
            if reply.code == 421 { return self.fail(exchange.masked(reply), delivery) }
            return self.refused("the server said: \(reply.oneLine)", exchange, delivery)
        }
    }

    /// - Parameter text: behind 334.
    mutating func challenged(_ text: [UInt8]) -> [Action] {
        guard case .authenticating(var exchange, let delivery) = self.state else {
            return self.handle(.reply(Reply(334, nil, String(decoding: text, as: UTF8.self))))
        }
        do {
            let step = try exchange.handle(challenge: text)
            self.state = .authenticating(exchange, delivery)
            switch step {
            case .answer(let line): return [.expect(.hello), Self.line(line)]
            case .derive(let derivation): return [.derive(derivation)]
            }
        } catch {
            return self.refused(error.reason, exchange, delivery, cancels: true)
        }
    }

    mutating func derived(_ key: [UInt8]?) -> [Action] {
        guard case .authenticating(var exchange, let delivery) = self.state else { return [] }
        guard let key else {
            return self.refused("the key cannot be computed", exchange, delivery, cancels: true)
        }
        do {
            let line = try exchange.derived(key)
            self.state = .authenticating(exchange, delivery)
            return [.expect(.hello), Self.line(line)]
        } catch {
            return self.refused(error.reason, exchange, delivery, cancels: true)
        }
    }

    /// - Parameter cancels: the server waits for an answer of ours, which is `*`.
    private mutating func refused(
        _ reason: String, _ exchange: SASLExchange, _ delivery: Delivery?, cancels: Bool = false
    ) -> [Action] {
        // A reply in it may repeat what was said, and it goes to log and notices.
        let shown = exchange.isRepeated(in: reason) ? SASLExchange.mask : reason
        let text = "SASL \(exchange.mechanism.rawValue) authentication failed: \(shown)"
        let cancellation: [Action] = cancels ? [Self.line([UInt8(ascii: "*")])] : []
        return cancellation + self.leave(.authenticationRefused, text, delivery)
    }

    /// Leaves the server. What it says about a password says nothing about a message, and passwords are set right: it
    /// is temporary, whatever the code.
    private mutating func leave(_ problem: SecurityProblem, _ text: String, _ delivery: Delivery?) -> [Action] {
        self.state = .closed
        let reply = Reply(451, .init(7, 8), text)
        let goodbye: [Action] = [Self.line(Array("QUIT".utf8)), .close]
        guard let delivery else { return [.unusable(.insecure(problem, reply))] + goodbye }
        let outcome = Outcome(
            replies: delivery.envelope.recipients.map { _ in reply }, passedNoticeRequests: false,
            standing: .brokenEarly)
        return [.finished(outcome)] + goodbye
    }

    private static func line(_ bytes: [UInt8]) -> Action { .send(bytes + [ASCII.carriageReturn, ASCII.lineFeed]) }
}
