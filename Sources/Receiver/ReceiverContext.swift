package import Authentication
package import Mail
package import NIOCore
package import Queue
package import Resolver
package import Rules
package import SMTP
package import TLS

/// What decides about mail, of one generation of the configuration.
package struct ReceiverGeneration: Sendable {
    /// Which generation this is, for the log.
    package let number: Int
    package let limits: SessionLimits
    package let policy: RestrictionPolicy
    package let lanes: LaneNaming
    package let content: ContentPolicy
    /// The address under which we ask servers about addresses: mail to it is taken from anybody and thrown away, for
    /// servers may ask in turn whether it exists (SEMANTICS §9).
    package let probeSender: Mailbox?
    /// Policy services by the text in the configuration.
    package let services: [String: PolicyService]
    /// Whether refusals end with a reference to their line in the log.
    package let givesReferences: Bool
    /// Nil finds out nothing and signs nothing.
    package let authentication: AuthenticationPolicy?
    /// Whether clients must encrypt before they may say anything of consequence; where there is TLS.
    package let requiresTLS: Bool

    package init(
        number: Int = 1, limits: SessionLimits, policy: RestrictionPolicy, lanes: LaneNaming,
        content: ContentPolicy = ContentPolicy(), probeSender: Mailbox? = nil,
        services: [String: PolicyService] = [:], givesReferences: Bool = false,
        authentication: AuthenticationPolicy? = nil, requiresTLS: Bool = false
    ) {
        self.number = number
        self.limits = limits
        self.policy = policy
        self.lanes = lanes
        self.content = content
        self.probeSender = probeSender
        self.services = services
        self.givesReferences = givesReferences
        self.authentication = authentication
        self.requiresTLS = requiresTLS
    }

    /// - Parameters:
    ///   - checks: what is known of the transaction's sender.
    ///   - isPreview: nothing of it happens, so that nothing is remembered of it.
    func performer(
        _ shared: ReceiverContext, _ checks: SenderChecks = SenderChecks(), isPreview: Bool = false,
        on loop: any EventLoop
    ) -> LookupPerformer {
        let (addresses, number) = (shared.addresses, self.number)
        return LookupPerformer(
            names: shared.names, policies: shared.policies, services: self.services,
            addresses: { await addresses($0, number) },
            judge: { await self.judgement(of: $0, shared, checks, isPreview: isPreview, on: loop) })
    }

    private func judgement(
        of lookup: Lookup, _ shared: ReceiverContext, _ checks: SenderChecks, isPreview: Bool, on loop: any EventLoop
    ) async -> Judgement {
        switch lookup {
        case .spf(let question):
            guard let finding = await self.spf(question, shared, checks, on: loop) else { return .notAsked }
            return self.authentication?.judgement(of: finding, on: question) ?? .notAsked
        case .greylist(let question):
            let circumstances = GreylistCircumstances(generation: self.number, remembers: !isPreview) {
                await self.spf(question.spf, shared, checks, on: loop)?.passedDomain
            }
            return await shared.greylist(question, circumstances)
        case .names, .policy, .recipient, .verification, .pause: return .notAsked
        }
    }

    /// What SPF says of a sender; asked once, and remembered for the transaction. Nil if it is not known how to ask.
    func spf(
        _ question: SPFQuestion, _ shared: ReceiverContext, _ checks: SenderChecks, on loop: any EventLoop
    ) async -> SPFFinding? {
        guard let authentication else { return nil }
        let (names, now) = (NameSource(shared.names, on: loop), shared.clock.now())
        return await checks.finding(on: question) {
            await authentication.spf.finding(on: AuthenticatedClient(question), names: names, at: now)
        }
    }
}

extension ReceiverContext {
    /// Answers a look-up as a session of a generation would get it, and remembers nothing of it.
    package func preview(
        _ lookup: Lookup, of generation: ReceiverGeneration, on loop: any EventLoop
    ) async -> LookupAnswer {
        await generation.performer(self, isPreview: true, on: loop).answer(lookup, on: loop)
    }
}

/// Says whether a stranger has to come again.
package typealias GreylistJudge = @Sendable (GreylistQuestion, GreylistCircumstances) async -> Judgement

/// What it depends on besides the question.
package struct GreylistCircumstances: Sendable {
    /// By which the transaction is judged.
    package let generation: Int
    /// False for explanations.
    package let remembers: Bool
    /// The domain whose mail it is by SPF; to be asked only if the answer matters.
    package let spfPass: @Sendable () async -> DomainName?

    package init(generation: Int, remembers: Bool, spfPass: @escaping @Sendable () async -> DomainName?) {
        self.generation = generation
        self.remembers = remembers
        self.spfPass = spfPass
    }
}

/// Which way a client came in. A TLS session of one is not resumed at the other (SEMANTICS §17, 12).
package enum ReceiverService: Hashable, Sendable {
    /// With STARTTLS.
    case smtp
    /// TLS first.
    case implicitTLS
}

/// What all sessions share.
package struct ReceiverContext: Sendable {
    package let hostname: String
    package let queue: any MailQueue
    package let events: EventSink
    package let clock: WallClock
    package let clients: ClientLimits
    package let names: any NameService
    package let policies: PolicyClient
    /// Says of an address what the tables do not, by the generation of this number.
    package let addresses: @Sendable (Lookup, Int) async -> AddressFinding
    /// Answers ``Lookup/greylist(_:)``.
    package let greylist: GreylistJudge
    /// Told of what was found out about each message that was authenticated, whatever became of it.
    package let observe: @Sendable (AuthenticationFinding, [Recipient]) -> Void
    /// What TLS begins with; nil if there is none. A session asks at its beginning, and again when TLS begins, so that
    /// new certificates are shown at once.
    package let tls: @Sendable (ReceiverService) -> TLSServerContext?
    /// The generation in force. A session asks at its beginning and for each transaction.
    package let generation: @Sendable () -> ReceiverGeneration

    package init(
        hostname: String, queue: any MailQueue, events: EventSink, clock: WallClock, clients: ClientLimits,
        names: any NameService, policies: PolicyClient,
        addresses: @escaping @Sendable (Lookup, Int) async -> AddressFinding = { _, _ in .unverified },
        greylist: @escaping GreylistJudge = { _, _ in .notAsked },
        observe: @escaping @Sendable (AuthenticationFinding, [Recipient]) -> Void = { _, _ in },
        tls: @escaping @Sendable (ReceiverService) -> TLSServerContext? = { _ in nil },
        generation: @escaping @Sendable () -> ReceiverGeneration
    ) {
        self.hostname = hostname
        self.queue = queue
        self.events = events
        self.clock = clock
        self.clients = clients
        self.names = names
        self.policies = policies
        self.addresses = addresses
        self.greylist = greylist
        self.observe = observe
        self.tls = tls
        self.generation = generation
    }
}
