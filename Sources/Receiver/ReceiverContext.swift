package import Mail
package import Queue
package import Rules
package import SMTP

/// What decides about mail, of one generation of the configuration.
package struct ReceiverGeneration: Sendable {
    package let limits: SessionLimits
    package let relay: RelayPolicy
    package let lanes: LaneNaming

    package init(limits: SessionLimits, relay: RelayPolicy, lanes: LaneNaming) {
        self.limits = limits
        self.relay = relay
        self.lanes = lanes
    }
}

/// What all sessions share.
package struct ReceiverContext: Sendable {
    package let hostname: String
    package let queue: any MailQueue
    package let events: EventSink
    package let clock: WallClock
    package let clients: ClientLimits
    /// The generation in force. A session asks at its beginning and for each transaction.
    package let generation: @Sendable () -> ReceiverGeneration

    package init(
        hostname: String, queue: any MailQueue, events: EventSink, clock: WallClock, clients: ClientLimits,
        generation: @escaping @Sendable () -> ReceiverGeneration
    ) {
        self.hostname = hostname
        self.queue = queue
        self.events = events
        self.clock = clock
        self.clients = clients
        self.generation = generation
    }
}
