package import Mail
package import NIOCore
package import Resolver
package import SMTP

/// How servers are asked about addresses.
package struct CalloutSettings: Sendable {
    /// Who asks. Many servers refuse the null reverse-path here (SEMANTICS §9).
    package var sender: ReversePath
    /// Connections at once, and of these to the servers of one route.
    package var connections = 20
    package var connectionsPerRoute = 5
    /// Probes that wait for one of them; more are given up at once.
    package var waiting = 1000
    /// For a whole probe, all of its servers together; not counted while it waits.
    package var limit = Duration.seconds(60)
    package var timeouts: ClientTimeouts
    /// As in ``ForwarderOptions``.
    package var ownAddresses: [IPAddress] = []
    package var loopbackMX = false
    /// What connections must have, as if mail were sent; nil for plain text only.
    private(set) var security: (plans: ForwarderSecurity, contexts: TLSContexts)?

    package init(sender: ReversePath) {
        self.sender = sender
        var timeouts = ClientTimeouts()
        (timeouts.connect, timeouts.greeting, timeouts.helo) = (.seconds(10), .seconds(30), .seconds(30))
        (timeouts.mail, timeouts.rcpt, timeouts.rset, timeouts.quit) =
            (.seconds(30), .seconds(30), .seconds(5), .seconds(5))
        self.timeouts = timeouts
    }

    /// Connections are made as the forwarder of a generation makes them: an address is a secret of its own.
    package mutating func secure(like generation: ForwarderGeneration) {
        self.security = (generation.security, generation.contexts)
    }
}

/// Asks servers whether they would take mail for an address: MAIL, RCPT, RSET, and no content (SEMANTICS §9).
///
/// Sendable: everything that changes is touched on `loop` only.
package final class Callout: @unchecked Sendable {
    let loop: any EventLoop
    let hostname: String
    private let names: any NameService
    private let policies: PolicyLookup
    private let listeners: [Endpoint]
    private let interfaces: [IPAddress]
    private(set) var settings: CalloutSettings
    /// Those with a connection, or looking for one.
    private var running: [ObjectIdentifier: CalloutProbe] = [:]
    private var runningByRoute: [String: Int] = [:]
    private var waiting: [CalloutProbe] = []
    /// Whoever asks about an address that is being asked about gets the same answer.
    private var byQuestion: [Question: EventLoopFuture<ProbeResult>] = [:]
    private var isStopped = false

    private struct Question: Hashable {
        let mailbox: Mailbox
        let route: String
    }

    /// - Parameters:
    ///   - listeners: where we listen, so that we do not ask ourselves.
    ///   - interfaces: the addresses of this machine.
    ///   - policies: what recipients' domains say of their servers.
    package init(
        loop: any EventLoop, names: any NameService, hostname: String, listeners: [Endpoint], interfaces: [IPAddress],
        settings: CalloutSettings, policies: PolicyLookup? = nil
    ) {
        self.loop = loop
        self.policies = policies ?? { _ in loop.makeSucceededFuture(.none) }
        self.names = names
        self.hostname = hostname
        self.listeners = listeners
        self.interfaces = interfaces
        self.settings = settings
    }

    package func use(_ settings: CalloutSettings) { self.loop.execute { self.settings = settings } }

    /// Asks the servers of a route about an address. From any thread; it never fails.
    package func probe(_ mailbox: Mailbox, over route: Route) -> EventLoopFuture<ProbeResult> {
        self.loop.flatSubmit { self.begin(mailbox, route) }
    }

    package struct Status: Hashable, Sendable {
        package let running: Int
        package let waiting: Int

        package init(running: Int, waiting: Int) {
            self.running = running
            self.waiting = waiting
        }
    }

    package func status() async throws -> Status {
        try await self.loop.submit { Status(running: self.running.count, waiting: self.waiting.count) }.get()
    }

    /// Gives up what waits and what is under way.
    package func stop() async {
        // Only a loop that is gone does not run this, and nothing is under way on one.
        try? await self.loop.submit {
            self.isStopped = true
            let waiting = self.waiting
            self.waiting = []
            for probe in waiting { probe.giveUp("the service ends") }
            for probe in Array(self.running.values) { probe.giveUp("the service ends") }
        }.get()
    }

    // MARK: On the loop

    private func begin(_ mailbox: Mailbox, _ route: Route) -> EventLoopFuture<ProbeResult> {
        let hops: [NextHop]
        switch route {
        case .nextHops(let list): hops = list
        // What the administrator says of the address needs no server.
        case .fail(let reply): return self.loop.makeSucceededFuture(ProbeResult(.unknown, reply))
        case .retry(let reply): return self.loop.makeSucceededFuture(ProbeResult(.temporary, reply))
        case .discard:
            return self.loop.makeSucceededFuture(ProbeResult(.accepted, Reply(250, .init(1, 5), "discarded")))
        }
        let question = Question(mailbox: mailbox, route: route.key)
        if let answer = self.byQuestion[question] { return answer }
        guard !self.isStopped, self.waiting.count < self.settings.waiting else {
            return self.loop.makeSucceededFuture(
                ProbeResult(.unreachable, Reply(451, .init(3, 2), "too many addresses wait to be verified")))
        }
        let probe = CalloutProbe(mailbox, route: route.key, hops: hops, callout: self)
        let answer = probe.answer
        self.byQuestion[question] = answer
        answer.whenComplete { _ in self.byQuestion[question] = nil }
        self.waiting.append(probe)
        self.startWaiting()
        return answer
    }

    private func startWaiting() {
        while self.running.count < self.settings.connections,
            let index = self.waiting.firstIndex(where: {
                self.runningByRoute[$0.route, default: 0] < self.settings.connectionsPerRoute
            })
        {
            let probe = self.waiting.remove(at: index)
            self.running[ObjectIdentifier(probe)] = probe
            self.runningByRoute[probe.route, default: 0] += 1
            probe.start()
        }
    }

    var finder: ServerFinder {
        let identity = OwnIdentity(
            hostname: self.hostname, addresses: self.interfaces + self.settings.ownAddresses,
            listeners: self.listeners, allowsLoopback: self.settings.loopbackMX)
        return ServerFinder(names: self.names, identity: identity, loop: self.loop)
    }

    /// nil where everything goes in plain text.
    var planner: ConnectionPlanner? {
        self.settings.security.map {
            ConnectionPlanner(
                security: $0.plans, associations: AssociationFinder(names: self.names, loop: self.loop),
                policies: self.policies, loop: self.loop)
        }
    }

    /// A probe has neither a connection nor anything to wait for.
    func ended(_ probe: CalloutProbe) {
        guard self.running.removeValue(forKey: ObjectIdentifier(probe)) != nil else { return }
        let left = self.runningByRoute[probe.route, default: 1] - 1
        self.runningByRoute[probe.route] = left > 0 ? left : nil
        // Not from within: probes that end at once would call each other.
        self.loop.execute { self.startWaiting() }
    }
}
