import Mail
import NIOCore
import Queue
import SMTP
import TLS

extension Forwarder {
    /// Makes a session with the first server of these next hops that can be reached and is secure enough.
    func open(_ connection: Dispatcher.ConnectionID, _ opening: Opening, _ hops: [NextHop]) {
        self.openings[connection] = opening
        self.finder.servers(of: hops).whenSuccess { plan in
            switch plan {
            case .servers(let servers):
                self.openings[connection]?.servers = servers.filter { !opening.excluded.contains($0.description) }
            case .temporary(let reply), .permanent(let reply): self.openings[connection]?.fail(reply)
            }
            self.tryNextServer(connection)
        }
    }

    private func tryNextServer(_ connection: Dispatcher.ConnectionID) {
        guard let opening = self.openings[connection] else { return }
        guard let server = opening.servers.first else {
            self.openings[connection] = nil
            let failure = opening.failure ?? .exhausted(Reply(451, .init(4, 1), "no more servers to try"))
            return self.handle(.openFailed(connection, failure))
        }
        self.openings[connection]?.servers.removeFirst()
        self.openings[connection]?.attempt = nil
        self.planner.plan(for: server, of: opening.destination, opening.requirement).whenSuccess { planned in
            self.report(planned.noticed, server, connection)
            switch planned.plan {
            case .skip(let reply): self.fail(connection, reply)
            case .connect(let plan): self.connect(connection, server, plan)
            }
        }
    }

    /// The server that was tried is none for this session.
    private func fail(_ connection: Dispatcher.ConnectionID, _ reply: Reply) {
        self.openings[connection]?.fail(reply)
        self.tryNextServer(connection)
    }

    private func connect(_ connection: Dispatcher.ConnectionID, _ server: ServerAddress, _ plan: ConnectionPlan) {
        guard let opening = self.openings[connection] else { return }
        let options = self.generation.options
        let security: ConnectionSecurity?
        do throws(TLSError) {
            security = try self.generation.contexts.security(for: plan)
        } catch {
            return self.fail(connection, Reply(451, .init(7, 5), "client TLS configuration problem: \(error)"))
        }
        self.openings[connection]?.attempt = Opening.Attempt(server: server, plan: plan)
        var permissions = options.permissions(for: opening.destination)
        permissions.secure(by: plan)
        let handler = ClientHandler(
            server: server, connection: connection,
            session: ClientSession(hostname: self.hostname, permissions: permissions), timeouts: options.timeouts,
            loop: self.loop, security: security, delegate: self)
        handler.connect(on: self.loop, within: options.timeouts.connect).whenFailure { error in
            self.fail(
                connection,
                Reply(451, .init(4, 1), "connect to \(server): \(ClientHandler.description(of: error))"))
        }
    }
}

extension Forwarder: ClientHandlerDelegate {
    func sessionSecured(_ handler: ClientHandler, _ session: TLSSession) {
        self.openings[handler.connection]?.attempt?.session = session
        guard let attempt = self.attempt(of: handler) else { return }
        self.report(.init(session.verdict), of: attempt)
    }

    private func attempt(of handler: ClientHandler) -> Opening.Attempt? {
        var attempt = self.openings[handler.connection]?.attempt
        attempt?.sendingAddress = handler.localAddress
        return attempt
    }

    func sessionReady(_ handler: ClientHandler) {
        let attempt = self.attempt(of: handler)
        self.openings[handler.connection] = nil
        if let attempt, attempt.session == nil {
            self.report(.failure(.startTLSNotSupported, reason: nil), of: attempt)
        }
        self.connections[handler.connection] = handler
        self.handle(.ready(handler.connection, remote: handler.server.description, tls: attempt?.summary))
    }

    func sessionFinished(_ handler: ClientHandler, _ outcome: ClientSession.Outcome) {
        self.handle(.finished(handler.connection, outcome))
    }

