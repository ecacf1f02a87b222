package import Forwarder
package import Mail
package import NIOCore
package import Recipients
package import Resolver

/// Everything that it takes to ask servers about addresses, put together: the cache, who asks, and who knows.
package final class Verification: Sendable {
    /// Of recipients, at the servers of their routes.
    package let recipients: Verifier
    /// Of senders, at the servers of their domains.
    package let senders: Verifier
    private let cache: VerifyCache
    private let callout: Callout
    private let hostname: String

    package struct Context: Sendable {
        package let state: String
        package let hostname: String
        package let listeners: [Endpoint]
        package let interfaces: [IPAddress]
        package let loop: any EventLoop
        package let names: any NameService
        package let clock: WallClock
        /// What domains say of their servers, as for mail: who is asked is told the address.
        package let policies: PolicyLookup?
        /// Of the generation in force.
        package let generation: @Sendable () -> ForwarderGeneration
        /// Gets warnings for the log.
        package let warn: @Sendable (String) -> Void

        package init(
            state: String, hostname: String, listeners: [Endpoint], interfaces: [IPAddress], loop: any EventLoop,
            names: any NameService, clock: WallClock, policies: PolicyLookup? = nil,
            generation: @escaping @Sendable () -> ForwarderGeneration, warn: @escaping @Sendable (String) -> Void
        ) {
            self.state = state
            self.hostname = hostname
            self.listeners = listeners
            self.interfaces = interfaces
            self.loop = loop
            self.names = names
            self.clock = clock
            self.policies = policies
            self.generation = generation
            self.warn = warn
        }
    }

    package init(_ options: RecipientVerificationOptions, _ context: Context) throws {
        let folder = "\(context.state)/\(VerifyArchive.folderName)"
        try FolderMaker.make(folder)
        let cache = try VerifyCache(
            folder: folder, policy: options.policy, settings: options.cacheSettings, clock: context.clock,
            complain: context.warn)
        let callout = Callout(
            loop: context.loop, names: context.names, hostname: context.hostname, listeners: context.listeners,
            interfaces: context.interfaces,
            settings: CalloutSettings(options, context.generation(), hostname: context.hostname),
            policies: context.policies)
        self.cache = cache
        self.callout = callout
        self.hostname = context.hostname
        self.recipients = Verifier(
            .recipient, cache: cache, options: options, clock: context.clock,
            probe: { mailbox in
                let generation = context.generation()
                let lane = generation.lanes.name(mailbox)
                return callout.probe(mailbox, over: generation.routes.route(ofLane: lane))
            }, report: { context.warn("\($0)") })
        self.senders = Verifier(
            .sender, cache: cache, options: options, clock: context.clock,
            probe: { callout.probe($0, over: .direct($0.domain)) }, report: { _ in })
    }

    /// Works with other options from now on. The size of the cache is changed by a restart.
    package func use(_ options: RecipientVerificationOptions, _ forwarder: ForwarderGeneration) {
        self.recipients.use(options)
        self.senders.use(options)
        self.callout.use(CalloutSettings(options, forwarder, hostname: self.hostname))
    }

    /// What is wrong with primaries, for status. It reads the disk.
    package var alarms: [String] {
        self.recipients.troubles.sorted { $0.key < $1.key }.map {
            "recipients of \($0.key) cannot be verified: \($0.value)"
        } + self.recipients.acceptAllDomains.map { "the primary of \($0) accepts every address" }
    }

    /// Addresses of which something is known, and those that are not on the disk yet.
    package var statistics: (entries: Int, waiting: Int) { self.cache.statistics }

    /// After the last session.
    package func shutDown() async {
        await self.callout.stop()
        self.cache.close()
    }
}

extension CalloutSettings {
    init(_ options: RecipientVerificationOptions, _ forwarder: ForwarderGeneration, hostname: String) {
        self.init(sender: options.sender.reversePath(hostname: hostname))
        self.connections = options.connections
        self.connectionsPerRoute = options.connectionsPerRoute
        self.waiting = options.waiting
        self.limit = options.limit
        self.ownAddresses = forwarder.options.ownAddresses
        self.loopbackMX = forwarder.options.loopbackMX
        self.secure(like: forwarder)
    }
}
