import Mail

/// What the right-hand side of an access table does (SEMANTICS §3): only a permit and a refusal end the list.
extension Evaluation {
    mutating func act(on value: String, _ context: Context) throws(Halt) -> Step {
        let action: AccessAction
        do { action = try AccessAction(value) } catch { throw self.fault("\(value): \(error.message)") }
        return try self.perform(action, context)
    }

    private mutating func perform(_ action: AccessAction, _ context: Context) throws(Halt) -> Step {
        let options = self.policy.options
        switch action {
        case .dunno: return .dunno
        case .permit: return .permit
        case .reject(let why): return try self.refuse(options.access, why, "Access denied", context)
        case .defer(let why): return try self.refuse(options.accessDefer, why, "Access denied", context)
        case .reply(let code, let why): return try self.refuse(code, why, "Access denied", context)
        case .deferIfPermit(let why):
            let (detail, text) = try self.words(why, "Service unavailable", context)
            return self.deferIfPermitted(options.accessDefer, detail, text)
        case .deferIfReject(let why):
            let (detail, text) = try self.words(why, "Service unavailable", context)
            self.deferIfRejected(options.accessDefer, detail, text)
        case .info(let text): self.note(.info, text)
        case .warn(let text): self.note(.warn, text)
        case .restrictions(let names): return try self.evaluate(named: names, context)
        case .discard(let text):
            guard self.mayHaveEffects else { return .dunno }
            if self.outcome.effects.discards == nil {
                self.outcome.effects.discards = self.reason
                self.noteEffect("DISCARD", text)
            }
            return .permit
        case .hold(let text): self.hold(text)
        case .filter, .redirect, .copy, .prepend: self.change(by: action)
        }
        return .dunno
    }

    private mutating func refuse(
        _ code: Int, _ why: AccessAction.Explanation, _ usual: String, _ context: Context
    ) throws(Halt) -> Step {
        let (detail, text) = try self.words(why, usual, context)
        return self.refuse(code, detail, text)
    }

    private mutating func words(
        _ why: AccessAction.Explanation, _ usual: String, _ context: Context
    ) throws(Halt) -> (Reply.Detail, String) {
        let detail = (why.detail ?? .init(7, 1)).corrected(for: context.address)
        return (detail, "\(try self.opening(context)) rejected: \(why.text.isEmpty ? usual : why.text)")
    }

    /// Names of restrictions on a right-hand side; tables cannot be named there.
    private mutating func evaluate(named names: [String], _ context: Context) throws(Halt) -> Step {
        let reader = RestrictionReader(classes: self.policy.classes)
        let list: RestrictionList
        do {
            list = try reader.list(
                "\(self.current.restriction)", words: names, file: self.current.file, line: self.current.line)
        } catch { throw self.fault(error.message) }
        return try self.evaluate(list, context)
    }
}

// MARK: - Effects

extension Evaluation {
    /// Before MAIL nothing can be done to a message, and afterwards nobody would know to which.
    private var mayHaveEffects: Bool { self.facts.reversePath != nil }

    mutating func hold(_ text: String) {
        guard self.mayHaveEffects, self.before.holds == nil, self.outcome.effects.holds == nil else { return }
        self.outcome.effects.holds = self.reason
        self.noteEffect("HOLD", text)
    }

    private mutating func noteEffect(_ name: String, _ text: String) {
        self.note(.effect, text.isEmpty ? name : "\(name) \(text)")
    }

    private mutating func change(by action: AccessAction) {
        guard self.mayHaveEffects else { return }
        switch action {
        case .filter(let destination):
            self.outcome.effects.filter = destination
            self.note(.effect, "FILTER \(destination)")
        case .redirect(let mailbox):
            self.outcome.effects.redirect = mailbox
            self.note(.effect, "REDIRECT \(mailbox)")
        case .copy(let mailbox):
            if !self.outcome.effects.copies.contains(mailbox) { self.outcome.effects.copies.append(mailbox) }
            self.note(.effect, "BCC \(mailbox)")
        case .prepend(let field):
            // Its place in front of the content has passed by then.
            guard self.command != .endOfData else { return self.note(.fault, "PREPEND at the end of data") }
            if !self.outcome.effects.prepended.contains(field) { self.outcome.effects.prepended.append(field) }
            self.note(.effect, "PREPEND \(field)")
        case .dunno, .permit, .reject, .defer, .deferIfPermit, .deferIfReject, .reply, .info, .warn, .hold, .discard,
            .restrictions:
            break
        }
    }
}

