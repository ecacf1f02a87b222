import Mail
import NIOPosix
import Receiver
import Synchronization
import TLS

/// The certificates that are shown at the moment: those of the generation in force, or newer ones of the same files.
final class TLSService: Sendable {
    private let file: String
    private let clock: WallClock
    private let warn: @Sendable (String) -> Void
    private let selfMade: SelfMadeCertificate
    private let shared: Mutex<Shared>

    private struct Shared {
        /// Nil where TLS is not offered.
        var current: ServerTLS?
        var options: ServerTLSOptions
        var hostname: DomainName
        var made: Timestamp
        /// Why the files as they are now are not used; nil if they are.
        var problem: String?
        /// What they look like that cannot be used, and since when.
        var refused: (stamps: [FileStamp?], time: Timestamp)?
    }

    /// Keys of tickets live as long as the contexts they belong to; by then they are no longer worth stealing.
    private static let contextLifetime = Duration.seconds(86_400)
    /// Files that could not be read are tried again.
    private static let retryInterval = Duration.seconds(600)

    /// - Parameter file: the configuration.
    init(
        first: Generation, file: String, clock: WallClock, warn: @escaping @Sendable (String) -> Void
    ) throws(FileErrors) {
        self.file = file
        self.clock = clock
        self.warn = warn
        self.selfMade = SelfMadeCertificate(folder: first.configuration.state + "/tls")
        self.shared = Mutex(
            Shared(
                current: nil, options: first.configuration.tls, hostname: first.domainName, made: clock.now(),
                problem: nil))
        try self.begin(first)
    }

    private func begin(_ generation: Generation) throws(FileErrors) {
        let current = try self.contexts(of: generation)
        let now = self.clock.now()
        self.shared.withLock {
            $0 = Shared(
                current: current, options: generation.configuration.tls, hostname: generation.domainName, made: now,
                problem: nil)
        }
    }

    /// Before a generation is in force. Its certificates were read with it.
    func use(_ generation: Generation) {
        do throws(FileErrors) { try self.begin(generation) } catch {
            // Only the file of the self-made key can be to blame.
            for problem in error.list { self.warn("\(problem)") }
        }
    }

    private func contexts(of generation: Generation) throws(FileErrors) -> ServerTLS? {
        let options = generation.configuration.tls
        guard options.enabled else { return nil }
        if let read = generation.tls { return read }
        return try ServerTLS(
            options, selfMade: try self.selfMade.certificate(for: generation.hostname), file: self.file)
    }

    /// Nil if TLS is not offered.
    func context(of service: ReceiverService) -> TLSServerContext? {
        let current = self.shared.withLock { $0.current }
        return switch service {
        case .smtp: current?.smtp
        case .implicitTLS: current?.implicit
        }
    }

    // MARK: - New files

    /// Looks again and again until the task is cancelled.
    func watch(_ pool: NIOThreadPool) async {
        while !Task.isCancelled {
            let interval = self.shared.withLock { $0.options.watch }
            // A reload may say that it is to be looked after all.
            guard (try? await Task.sleep(for: interval > .zero ? interval : .seconds(60))) != nil else { return }
            guard interval > .zero else { continue }
            // Fails only when the pool is shut down, which comes later.
            try? await pool.runIfActive { self.look() }
        }
    }

    /// Looks whether the files have changed, and uses them if they fit together. Reads files.
    func look() {
        let shared = self.shared.withLock { $0 }
        guard let current = shared.current else { return }
        let now = self.clock.now()
        let isOld = now - shared.made > Self.contextLifetime
        guard !shared.options.certificates.isEmpty else {
            if isOld, let certificate = current.certificates.first { self.renew(selfMade: certificate, now) }
            return
        }
        let stamps = ServerTLS.stamps(shared.options, file: self.file)
        // One file comes after the other: what did not fit a moment ago is not read again until it has changed, or until
        // the fault may have passed that was not theirs.
        if let refused = shared.refused, refused.stamps == stamps, now - refused.time < Self.retryInterval { return }
        let isChanged = stamps != current.stamps
        guard isChanged || isOld else { return self.shared.withLock { ($0.problem, $0.refused) = (nil, nil) } }
        do throws(FileErrors) {
            let new = try ServerTLS(shared.options, file: self.file, hostname: shared.hostname)
            self.replace(current, with: new, now)
            guard isChanged else { return }
            for warning in new.warnings { self.warn("\(warning)") }
            self.warn("new certificates are shown: \(Self.summary(new.certificates))")
        } catch {
            let problem = error.list.map(\.description).joined(separator: "; ")
            self.shared.withLock { ($0.problem, $0.refused) = (problem, (stamps, now)) }
            if problem != shared.problem { self.warn("the certificates in the files are not used: \(problem)") }
        }
    }

    private func renew(selfMade certificate: TLSCertificate, _ now: Timestamp) {
        let shared = self.shared.withLock { $0 }
        guard let current = shared.current,
            // What could be made once can be made again; if not, the old one goes on.
            let new = try? ServerTLS(shared.options, selfMade: certificate, file: self.file)
        else { return }
        self.replace(current, with: new, now)
    }

    /// Unless a reload has come between.
    private func replace(_ old: ServerTLS, with new: ServerTLS, _ now: Timestamp) {
        self.shared.withLock { shared in
            guard shared.current?.smtp === old.smtp else { return }
            shared.current = new
            shared.made = now
            shared.problem = nil
            shared.refused = nil
        }
    }

    private static func summary(_ certificates: [TLSCertificate]) -> String {
        certificates.map { certificate in
            let end = Timestamp(seconds: Int64(certificate.expires))
            return "\(certificate.names.first ?? "no name") (\(certificate.keyKind.rawValue), until \(end.rfc3339))"
        }.joined(separator: ", ")
    }

    // MARK: - Status

    var status: [StatusReport.Certificate] {
        (self.shared.withLock { $0.current }?.certificates ?? []).map { certificate in
            StatusReport.Certificate(
                key: certificate.keyKind.rawValue, names: certificate.names,
                expires: Timestamp(seconds: Int64(certificate.expires)).rfc3339)
        }
    }

    var alarms: [String] {
        let shared = self.shared.withLock { $0 }
        let now = self.clock.now()
        let problem = shared.problem.map { ["new certificates cannot be used, the old ones are shown: \($0)"] } ?? []
        guard let current = shared.current else { return problem }
        return problem
            + current.certificates.compactMap { Self.alarm($0, at: now, warning: shared.options.expiryWarning) }
    }

    private static func alarm(_ certificate: TLSCertificate, at now: Timestamp, warning: Duration) -> String? {
        let name = certificate.names.first ?? "no name"
        let (begins, end) = (
            Timestamp(seconds: Int64(certificate.begins)), Timestamp(seconds: Int64(certificate.expires))
        )
        if now < begins { return "the \(certificate.keyKind.rawValue) certificate for \(name) is not valid yet" }
        if now >= end {
            return "the \(certificate.keyKind.rawValue) certificate for \(name) has expired on \(end.rfc3339)"
        }
        guard end - now < warning else { return nil }
        return "the \(certificate.keyKind.rawValue) certificate for \(name) expires on \(end.rfc3339)"
    }
}
