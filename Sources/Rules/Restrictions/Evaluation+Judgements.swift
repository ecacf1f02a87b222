import Mail

/// Restrictions that are decided elsewhere: the list only says when, and passes on what comes of it.
extension Evaluation {
    /// `check_spf`; before MAIL there is nothing to check.
    mutating func checkSPF(_ context: Context) throws(Halt) -> Step {
        guard let reversePath = self.facts.reversePath else { return .dunno }
        let question = SPFQuestion(
            client: self.facts.client.address, helo: self.facts.helo, reversePath: reversePath)
        return try self.judged(.spf(question), context)
    }

    /// `greylist`. Behind RCPT nobody is left whom it could be asked for, and a transaction of many recipients cannot be
    /// refused for one of them.
    mutating func greylist(_ context: Context) throws(Halt) -> Step {
        guard self.command == .recipient, let reversePath = self.facts.reversePath, let recipient = self.facts.recipient
        else { return .dunno }
        let question = GreylistQuestion(
            client: self.facts.client.address, helo: self.facts.helo, reversePath: reversePath, recipient: recipient,
            isAllowlisted: self.facts.isAllowlisted)
        return try self.judged(.greylist(question), context)
    }

    private mutating func judged(_ lookup: Lookup, _ context: Context) throws(Halt) -> Step {
        guard case .judged(let judgement) = try self.answer(lookup) else {
            throw self.fault("\(self.current.restriction): no answer")
        }
        switch judgement {
        case .passed(let why):
            self.current.value = why
            return .dunno
        case .refused(let reply, let why):
            self.current.value = why
            let text = reply.lines.joined(separator: " ")
            return self.refuse(
                reply.code, reply.detail ?? .init(7, 1), "\(try self.opening(context)) rejected: \(text)")
        case .fault(let why):
            self.current.value = why
            self.note(.fault, "\(self.current.restriction): \(why)")
            return .dunno
        }
    }
}

// MARK: - Where they may stand

extension RestrictionList {
    /// What is wrong with the place of a restriction in it or its classes; nil if nothing is.
    package func problem(in stage: Stage, delaysRefusals: Bool) -> String? {
        for item in self.items {
            let problem = item.restriction.problem(in: stage, delaysRefusals: delaysRefusals)
            if let problem { return problem }
        }
        return nil
    }
}

extension Restriction {
    fileprivate func problem(in stage: Stage, delaysRefusals: Bool) -> String? {
        if case .list(let list) = self { return list.problem(in: stage, delaysRefusals: delaysRefusals) }
        if case .greylist = self, stage != .recipient {
            return "greylist belongs into restrictions.recipient, or a class that is used there, and not into "
                + "restrictions.\(stage.rawValue): it is asked for each recipient, after what costs less"
        }
        if case .checkSPF = self, !delaysRefusals, stage == .client || stage == .helo {
            return "check_spf needs the sender, who is not known in restrictions.\(stage.rawValue) while "
                + "reject_delayed is false: put it into restrictions.sender"
        }
        return nil
    }
}
