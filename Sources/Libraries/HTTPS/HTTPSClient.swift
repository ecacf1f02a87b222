internal import Glibc
package import NIOCore
internal import NIOHTTP1
internal import NIOPosix
package import TLS

/// A small HTTPS client: one request on one connection, no redirections, no cookies, no compression, no pool.
///
/// async-http-client would bring NIOSSL, and with it a second TLS library (BoringSSL), which gets no security updates
/// from the distribution; a policy in some hundred octets a day and domain, and a report a day, are no reason for one.
///
/// From any thread.
package final class HTTPSClient: Sendable {
    private let context: TLSClientContext

    package init(context: TLSClientContext) {
        self.context = context
    }

    /// Asks a server.
    ///
    /// - Parameter loop: what it runs on, and where the future is fulfilled.
    /// - Returns: the answer, whatever its status; it fails with an ``HTTPSError`` and nothing else.
    package func send(_ request: HTTPSRequest, on loop: any EventLoop) -> EventLoopFuture<HTTPSResponse> {
        guard request.canBeWritten else {
            return loop.makeFailedFuture(HTTPSError.unreachable("host or path cannot be written"))
        }
        let promise = loop.makePromise(of: HTTPSResponse.self)
        loop.execute {
            // It is kept by its timer, its attempts to connect and its handler.
            HTTPSAttempt(request, self.context, loop, promise).start()
        }
        return promise.futureResult
    }
}

/// One request on its way. On its loop only.
final class HTTPSAttempt {
    /// Further ones are not tried.
    private static let maximumAddresses = 6

    let request: HTTPSRequest
    private let context: TLSClientContext
    private let loop: any EventLoop
    private let promise: EventLoopPromise<HTTPSResponse>
    private let deadline: NIODeadline
    private var addresses: ArraySlice<String>
    private var timer: Scheduled<Void>?
    private var channel: (any Channel)?
    private var isDone = false
    private var lastError = HTTPSError.unreachable("no address")

    init(
        _ request: HTTPSRequest, _ context: TLSClientContext, _ loop: any EventLoop,
        _ promise: EventLoopPromise<HTTPSResponse>
    ) {
        self.request = request
        self.context = context
        self.loop = loop
        self.promise = promise
        self.deadline = .now() + TimeAmount(request.timeout)
        self.addresses = request.addresses.prefix(Self.maximumAddresses)
    }

    func start() {
        self.timer = self.loop.assumeIsolated().scheduleTask(deadline: self.deadline) {
            self.finish(.failure(.timeout))
        }
        self.connect()
    }

    /// Each address gets its part of the time that is left, so that a silent one does not use up all.
    private func connect() {
        guard !self.isDone else { return }
        guard let address = self.addresses.first else { return self.finish(.failure(self.lastError)) }
        let left = self.deadline - .now()
        let share = TimeAmount.nanoseconds(max(left.nanoseconds / Int64(self.addresses.count), 1))
        self.addresses = self.addresses.dropFirst()
        // It only throws for what is not numeric.
        guard let target = try? SocketAddress(ipAddress: address, port: self.request.port) else {
            self.lastError = .unreachable("\(address) is no address")
            return self.connect()
        }
        let bound = NIOLoopBound(self, eventLoop: self.loop)
        ClientBootstrap(group: self.loop)
            .connectTimeout(share)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.addHandlers(to: channel) }
            }
            .connect(to: target)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel): self.connected(channel)
                case .failure(let error):
                    self.lastError = .unreachable("\(address): \(Self.description(of: error))")
                    self.connect()
                }
            }
    }

    private func connected(_ channel: any Channel) {
        // The time was up, or what came at once was enough.
        guard !self.isDone else { return channel.close(promise: nil) }
        self.channel = channel
    }

    private func addHandlers(to channel: any Channel) throws {
        let verification = self.request.trust == .verified ? TLSVerification.names([self.request.host]) : .none
        let tls = TLSClientRequest(serverName: self.request.host, verification: verification)
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = HTTPSLimits.headerBytes
        limits.maxHeaderListSize = HTTPSLimits.headerBytes
        limits.maxHeaderFieldCount = HTTPSLimits.headerFields
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([
            TLSHandler(client: self.context, tls),
            ReceivedLimit(bytes: HTTPSLimits.total(body: self.request.limitBytes)),
            HTTPRequestEncoder(),
            ByteToMessageHandler(HTTPResponseDecoder(limitConfiguration: limits)),
            HTTPSExchange(self.request) { self.finish($0) },
        ])
    }

    /// The first result counts. Whatever is open is closed.
    private func finish(_ result: Result<HTTPSResponse, HTTPSError>) {
        guard !self.isDone else { return }
        self.isDone = true
        self.timer?.cancel()
        self.timer = nil
        self.channel?.close(promise: nil)
        self.channel = nil
        self.promise.completeWith(result.mapError { $0 })
    }

    /// Why a connection did not come about.
    private static func description(of error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout: "connection timed out"
        default: "\(error)"
        }
    }
}

/// What is taken of an answer besides its body.
enum HTTPSLimits {
    static let headerBytes = 16_384
    static let headerFields = 100

    /// Of everything that comes through TLS. A body in chunks of one octet takes six times its length; interim answers
    /// (RFC 9110 §15.2) and the extensions of chunks have no end of their own.
    static func total(body: Int) -> Int { 2 * self.headerBytes + 8 * body }
}
