import Mail

extension ServerSession {
    mutating func error(_ reply: Reply) -> [Action] {
        self.errors.count += 1
        return [.reply(reply)]
    }

    mutating func junk() -> [Action] {
        self.errors.junk += 1
        if self.errors.junk > self.limits.junkCommands { self.errors.count += 1 }
        return []
    }

    /// Ends the session after too many errors, or at shutdown, and slows it down before.
    mutating func afterErrors(_ actions: [Action]) -> [Action] {
        guard !self.isClosed else { return actions }
        if self.errors.count >= self.limits.errorsPerSession { return actions + self.close(.tooManyErrors) }
        if self.isShuttingDown, case .ready = self.state { return actions + self.close(.shuttingDown) }
        let isFailure = actions.contains { if case .reply(let reply) = $0 { reply.code >= 400 } else { false } }
        guard isFailure, self.errors.count > self.limits.softErrors, self.limits.errorDelay > .zero else {
            return actions
        }
        self.delayed = actions
        return [.delay(self.limits.errorDelay)]
    }

    /// Ends a transaction; content that has arrived for it is dropped.
    mutating func reset() -> [Action] {
        switch self.state {
        case .transaction:
            self.state = .ready
            return []
        case .content, .chunk, .betweenChunks:
            self.state = .ready
            return [.dropContent]
        case .startingTLS, .greeted, .ready, .deciding, .skippingChunk, .storing, .closed: return []
        }
    }

    /// Ends the session without a word.
    mutating func leave(_ reason: Reply) -> [Action] {
        (self.state, self.delayed) = (.closed, [])
        return [.unsaid(reason), .close]
    }

    /// In a handshake nobody would understand what is said.
    mutating func close(_ reply: Reply) -> [Action] {
        let dropped = self.reset()
        let last = self.expectation == .handshake ? Action.unsaid(reply) : .reply(reply)
        (self.state, self.delayed) = (.closed, [])
        return dropped + [last, .close]
    }

    /// Who is between messages goes now; who is in one may finish it.
    mutating func shutdown(_ patience: Patience) -> [Action] {
        self.isShuttingDown = true
        switch self.state {
        case .startingTLS, .greeted, .ready: return self.close(.shuttingDown)
        case .transaction, .content, .chunk, .betweenChunks, .skippingChunk:
            return patience == .none ? self.close(.shuttingDown) : []
        case .deciding, .storing, .closed: return []
        }
    }

    /// The client has done its part, so no time limit of its runs.
    var isWaitingForUs: Bool {
        switch self.state {
        case .deciding, .storing: true
        case .startingTLS, .greeted, .ready, .transaction, .content, .chunk, .betweenChunks, .skippingChunk, .closed:
            false
        }
    }
}
