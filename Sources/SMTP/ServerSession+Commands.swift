import Mail

extension ServerSession {
    var isClosed: Bool { if case .closed = self.state { true } else { false } }

    /// Looks for what the screener wants to know. The session may be closed afterwards.
    mutating func screen(_ facts: LineFacts, _ command: Command?, isSMTP: Bool) -> [Action] {
        switch self.screening.observe(facts, command, isSMTP: isSMTP) {
        case .none: []
        case .failed(let findings): findings.map(Action.screened)
        case .end(let findings, let reply): findings.map(Action.screened) + self.close(reply)
        }
    }

    /// EHLO, DATA and the like must come last in what is sent at once, and after HELO everything must (RFC 2920).
    mutating func notePipelining(_ command: Command, isLast: Bool) {
        guard !isLast else { return }
        switch command {
        case .mail, .rcpt, .rset:
            if self.greeting?.isExtended != true || !self.screening.offersPipelining { self.pipelinedUnasked = true }
        case .bdat: break  // Its octets follow without waiting, and tell themselves from commands.
        case .helo, .ehlo, .starttls, .data, .noop, .vrfy, .help: self.pipelinedUnasked = true
        case .quit: break  // Nothing behind it is read.
        }
    }

    mutating func perform(_ command: Command, isLast: Bool) -> [Action] {
        if self.tls == .required, !command.mayPrecedeTLS { return self.refuseInPlain(command) }
        switch command {
        case .helo(let name): return self.greet(Greeting(name: name, isExtended: false))
        case .ehlo(let name): return self.greet(Greeting(name: name, isExtended: true))
        case .starttls: return self.startTLS(isLast: isLast)
        case .mail(let path, let parameters): return self.mail(path, parameters)
        case .rcpt(let path, let parameters): return self.rcpt(path, parameters)
        case .data: return self.data()
        case .bdat(let bytes, let isLast): return self.bdat(Chunk(bytes: bytes, isLast: isLast))
        case .rset: return self.junk() + self.reset() + [.reply(.ok)]
        case .noop: return self.junk() + [.reply(.ok)]
        case .help: return self.junk() + [.reply(.help)]
        case .vrfy(let argument): return self.junk() + [.reply(self.vrfy(argument))]
        case .quit: return self.close(.goodbye(self.hostname))
        }
    }

    /// A greeting also ends a transaction, as RSET does (RFC 5321 §4.1.4).
    mutating func greet(_ greeting: Greeting) -> [Action] {
        self.reset() + self.ask(.greeting(greeting), .greeting(greeting))
    }

    var extensions: Reply {
        var lines = [self.hostname]
        if self.screening.offersPipelining { lines.append("PIPELINING") }
        lines += [
            "SIZE \(self.limits.messageSize.bytes)", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING",
        ]
        switch self.tls {
        case .none: break
        case .offered, .required: lines.append("STARTTLS")
        // RFC 8689 §2: only where it can begin to hold.
        case .implicit, .established: if self.limits.requireTLS { lines.append("REQUIRETLS") }
        }
        if self.limits.vrfy { lines.append("VRFY") }
        return Reply(code: 250, detail: nil, lines: lines + ["HELP"])
    }

    mutating func mail(_ path: ReversePath, _ parameters: MailParameters) -> [Action] {
        switch self.state {
        case .greeted: return self.error(.heloFirst)
        case .transaction, .betweenChunks: return self.error(.nestedMail)
        case .ready: break
        case .startingTLS, .deciding, .content, .chunk, .skippingChunk, .storing, .closed: return []
        }
        if parameters.tls == .required, self.tls != .established || !self.limits.requireTLS {
            return self.refuse(.unknownParameter("REQUIRETLS"))
        }
        if let bytes = parameters.declaredBytes, bytes > self.limits.messageSize.bytes {
            return [.reply(.messageTooLarge(limit: self.limits.messageSize.bytes))]
        }
        return self.ask(.mail(path, parameters), .mail(path, parameters))
    }

    mutating func rcpt(_ path: ForwardPath, _ parameters: RecipientParameters) -> [Action] {
        guard case .transaction(let envelope) = self.state else { return self.error(self.outOfSequence) }
        if case .mailbox(let mailbox) = path, !mailbox.isASCII, !envelope.parameters.smtputf8 {
            return self.refuse(.nonASCIIPath)
        }
        if let refusal = self.screening.refusal { return self.error(refusal) }
        let passed = self.screening.reachRecipient().map { [Action.screened($0)] } ?? []
        return passed + self.rcpt(path, parameters, envelope)
    }

    mutating func rcpt(
        _ path: ForwardPath, _ parameters: RecipientParameters, _ envelope: Envelope
    ) -> [Action] {
        guard envelope.recipients.count < self.limits.recipients else {
            // A client that goes on and on is told so at some point (SEMANTICS §13).
            return self.errors.overshoot(limit: self.limits.recipients)
                ? self.error(.tooManyRecipients) : [.reply(.tooManyRecipients)]
        }
        return self.ask(.recipient(path, from: envelope.reversePath), .recipient(parameters, envelope))
    }