// MARK: - Policy services

extension Evaluation {
    mutating func askPolicy(_ service: String, _ context: Context) throws(Halt) -> Step {
        let lookup = Lookup.policy(service: service, try self.policyAttributes(context.stage))
        self.current.table = service
        switch try self.answer(lookup) {
        case .action(let action):
            self.current.value = action
            return try self.act(on: action, context)
        case .noAction(let why, let usual):
            self.note(.fault, "\(service) does not answer: \(why)")
            self.current.value = usual
            return try self.act(on: usual, context)
        case .names, .address, .judged, .passed: throw self.fault("\(service): no answer")
        }
    }

    /// What Postfix sends (SMTPD_POLICY_README), in its order.
    private mutating func policyAttributes(_ stage: Stage) throws(Halt) -> [PolicyAttribute] {
        let name = try self.clientName()
        let facts = self.facts
        let (tls, certificate) = (facts.tls, facts.tls?.certificate)
        let isBehindRecipients = self.command == .data || self.command == .endOfData
        return [
            .init("protocol_state", self.protocolState),
            .init("protocol_name", facts.proto), .init("client_address", "\(facts.client.address)"),
            .init("client_name", name.verified ?? "unknown"), .init("client_port", "\(facts.client.port)"),
            .init("reverse_client_name", name.reverse ?? "unknown"),
            .init("server_address", facts.local.map { "\($0.address)" } ?? ""),
            .init("server_port", facts.local.map { "\($0.port)" } ?? ""),
            .init("helo_name", facts.helo ?? ""), .init("sender", facts.reversePath?.description ?? ""),
            .init("recipient", facts.forwardPath?.description ?? ""),
            .init("recipient_count", isBehindRecipients ? "\(facts.recipientCount)" : "0"),
            .init("queue_id", facts.queueID), .init("instance", facts.instance), .init("size", "\(facts.bytes)"),
            .init("etrn_domain", ""), .init("stress", ""), .init("sasl_method", ""), .init("sasl_username", ""),
            .init("sasl_sender", ""), .init("ccert_subject", certificate?.trusted(\.subject) ?? ""),
            .init("ccert_issuer", certificate?.trusted(\.issuer) ?? ""),
            .init("ccert_fingerprint", certificate?.fingerprintText ?? ""),
            .init("ccert_pubkey_fingerprint", certificate?.publicKeyFingerprintText ?? ""),
            .init("encryption_protocol", tls?.version ?? ""), .init("encryption_cipher", tls?.cipher ?? ""),
            .init("encryption_keysize", "\(tls?.bits ?? 0)"),
        ]
    }

    private var protocolState: String {
        switch self.command {
        case .helo: self.facts.helo == nil ? "CONNECT" : "HELO"
        case .mail: "MAIL"
        case .recipient: "RCPT"
        case .data: "DATA"
        case .endOfData: "END-OF-MESSAGE"
        }
    }
}

extension CertificateFacts {
    /// A name in it, which is worth something only if somebody answers for it; in xtext, in which it cannot end a line.
    /// Postfix leaves `=` as it is.
    fileprivate func trusted(_ name: KeyPath<CertificateFacts, String>) -> String {
        self.isTrusted ? self[keyPath: name].xtext : ""
    }
}

extension String {
    fileprivate var xtext: String {
        self.utf8.reduce(into: "") { text, byte in
            guard (33...126).contains(byte), byte != UInt8(ascii: "+") else {
                return text += "+" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
            text.unicodeScalars.append(Unicode.Scalar(byte))
        }
    }
}
