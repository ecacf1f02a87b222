import Mail
import NIOCore
import Queue
import SMTP
import TLS

/// A session with a server up to where mail would begin, and the one without TLS that may follow. All on one loop.
final class ServerVisitor: ClientHandlerDelegate {
    private let server: ServerAddress
    private let contexts: TLSContexts
    private let hostname: String
    private let timeouts: ClientTimeouts
    private let loop: any EventLoop
    private let promise: EventLoopPromise<ProbedServer.Visit>
    private var visit = ProbedServer.Visit()
    private var handler: ClientHandler?
    private var plan: ConnectionPlan?

    init(
        _ server: ServerAddress, contexts: TLSContexts, hostname: String, timeouts: ClientTimeouts, loop: any EventLoop
    ) {
        self.server = server
        self.contexts = contexts
        self.hostname = hostname
        self.timeouts = timeouts
        self.loop = loop
        self.promise = loop.makePromise(of: ProbedServer.Visit.self)
        // Handlers do not hold whom they tell.
        let visitor = NIOLoopBound(self, eventLoop: loop)
        self.promise.futureResult.whenComplete { _ in withExtendedLifetime(visitor) {} }
    }

    /// When the server is gone.
    var answer: EventLoopFuture<ProbedServer.Visit> { self.promise.futureResult }

    func connect(_ plan: ConnectionPlan) {
        let security: ConnectionSecurity?
        do throws(TLSError) { security = try self.contexts.security(for: plan) } catch {
            return self.end("client TLS configuration problem: \(error)")
        }
        var permissions = ClientSession.Permissions()
        permissions.secure(by: plan)
        let handler = ClientHandler(
            server: self.server, connection: .init(number: 0),
            session: ClientSession(hostname: self.hostname, permissions: permissions), timeouts: self.timeouts,
            loop: self.loop, security: security, delegate: self)
        (self.handler, self.plan) = (handler, plan)
        let visitor = NIOLoopBound(self, eventLoop: self.loop)
        handler.connect(on: self.loop, within: self.timeouts.connect).whenFailure { error in
            visitor.value.end("connect to \(visitor.value.server): \(ClientHandler.description(of: error))")
        }
    }

    private func end(_ reason: String? = nil) {
        if let reason { self.visit.reason = reason }
        self.handler = nil
        self.promise.succeed(self.visit)
    }

    // MARK: ClientHandlerDelegate

    func sessionSecured(_ handler: ClientHandler, _ session: TLSSession) {
        guard handler === self.handler else { return }
        self.visit.session = session
    }

    func sessionReady(_ handler: ClientHandler) {
        guard handler === self.handler else { return }
        self.visit.isUsable = true
        if self.plan?.security != SecurityLevel.none {
            if self.visit.session == nil {
                self.visit.reason = "no TLS is offered: mail goes in plain text"
            } else {
                self.visit.offersRequireTLS = handler.extensions.requireTLS
            }
        }
        handler.quit()
    }

    func sessionUnusable(_ handler: ClientHandler, _ reason: ClientSession.Unusable) {
        guard handler === self.handler else { return }
        switch reason {
        case .insecure(.handshakeFailed, let reply):
            self.visit.reason = reply.text
            guard let plan = self.plan, plan.mayGoWithout else { return }
            self.visit.reason = "\(reply.text); mail goes in plain text"
            self.visit.session = nil
            self.connect(plan.withoutTLS)
        case .insecure(_, let reply): self.visit.reason = reply.text
        case .failed(let reply): self.visit.reason = reply.oneLine
        case .isOurselves: self.visit.reason = "mail loops back to myself: the server has our name"
        }
    }

    func sessionClosed(_ handler: ClientHandler) {
        // One that failed is not waited for when there is another.
        guard handler === self.handler else { return }
        self.end()
    }

    func sessionFinished(_ handler: ClientHandler, _ outcome: ClientSession.Outcome) {}

    func contentUnreadable(_ handler: ClientHandler, _ message: QueuedMessage, _ error: any Error) {}
}