    mutating func data() -> [Action] {
        guard case .transaction(let envelope) = self.state else { return self.error(self.outOfSequence) }
        guard !envelope.recipients.isEmpty else { return self.error(.recipientFirst) }
        if let refusal = self.refuseContent() { return refusal }
        return self.ask(.content(envelope), .data(envelope))
    }

    /// The octets of a BDAT that is refused are read all the same, or they would be taken for commands.
    mutating func bdat(_ chunk: Chunk) -> [Action] {
        switch self.state {
        case .transaction(let envelope) where envelope.recipients.isEmpty: return self.skip(chunk, .recipientFirst)
        case .transaction(let envelope):
            if let refusal = self.refuseContent() { return refusal }
            return self.ask(.content(envelope), .bdat(envelope, chunk))
        case .betweenChunks(let envelope):
            self.state = .chunk(envelope, chunk)
            return []
        case .greeted, .ready: return self.skip(chunk, self.outOfSequence)
        case .startingTLS, .deciding, .content, .chunk, .skippingChunk, .storing, .closed: return []
        }
    }

    mutating func skip(_ chunk: Chunk, _ reply: Reply) -> [Action] {
        self.errors.count += 1
        let dropped = self.reset()
        self.state = .skippingChunk(bytes: chunk.bytes, reply)
        return dropped
    }

    /// Behind a DATA that nobody waited for come octets of which nobody knows what they are; the session ends there.
    /// So it does for a client that failed the screener's tests only when it had recipients already.
    mutating func refuseContent() -> [Action]? {
        if let refusal = self.screening.refusal { return self.close(refusal) }
        return self.pipelinedUnasked && self.limits.rejectPipelining ? self.close(.unauthorizedPipelining) : nil
    }

    func vrfy(_ argument: String) -> Reply {
        guard self.limits.vrfy else { return .vrfyDisabled }
        // RFC 6531 §3.7.4.2. The transaction, if there is one, does not notice (SEMANTICS §17, 3).
        return argument.isASCII || argument.uppercased().hasSuffix(" SMTPUTF8") ? .cannotVerify : .nonASCIIPath
    }

    mutating func refuse(_ error: CommandError) -> [Action] {
        switch error {
        case .notSMTP where self.screening.toleratesOtherProtocols: return self.error(.to(.unrecognized))
        case .notSMTP, .bareLineFeed: return self.close(.to(error))
        case .nonASCIIPath:
            // MAIL and RCPT go together, so the whole transaction does (SEMANTICS §13).
            let dropped = self.reset()
            return dropped + self.error(.to(error))
        case .unrecognized, .notImplemented, .tooLong, .badName, .syntax, .badReversePath, .badForwardPath,
            .pathTooLong, .unknownParameter, .badParameter:
            return self.error(.to(error))
        }
    }

    /// What to say to RCPT, DATA and BDAT that come when it is not their turn.
    var outOfSequence: Reply {
        switch self.state {
        case .greeted: .heloFirst
        case .ready: .mailFirst
        case .startingTLS, .transaction, .deciding, .content, .chunk, .betweenChunks: .badSequence
        case .skippingChunk, .storing, .closed: .badSequence
        }
    }
}

// MARK: - TLS

extension ServerSession {
    /// RFC 3207 §4.2: what the client said before is forgotten. What it did wrong is not, and neither is what the
    /// screener found.
    ///
    /// Octets behind the command came in plain text, from whomever, and would be taken for what came through TLS
    /// (CVE-2011-0411): nothing of them is read, and nothing more is said.
    mutating func startTLS(isLast: Bool) -> [Action] {
        switch self.tls {
        case .none: return self.error(.to(.notImplemented))
        case .implicit, .established: return self.error(.tlsActive)
        case .offered, .required: break
        }
        let dropped = self.reset()
        guard isLast else { return dropped + self.leave(.inputBehindStartTLS) }
        self.greeting = nil
        self.state = .startingTLS
        return dropped + [.reply(.startTLS), .startTLS]
    }

    mutating func tlsEstablished() -> [Action] {
        guard case .startingTLS = self.state else { return [] }
        defer { (self.tls, self.state) = (.established, .greeted) }
        return self.tls == .implicit ? [.reply(.greeting(self.hostname))] : []
    }

    /// The octets of a BDAT have to be read all the same.
    mutating func refuseInPlain(_ command: Command) -> [Action] {
        guard case .bdat(let bytes, let isLast) = command else { return self.error(.startTLSFirst) }
        return self.skip(Chunk(bytes: bytes, isLast: isLast), .startTLSFirst)
    }
}
