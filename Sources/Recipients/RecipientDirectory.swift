package import Mail
package import NIOCore
import Rules

/// What a data base says of a recipient.
package enum DatabaseAnswer: Hashable, Sendable {
    /// It is there; why, for the log.
    case found(String)
    case missing
    /// It could not be asked, and nothing that it said before is at hand.
    case failed(String)
}

/// Where recipients are looked for, of one generation of the configuration.
package struct RecipientSources: Sendable {
    /// Where it stands, if a text table has it.
    package var listed: @Sendable (Mailbox) -> String? = { _ in nil }
    /// Asked one after the other.
    package var databases: [@Sendable (Mailbox) async -> DatabaseAnswer] = []
    /// Nil without verification.
    package var verifier: Verifier?
    package var verification = RecipientVerificationOptions()
    /// Whether mail is taken for an address that no list has; for domains without any list (`accept_unverified`).
    package var acceptsUnlisted: @Sendable (Mailbox) -> Bool = { _ in false }

    package init() {}
}

/// Who the recipients are: everybody whom any of the sources knows. A source that cannot be asked makes nobody unknown.
package struct RecipientDirectory: Sendable {
    private let sources: RecipientSources
    private let probeSender: VerifyKey?

    /// - Parameter hostname: ours, for the address under which servers are asked.
    package init(_ sources: RecipientSources, hostname: String) {
        self.sources = sources
        let sender = sources.verification.sender.reversePath(hostname: hostname).mailbox
        self.probeSender = sender.map { VerifyKey(.sender, $0) }
    }

    /// Whether mail to an address is taken and thrown away, from anybody and before anything else is asked: it answers
    /// our probes, and servers may ask in turn whether it exists (SEMANTICS §9).
    package func isProbeSender(_ mailbox: Mailbox) -> Bool {
        self.sources.verifier != nil && VerifyKey(.sender, mailbox) == self.probeSender
    }

    /// For a domain that is ours to relay for.
    package func answer(
        _ mailbox: Mailbox, on loop: any EventLoop, under pressure: Verifier.Pressure = .normal
    ) async -> RecipientVerdict {
        if self.isProbeSender(mailbox) { return RecipientVerdict(.discard, "the sender of our own probes") }
        if let place = self.sources.listed(mailbox) { return RecipientVerdict(.known, place) }
        var failure: String?
        for database in self.sources.databases {
            switch await database(mailbox) {
            case .found(let place): return RecipientVerdict(.known, place)
            case .missing: break
            case .failed(let reason): failure = reason
            }
        }
        if let verdict = await self.verified(mailbox, on: loop, pressure) {
            // What no server knows the data base may have.
            if case .unknown = verdict.answer, let failure {
                return RecipientVerdict(.undecided(.listUnavailable), failure)
            }
            return verdict
        }
        if let failure { return RecipientVerdict(.undecided(.listUnavailable), failure) }
        return self.sources.acceptsUnlisted(mailbox)
            ? RecipientVerdict(.known, "no recipients of the domain are known, and unverified mail is accepted")
            : RecipientVerdict(.unknown(.unlistedRecipient), "in no list of recipients")
    }

    /// Nil if recipients of the domain are not asked about.
    private func verified(
        _ mailbox: Mailbox, on loop: any EventLoop, _ pressure: Verifier.Pressure
    ) async -> RecipientVerdict? {
        guard let verifier = self.sources.verifier, let domain = mailbox.domain.name,
            let options = self.sources.verification.options(for: domain)
        else { return nil }
        let answer: Verifier.Answer
        do { answer = try await verifier.verify(mailbox, on: loop, under: pressure).get() } catch {
            // The loop is gone, and with it the session.
            return RecipientVerdict(.undecided(.unverified(.recipient)), "\(error)")
        }
        return RecipientVerdict(self.meaning(of: answer.verdict, options), answer.reason)
    }

    private func meaning(of verdict: Verifier.Verdict, _ options: DomainVerificationOptions) -> RecipientAnswer {
        switch verdict {
        case .accepted: return .known
        case .refused: return .unknown(.undeliverable(.recipient, self.sources.verification.reject))
        case .undecided(.unanswered): return .undecided(.unverified(.recipient))
        case .undecided(.down):
            switch options.unknownWhileDown {
            case .defer: return .undecided(.unverified(.recipient))
            case .acceptAndHold: return .acceptAndHold
            case .reject: return .unknown(.refusedWhileDown)
            }
        }
    }
}

extension Verifier {
    /// For `reject_unverified_sender` and `reject_unverified_recipient`: whether the servers of an address take mail
    /// for it, whatever the tables say. A verifier for senders asks over `Route.direct` of the sender's domain.
    package func verdict(on mailbox: Mailbox, reject: RejectCode, loop: any EventLoop) async -> RecipientVerdict {
        let side: AddressSide = self.kind == .sender ? .sender : .recipient
        let answer: Answer
        do { answer = try await self.verify(mailbox, on: loop).get() } catch {
            // The loop is gone, and with it the session.
            return RecipientVerdict(.undecided(.unverified(side)), "\(error)")
        }
        switch answer.verdict {
        case .accepted: return RecipientVerdict(.known, answer.reason)
        case .refused: return RecipientVerdict(.unknown(.undeliverable(side, reject)), answer.reason)
        case .undecided: return RecipientVerdict(.undecided(.unverified(side)), answer.reason)
        }
    }
}
