import Mail

extension ServerSession {
    mutating func ask(_ subject: Question.Subject, _ pending: Pending) -> [Action] {
        self.questions += 1
        let question = Question(number: self.questions, subject: subject)
        self.state = .deciding(question, pending)
        return [.ask(question)]
    }

    /// Late answers, to questions of a transaction that is gone, change nothing.
    mutating func decided(_ decision: Decision) -> [Action] {
        guard case .deciding(let question, let pending) = self.state, question.number == decision.question else {
            return []
        }
        // Given up before the envelope changes, so that its recipients are not copied for each new one.
        self.state = .ready
        switch decision.verdict {
        case .accept(let mailbox): return self.accepted(pending, mailbox)
        case .refuse(let reply): return self.refused(pending, reply)
        }
    }

    mutating func accepted(_ pending: consuming Pending, _ mailbox: Mailbox?) -> [Action] {
        switch pending {
        case .greeting(let greeting):
            self.greeting = greeting
            return [.reply(greeting.isExtended ? self.extensions : Reply(250, nil, self.hostname))]
        case .mail(let path, let parameters):
            self.state = .transaction(Envelope(reversePath: path, parameters: parameters))
            return [.reply(.senderOk)]
        case .recipient(let parameters, var envelope):
            guard let mailbox else { return self.refused(pending, .to(.badForwardPath)) }
            envelope.recipients.append(Recipient(mailbox, parameters: parameters))
            self.state = .transaction(envelope)
            return [.reply(.recipientOk)]
        case .data(let envelope):
            self.state = .content(envelope)
            return [.beginContent(envelope), .reply(.startContent)]
        case .bdat(let envelope, let chunk):
            self.state = .chunk(envelope, chunk)
            return [.beginContent(envelope)]
        }
    }

    mutating func refused(_ pending: Pending, _ reply: Reply) -> [Action] {
        let disconnects = reply.code == 421 || reply.code == 521
        switch pending {
        case .greeting: self.state = self.greeting == nil ? .greeted : .ready
        case .mail: self.state = .ready
        case .recipient(_, let envelope): self.state = .transaction(envelope)
        case .data: self.state = .ready
        case .bdat(_, let chunk):
            guard disconnects else { return self.skip(chunk, reply) }
        }
        return disconnects ? self.close(reply) : self.error(reply)
    }
}

// MARK: - Content

extension ServerSession {
    mutating func contentEnded(_ fault: ContentFault?) -> [Action] {
        guard case .content(let envelope) = self.state else { return [] }
        return self.finish(envelope, fault)
    }

    mutating func chunkEnded(_ fault: ContentFault?) -> [Action] {
        switch self.state {
        case .skippingChunk(_, let reply):
            self.state = self.greeting == nil ? .greeted : .ready
            return self.afterErrors([.reply(reply)])
        case .chunk(let envelope, let chunk):
            // After a failed chunk the client may have sent others already: they find no transaction.
            guard fault == nil, !chunk.isLast else { return self.finish(envelope, fault) }
            self.state = .betweenChunks(envelope)
            return [.reply(.chunkOk(chunk.bytes))]
        case .startingTLS, .greeted, .ready, .transaction, .deciding, .content, .betweenChunks, .storing, .closed:
            return []
        }
    }

    /// A transaction ends here whichever way it goes: nothing of it is left for the next RCPT (SEMANTICS §17, 1 and 2).
    mutating func finish(_ envelope: Envelope, _ fault: ContentFault?) -> [Action] {
        guard let fault else {
            self.state = .storing(envelope)
            return [.store(envelope)]
        }
        self.state = .ready
        let reply = Reply.to(fault, limits: self.limits)
        if reply.code == 421 || reply.code == 521 { return [.dropContent] + self.close(reply) }
        return [.dropContent] + self.afterErrors(self.error(reply))
    }

    mutating func stored(_ result: Result<QueueID, ContentFault>) -> [Action] {
        guard case .storing = self.state else { return [] }
        self.state = .ready
        switch result {
        case .success(let id):
            self.errors = ErrorCount()
            return self.afterErrors([.reply(.queued(id))])
        case .failure(let fault):
            let reply = Reply.to(fault, limits: self.limits)
            if reply.code == 421 || reply.code == 521 { return self.close(reply) }
            return self.afterErrors(self.error(reply))
        }
    }
}
