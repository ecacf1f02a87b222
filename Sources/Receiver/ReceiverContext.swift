package import Mail
package import NIOCore
package import Queue
package import Resolver
package import Rules
package import SMTP

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

    package init(
        number: Int = 1, limits: SessionLimits, policy: RestrictionPolicy, lanes: LaneNaming,
        content: ContentPolicy = ContentPolicy(), probeSender: Mailbox? = nil,
        services: [String: PolicyService] = [:], givesReferences: Bool = false
    ) {
        self.number = number
        self.limits = limits
        self.policy = policy
        self.lanes = lanes
        self.content = content
        self.probeSender = probeSender
        self.services = services
        self.givesReferences = givesReferences
    }

    func performer(_ shared: ReceiverContext) -> LookupPerformer {
        let (addresses, judge, number) = (shared.addresses, shared.judge, self.number)
        return LookupPerformer(
            names: shared.names, policies: shared.policies, services: self.services,
            addresses: { await addresses($0, number) }, judge: { await judge($0, number) })
    }
}

extension ReceiverContext {
    /// Answers a look-up as a session of a generation would get it.
    package func answer(
        _ lookup: Lookup, of generation: ReceiverGeneration, on loop: any EventLoop
    ) async -> LookupAnswer {
        await generation.performer(self).answer(lookup, on: loop)
    }
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
    /// Answers what restrictions leave to others, such as greylisting, by the generation of this number.
    package let judge: @Sendable (Lookup, Int) async -> Judgement
    /// The generation in force. A session asks at its beginning and for each transaction.
    package let generation: @Sendable () -> ReceiverGeneration

    package init(
        hostname: String, queue: any MailQueue, events: EventSink, clock: WallClock, clients: ClientLimits,
        names: any NameService, policies: PolicyClient,
        addresses: @escaping @Sendable (Lookup, Int) async -> AddressFinding = { _, _ in .unverified },
        judge: @escaping @Sendable (Lookup, Int) async -> Judgement = { _, _ in .notAsked },
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
        self.judge = judge
        self.generation = generation
    }
}
