import Glibc
package import Mail
package import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Answers GET and HEAD over HTTP/1.1, one request a connection, on the loopback and on a unix socket.
package final class MetricsServer: Sendable {
    package struct Limits: Sendable {
        /// Who comes above it is told 503.
        package var connections = 16
        /// Octets that a client may send.
        package var requestBytes = 16 * 1024
        /// Until the request is there.
        package var requestTime = TimeAmount.seconds(10)
        /// Until the answer is read, however long it is.
        package var totalTime = TimeAmount.seconds(120)
        /// For the client to close, once everything is sent.
        package var lingerTime = TimeAmount.seconds(2)

        package init() {}
    }

    private typealias Listener = NIOAsyncChannel<AcceptedChannel, Never>
    private typealias Input = NIOAsyncChannelInboundStream<HTTPServerRequestPart>

    private let listeners: [Listener]
    private let socket: String?
    private let source: any MetricsSource
    private let limits: Limits
    private let open = Atomic<Int>(0)

    /// Where it listens, with the ports that the system chose.
    package let endpoints: [Endpoint]

    /// Begins to listen. A socket that nobody listens at any more is replaced.
    ///
    /// - Throws: `StartError`.
    package init(
        _ options: MetricsOptions, source: any MetricsSource, group: any EventLoopGroup, limits: Limits = Limits()
    ) async throws {
        self.source = source
        self.limits = limits
        self.socket = options.socket
        var (listeners, endpoints): ([Listener], [Endpoint]) = ([], [])
        do {
            for endpoint in options.listen {
                let listener = try await Self.listen(endpoint, group, limits)
                listeners.append(listener)
                endpoints.append(Endpoint(endpoint.address, port: listener.channel.localAddress?.port ?? endpoint.port))
            }
            if let path = options.socket { listeners.append(try await Self.listen(path, group, limits)) }
        } catch {
            for listener in listeners { listener.channel.close(promise: nil) }
            throw error
        }
        self.listeners = listeners
        self.endpoints = endpoints
    }

    private static func listen(
        _ endpoint: Endpoint, _ group: any EventLoopGroup, _ limits: Limits
    ) async throws -> Listener {
        do {
            return try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: endpoint.address.description, port: endpoint.port) { Self.connection($0, limits) }
        } catch {
            throw PosternDaemon.StartError.failed("cannot listen on \(endpoint): \(error.systemReason)")
        }
    }

    private static func listen(
        _ path: String, _ group: any EventLoopGroup, _ limits: Limits
    ) async throws -> Listener {
        guard (try? ControlClient(path: path)) == nil else {
            throw PosternDaemon.StartError.failed("another program listens on \(path)")
        }
        try PosternDaemon.makeFolder(of: path)
        if unlink(path) != 0, errno != ENOENT {
            throw PosternDaemon.StartError.failed("cannot replace \(path): \(String(cString: strerror(errno)))")
        }
        let listener: Listener
        do {
            listener = try await ServerBootstrap(group: group)
                .bind(unixDomainSocketPath: path) { Self.connection($0, limits) }
        } catch {
            throw PosternDaemon.StartError.failed("cannot listen on \(path): \(error.systemReason)")
        }
        chmod(path, 0o660)
        return listener
    }

    private static func connection(_ channel: any Channel, _ limits: Limits) -> EventLoopFuture<AcceptedChannel> {
        AcceptedChannel.initialize(channel) { pipeline in
            try pipeline.addHandler(RequestLimitHandler(bytes: limits.requestBytes))
            // One request is read of each connection, so nothing has to be put in order.
            try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: true)
        }
    }

    /// Answers until the task is cancelled or the listeners closed. Answers that are on their way then are cut off.
    package func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for listener in self.listeners { group.addTask { try await self.accept(listener) } }
        }
    }

    private func accept(_ listener: Listener) async throws {
        let isUnix = listener.channel.localAddress?.protocol == .unix
        try await withThrowingDiscardingTaskGroup { group in
            try await listener.executeThenClose { connections in
                for try await connection in connections {
                    let place = self.open.add(1, ordering: .relaxed).newValue
                    group.addTask {
                        await self.serve(connection, isUnix: isUnix, isRefused: place > self.limits.connections)
                        self.open.subtract(1, ordering: .relaxed)
                    }
                }
            }
            group.cancelAll()
        }
    }

    package func close() {
        for listener in self.listeners { listener.channel.close(promise: nil) }
        if let socket { unlink(socket) }
    }

    /// - Parameter isRefused: there are too many. The request is not waited for.
    private func serve(_ connection: AcceptedChannel, isUnix: Bool, isRefused: Bool) async {
        let channel = connection.channel
        let total = channel.close(in: isRefused ? self.limits.lingerTime : self.limits.totalTime)
        let request = channel.close(in: self.limits.requestTime)
        defer {
            total.cancel()
            request.cancel()
        }
        do {
            try await connection.serve { (inbound: Input, outbound) in
                var parts = inbound.makeAsyncIterator()
                var answer = MetricsAnswer(channel: channel, output: outbound)
                if isRefused {
                    try await answer.send(.serviceUnavailable, "too many connections\n")
                } else {
                    guard let head = try await Self.head(&parts) else { return }
                    request.cancel()
                    answer.isHead = head.method == .HEAD
                    answer.version = head.version
                    try await self.answer(head, isUnix: isUnix, &answer)
                }
                try await answer.end()
                // Closing at once could take back what is not read yet.
                let linger = channel.close(in: self.limits.lingerTime)
                defer { linger.cancel() }
                while try await parts.next() != nil {}
            }
        } catch {
            // The client went away, was too slow or spoke no HTTP: nobody is left to be told.
        }
    }

    /// The request, of which only the head is looked at; nil if the client went before its end.
    private static func head(
        _ parts: inout Input.AsyncIterator
    ) async throws -> HTTPRequestHead? {
        var head: HTTPRequestHead?
        while let part = try await parts.next() {
            switch part {
            case .head(let found): head = found
            case .body: break
            case .end: return head
            }
        }
        return nil
    }

    private func answer(_ head: HTTPRequestHead, isUnix: Bool, _ answer: inout MetricsAnswer) async throws {
        let host = isUnix ? nil : head.headers.first(name: "host") ?? ""
        let route = MetricsRoute(method: head.method.rawValue, target: head.uri, host: host)
        if case .refused(let code, let text) = route {
            return try await answer.send(HTTPResponseStatus(statusCode: code), text + "\n")
        }
        if let ending = self.source.ending { return try await answer.send(.serviceUnavailable, ending + "\n") }
        do { try await self.answer(route, &answer) } catch {
            // Once an answer has begun, all that can be done is to break it off where everybody sees it.
            guard !answer.hasBegun else { throw error }
            try await answer.send(.serviceUnavailable, "\(error)\n")
        }
    }

    private func answer(_ route: MetricsRoute, _ answer: inout MetricsAnswer) async throws {
        switch route {
        case .metrics: try await answer.send(.ok, try await self.source.metrics(), type: Exposition.contentType)
        case .health:
            let problem = try await self.source.problem()
            try await answer.send(problem == nil ? .ok : .serviceUnavailable, (problem ?? "ok") + "\n")
        case .status:
            let text = String(decoding: try await self.source.status(), as: UTF8.self)
            try await answer.send(.ok, text + "\n", type: MetricsAnswer.json)
        case .queue(let filter):
            let list = try await answer.beginList()
            if !answer.isHead {
                try await self.source.queue(filter) { try await list.add($0) }
                try await list.end()
            }
        case .refused: break
        }
    }
}

extension Channel {
    fileprivate func close(in time: TimeAmount) -> Scheduled<Void> {
        self.eventLoop.scheduleTask(in: time) { self.close(promise: nil) }
    }
}
