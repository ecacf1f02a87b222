internal import CUnbound
internal import Glibc
internal import Synchronization

/// libunbound, set up. It belongs to the thread that turns its event base, from the first question on.
final class UnboundContext {
    private let context: OpaquePointer
    /// Last, so that it is still there when the context lets go of its events.
    private let base: EventBase

    init(_ options: ResolverOptions, on base: EventBase) throws(ResolverError) {
        guard let context = ub_ctx_create_ub_event(base.handle) else {
            throw .system(call: "ub_ctx_create_ub_event", code: ENOMEM)
        }
        self.context = context
        self.base = base
        try Self.settingUp.withLock { _ throws(ResolverError) in try self.setUp(options) }
    }

    /// Completes what is under way with a failure, and frees everything.
    deinit { ub_ctx_delete(self.context) }

    // MARK: - Options

    /// One at a time: what is wrong is read from a log that all contexts of the process share.
    private static let settingUp = Mutex(())

    private func setUp(_ options: ResolverOptions) throws(ResolverError) {
        let log = SetupLog(self.context)
        for (name, value) in Self.settings(options) {
            try log.check("\(name) \(value)", ub_ctx_set_option(self.context, name + ":", value))
        }
        if let path = options.trustAnchorFile {
            try Self.checkReadable(path)
            try log.check("trust anchor \(path)", ub_ctx_add_ta_file(self.context, path))
        }
        switch options.upstream {
        case .system(let path):
            try Self.checkReadable(path)
            try log.check("name servers of \(path)", ub_ctx_resolvconf(self.context, path))
        case .forwarders(let servers):
            guard !servers.isEmpty else { throw .noServers }
            for server in servers {
                try log.check("name server \(server)", ub_ctx_set_fwd(self.context, server.unboundText))
            }
        case .recursion(let path?):
            try Self.checkReadable(path)
            try log.check("root hints \(path)", ub_ctx_set_option(self.context, "root-hints:", path))
        case .recursion(nil): break
        }
        for zone in Self.zonesLeftToForwarders(options.upstream) {
            // The first of these makes libunbound read what it was told; later settings would be refused.
            try log.check("settings", ub_ctx_zone_remove(self.context, zone))
        }
    }

    /// What differs from libunbound's defaults.
    ///
    /// Its retries stay as they are, 5 within 8 seconds or more. With fewer, or with a lower `infra-cache-max-rtt`,
    /// a name that takes a forwarder two seconds fails, and some names that it cannot resolve make it look dead.
    /// A query that takes too long is given up by us.
    private static func settings(_ options: ResolverOptions) -> [(name: String, value: String)] {
        let common = [
            ("msg-cache-size", "\(options.messageCacheBytes)"),
            ("rrset-cache-size", "\(options.recordCacheBytes)"),
            ("num-queries-per-thread", "\(options.maximumQueries)"),
            // Sockets at once. With the library's 16 and 2, a few questions without an answer block all others.
            ("outgoing-range", "1024"),
            ("outgoing-num-tcp", "32"),
            // By default questions leave from all ports, and take those where other services are about to listen.
            ("outgoing-port-avoid", "1024-32767"),
            ("infra-keep-probing", "yes"),
            // What nobody asked for would only have to be parsed.
            ("minimal-responses", "yes"),
        ]
        guard options.upstream.isForwarding else { return common }
        return common + [
            // Seconds for which it is remembered how slow a forwarder was. In the 15 minutes of the default, each
            // name it cannot resolve doubles the time until a lost question is repeated, until it is not asked at all.
            ("infra-host-ttl", "1"),
            // A forwarder may have the reverse zones of private addresses, which would be empty by RFC 6303.
            ("unblock-lan-zones", "yes"),
        ]
    }

    /// Zones that libunbound would answer itself, although a forwarder may have them: RFC 6761 test, RFC 8375
    /// home.arpa, and the reverse zones of loopback. `localhost`, `invalid` and `onion` stay as they are.
    private static func zonesLeftToForwarders(_ upstream: ResolverOptions.Upstream) -> [String] {
        guard upstream.isForwarding else { return ["none.invalid."] }
        let loopback = "1." + String(repeating: "0.", count: 31) + "ip6.arpa."
        return ["test.", "home.arpa.", "127.in-addr.arpa.", loopback]
    }