    func sessionUnusable(_ handler: ClientHandler, _ reason: ClientSession.Unusable) {
        switch reason {
        case .failed(let reply):
            // Whatever it says to a whole session, later it may say something else: nothing fails for good here.
            let text = "\(handler.server) said: \(reply.oneLine)"
            self.fail(handler.connection, Reply(451, reply.detail ?? .init(4, 0), text))
        case .isOurselves:
            let text = "mail loops back to myself: \(handler.server) has our name"
            self.fail(handler.connection, Reply(451, .init(4, 6), text))
        case .insecure(let problem, let reply): self.insecure(handler, problem, reply)
        }
    }

    private func insecure(_ handler: ClientHandler, _ problem: SecurityProblem, _ reply: Reply) {
        let attempt = self.attempt(of: handler)
        // What breaks off behind a handshake was reported with it.
        if let attempt, attempt.session == nil, let failure = problem.reported {
            self.report(.failure(failure, reason: reply.text), of: attempt)
        }
        if let attempt, attempt.plan.mayGoWithout, problem == .handshakeFailed {
            return self.connect(handler.connection, attempt.server, attempt.plan.withoutTLS)
        }
        let isLasting = attempt.map { problem.isLasting(for: $0.plan) } ?? false
        let detail = problem == .requireTLSNotOffered ? Reply.Detail(7, 30) : Reply.Detail(7, 10)
        let text = "\(handler.server): \(reply.text)"
        self.fail(
            handler.connection,
            isLasting ? Reply(550, detail, text) : Reply(451, reply.detail ?? .init(7, 5), text))
    }

    func sessionClosed(_ handler: ClientHandler) {
        // Before it was ready it is no connection of the dispatcher; the next server is being tried.
        guard self.connections[handler.connection] === handler else { return }
        self.connections[handler.connection] = nil
        self.handle(.closed(handler.connection))
    }

    func contentUnreadable(_ handler: ClientHandler, _ message: QueuedMessage, _ error: any Error) {
        if case QueueError.damaged(let what)? = error as? QueueError { self.queue.setAside(message.id, reason: what) }
    }
}

// MARK: - Reports

extension Forwarder {
    /// What became of TLS with a server, if it was to be.
    private func report(_ result: TransportObservation.Result, of attempt: Opening.Attempt) {
        guard let policy = attempt.plan.policy else { return }
        self.report(result, policy, attempt.server, from: attempt.sendingAddress)
    }

    private func report(
        _ noticed: [PlannedServer.Notice], _ server: ServerAddress, _ connection: Dispatcher.ConnectionID
    ) {
        for notice in noticed {
            if notice.isOfDomain {
                guard self.openings[connection]?.hasReportedDomain == false else { continue }
                self.openings[connection]?.hasReportedDomain = true
            }
            self.report(
                .failure(notice.failure, reason: notice.reason), notice.policy, notice.isOfDomain ? nil : server,
                domain: server.origin.domain)
        }
    }

    private func report(
        _ result: TransportObservation.Result, _ policy: TransportObservation.Policy, _ server: ServerAddress?,
        domain: String? = nil, from sendingAddress: IPAddress? = nil
    ) {
        guard let domain = domain ?? server?.origin.domain else { return }
        self.observe(
            TransportObservation(
                domain: domain, policy: policy, result: result, receivingHost: server?.name.asciiLowercased,
                receivingAddress: server?.address, sendingAddress: sendingAddress))
    }
}

extension Reply {
    /// Its lines as one, without the codes.
    var text: String { self.lines.joined(separator: " ") }
}

extension TLSContexts {
    /// nil for plain text.
    func security(for plan: ConnectionPlan) throws(TLSError) -> ConnectionSecurity? {
        switch plan.security {
        case .none: nil
        case .opportunistic, .encrypted, .authenticated:
            ConnectionSecurity(
                context: try self.context(plan.minimumVersion, plan.trust),
                request: TLSClientRequest(serverName: plan.serverName, verification: plan.verification))
        }
    }
}

extension ClientSession.Permissions {
    mutating func secure(by plan: ConnectionPlan) {
        self.security = plan.security
        self.isImplicit = plan.isImplicit
        self.isRequireTLS = plan.isRequireTLS
        self.credentials = plan.credentials
    }
}
