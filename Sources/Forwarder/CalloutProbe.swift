import Mail
import NIOCore
import Queue
import SMTP
import TLS

/// One address asked of the servers of its route, one after the other until one decides. All on the loop of its callout,
/// which keeps it until ``Callout/ended(_:)``.
final class CalloutProbe: ClientHandlerDelegate {
    let route: String
    private let mailbox: Mailbox
    private let hops: [NextHop]
    private let callout: Callout
    private let promise: EventLoopPromise<ProbeResult>
    private var servers: [ServerAddress] = []
    /// What became of the servers tried so far.
    private var failure: ProbeResult?
    private var handler: ClientHandler?
    /// What the connection to it must have; nil for plain text.
    private var plan: ConnectionPlan?
    private var timer: Scheduled<Void>?
    private var hasAsked = false
    private var hasAnswered = false

    init(_ mailbox: Mailbox, route: String, hops: [NextHop], callout: Callout) {
        self.mailbox = mailbox
        self.route = route
        self.hops = hops
        self.callout = callout
        self.promise = callout.loop.makePromise(of: ProbeResult.self)
    }

    var answer: EventLoopFuture<ProbeResult> { self.promise.futureResult }

    func start() {
        let probe = NIOLoopBound(self, eventLoop: self.callout.loop)
        self.timer = self.callout.loop.scheduleTask(in: .microseconds(self.callout.settings.limit.microseconds)) {
            probe.value.giveUp("timed out")
        }
        self.callout.finder.servers(of: self.hops).whenSuccess { plan in
            switch plan {
            case .servers(let servers): probe.value.servers = servers
            case .temporary(let reply): probe.value.failure = ProbeResult(.unreachable, reply)
            // A domain that takes no mail has no addresses; what is wrong with routes says nothing of them.
            case .permanent(let reply):
                probe.value.failure = ProbeResult(reply.detail?.subject == 1 ? .unknown : .unreachable, reply)
            }
            probe.value.tryNextServer()
        }
    }

    /// Answers that nothing was found out, and lets go of the server.
    func giveUp(_ reason: String) {
        self.finish(ProbeResult(.unreachable, Reply(451, .init(4, 1), "verification: \(reason)")))
        self.handler?.close()
    }

    private func finish(_ result: ProbeResult) {
        guard !self.hasAnswered else { return }
        self.hasAnswered = true
        self.timer?.cancel()
        self.promise.succeed(result)
    }

    private func tryNextServer() {
        guard !self.hasAnswered, !self.servers.isEmpty else {
            self.handler = nil
            self.finish(self.failure ?? ProbeResult(.unreachable, Reply(451, .init(4, 1), "no server to ask")))
            return self.callout.ended(self)
        }
        let server = self.servers.removeFirst()
        // The one before is not waited for.
        (self.handler, self.plan) = (nil, nil)
        guard let planner = self.callout.planner else { return self.connect(server, nil) }
        let probe = NIOLoopBound(self, eventLoop: self.callout.loop)
        planner.plan(for: server, of: self.route, .unspecified).whenSuccess { planned in
            switch planned.plan {
            case .skip(let reply): probe.value.failed(ProbeResult(.unreachable, reply))
            case .connect(let plan): probe.value.connect(server, plan)
            }
        }
    }

    /// - Parameter plan: nil for plain text.
    private func connect(_ server: ServerAddress, _ plan: ConnectionPlan?) {
        guard !self.hasAnswered else { return self.tryNextServer() }
        var permissions = ClientSession.Permissions()
        var security: ConnectionSecurity?
        if let plan {
            permissions.secure(by: plan)
            do throws(TLSError) { security = try self.callout.settings.security?.contexts.security(for: plan) } catch {
                return self.failed(ProbeResult(.unreachable, Reply(451, .init(7, 5), "TLS: \(error)")))
            }
        }
        let handler = ClientHandler(
            server: server, connection: .init(number: 0),
            session: ClientSession(hostname: self.callout.hostname, permissions: permissions),
            timeouts: self.callout.settings.timeouts, loop: self.callout.loop, security: security, delegate: self)
        (self.handler, self.plan) = (handler, plan)
        self.hasAsked = false
        let probe = NIOLoopBound(self, eventLoop: self.callout.loop)
        handler.connect(on: self.callout.loop, within: self.callout.settings.timeouts.connect).whenFailure { error in
            let reply = Reply(451, .init(4, 1), "connect to \(server): \(ClientHandler.description(of: error))")
            probe.value.failed(ProbeResult(.unreachable, reply))
        }
    }

    private func failed(_ result: ProbeResult) {
        // A server that was asked says more than one that is not there.
        if self.failure.map({ $0.verdict == .unreachable }) ?? true { self.failure = result }
        self.tryNextServer()
    }

    // MARK: ClientHandlerDelegate

    func sessionReady(_ handler: ClientHandler) {
        guard handler === self.handler, !self.hasAsked, !self.hasAnswered else { return handler.quit() }
        self.hasAsked = true
        var envelope = Envelope(reversePath: self.callout.settings.sender)
        envelope.recipients = [Recipient(self.mailbox)]
        handler.ask(
            ClientSession.Delivery(
                envelope: envelope, contentBytes: 0, needsSMTPUTF8: !self.mailbox.isASCII, client: nil,
                id: QueueID(value: 0), extent: .recipients))
    }

    func sessionFinished(_ handler: ClientHandler, _ outcome: ClientSession.Outcome) {
        guard handler === self.handler, let reply = outcome.replies.first else { return }
        let remote = handler.server.description
        // With 421 the server goes, and perhaps only this one.
        if outcome.refusedSender, reply.code != 421 {
            return self.finish(ProbeResult(earlyReply: reply, remote: remote))
        }
        switch outcome.standing {
        case .decided: self.finish(ProbeResult(recipientReply: reply, remote: remote))
        // It lacks SMTPUTF8.
        case .unsuitable: self.finish(ProbeResult(.blocked, reply, remote: remote))
        // A server that answers and then breaks off over a recipient is there; one that says 421 goes.
        case .brokenEarly, .broken:
            self.failed(ProbeResult(reply.code == 421 ? .unreachable : .temporary, reply, remote: remote))
        }
    }

    func sessionUnusable(_ handler: ClientHandler, _ reason: ClientSession.Unusable) {
        guard handler === self.handler else { return }
        switch reason {
        case .failed(let reply) where reply.outcome == .permanent:
            self.failed(ProbeResult(.blocked, reply, remote: handler.server.description))
        case .insecure(.handshakeFailed, let reply):
            guard let plan = self.plan, plan.mayGoWithout else {
                return self.failed(ProbeResult(.unreachable, reply, remote: handler.server.description))
            }
            self.connect(handler.server, plan.withoutTLS)
        case .failed(let reply), .insecure(_, let reply):
            self.failed(ProbeResult(.unreachable, reply, remote: handler.server.description))
        case .isOurselves:
            let reply = Reply(451, .init(4, 6), "mail loops back to myself: \(handler.server) has our name")
            self.failed(ProbeResult(.unreachable, reply))
        }
    }

    func sessionClosed(_ handler: ClientHandler) {
        // A server before the present one is no longer waited for.
        guard handler === self.handler else { return }
        self.servers = []
        self.tryNextServer()
    }

    func contentUnreadable(_ handler: ClientHandler, _ message: QueuedMessage, _ error: any Error) {}
}