    private static func checkReadable(_ path: String) throws(ResolverError) {
        var facts = stat()
        guard access(path, R_OK) == 0, stat(path, &facts) == 0 else {
            throw .unreadableFile(path: path, code: errno)
        }
        // libunbound would try to read it for ever.
        guard facts.st_mode & S_IFMT != S_IFDIR else { throw .unreadableFile(path: path, code: EISDIR) }
    }

    // MARK: - Questions

    /// What libunbound answers to one question.
    struct Outcome {
        let result: DNSResult
        /// Of the message it was read from; 0 without one.
        let messageBytes: Int
    }

    /// What libunbound keeps for us while a question is under way.
    private final class Ticket {
        let completion: (Outcome) -> Void

        init(_ completion: @escaping (Outcome) -> Void) { self.completion = completion }
    }

    /// - Parameter completion: called exactly once: before this returns if libunbound knows the answer, in a turn of
    ///   the event base, or while the context is freed.
    func resolve(_ question: DNSQuestion, _ completion: @escaping (Outcome) -> Void) {
        let ticket = Unmanaged.passRetained(Ticket(completion))
        let code = ub_resolve_event(
            self.context, question.name.text, CInt(question.type.rawValue), Self.classIN, ticket.toOpaque(),
            { argument, code, packet, length, security, reason, _ in
                guard let argument else { return }
                let ticket = Unmanaged<Ticket>.fromOpaque(argument).takeRetainedValue()
                // A pointer into libunbound, valid only here.
                let message = code == 0 ? UnsafeRawBufferPointer(start: packet, count: max(Int(length), 0)) : nil
                ticket.completion(
                    UnboundContext.outcome(
                        code: code, message: message.map { Array($0) }, security: security,
                        reason: reason.map { String(cString: $0) }))
            }, nil)
        guard code != UB_NOERROR.rawValue else { return }
        ticket.release()
        completion(Outcome(result: .failure(.serverFailure(String(cString: ub_strerror(code)))), messageBytes: 0))
    }

    private static let classIN: CInt = 1

    private static func outcome(code: CInt, message: [UInt8]?, security: CInt, reason: String?) -> Outcome {
        guard let message else {
            let text = ResponseCode.text(of: UInt8(truncatingIfNeeded: code))
            return Outcome(result: .failure(.serverFailure(text)), messageBytes: 0)
        }
        guard security != 1 else {
            return Outcome(result: .failure(.bogus(reason ?? "no reason given")), messageBytes: message.count)
        }
        do {
            let result = try DNSMessage(parsing: message).result(security: security == 2 ? .secure : .insecure)
            return Outcome(result: result, messageBytes: message.count)
        } catch {
            return Outcome(result: .failure(.serverFailure("malformed answer: \(error)")), messageBytes: message.count)
        }
    }
}

extension ResolverOptions.Upstream {
    fileprivate var isForwarding: Bool {
        switch self {
        case .system, .forwarders: true
        case .recursion: false
        }
    }
}

/// What libunbound writes into its log while it is set up: why it refuses something is said nowhere else. Later it
/// writes no log; the log is one for the whole process, standard error if nobody changes it.
private struct SetupLog: ~Copyable {
    private let context: OpaquePointer
    private let text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let length: UnsafeMutablePointer<Int>
    private let stream: UnsafeMutablePointer<FILE>?

    init(_ context: OpaquePointer) {
        self.context = context
        self.text = .allocate(capacity: 1)
        self.text.initialize(to: nil)
        self.length = .allocate(capacity: 1)
        self.length.initialize(to: 0)
        self.stream = open_memstream(self.text, self.length)
        ub_ctx_debugout(context, self.stream)
    }

    deinit {
        ub_ctx_debugout(self.context, nil)
        if let stream = self.stream { fclose(stream) }
        free(self.text.pointee)
        self.text.deallocate()
        self.length.deallocate()
    }

    func check(_ step: String, _ code: CInt) throws(ResolverError) {
        guard code != UB_NOERROR.rawValue else { return }
        if let stream = self.stream { fflush(stream) }
        let log = self.text.pointee.map { String(cString: $0) } ?? ""
        throw .refused(step: step, reason: "\(String(cString: ub_strerror(code))) \(log)")
    }
}
