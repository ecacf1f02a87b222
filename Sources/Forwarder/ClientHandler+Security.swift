import NIOCore
import NIOPosix
package import SMTP
package import TLS

/// What a session needs for TLS.
struct ConnectionSecurity: Sendable {
    let context: TLSClientContext
    /// Whom it should be with.
    let request: TLSClientRequest
}

extension ClientHandler {
    /// The longest line that is read whole: a challenge of SASL with its code and line end.
    static let maximumLineBytes = SASLExchange.maximumChallengeBytes + 6

    static func makeFramer() -> LineFramer { LineFramer(limitBytes: Self.maximumLineBytes, cutsLongLines: true) }

    /// Puts TLS between the session and the socket. Nothing that came before may be read behind it.
    func startTLS() {
        guard let security = self.security, let context = self.context else {
            return self.handle(.tlsFailed("TLS is not set up"))
        }
        guard self.received.readableBytes == 0 else { return self.handle(.tlsFailed(ClientSession.injection)) }
        self.received = ByteBuffer()
        self.lines = Self.makeFramer()
        self.replies = ReplyParser()
        // STARTTLS itself may still wait here, if its answer was faster.
        self.flush()
        let handler = TLSHandler(client: security.context, security.request)
        do {
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            self.handle(.tlsFailed("\(error)"))
        }
    }

    /// Computes a key on a thread that may take its time.
    func derive(_ derivation: KeyDerivation) {
        let handler = NIOLoopBound(self, eventLoop: self.loop)
        NIOSingletons.posixBlockingThreadPool.runIfActive(eventLoop: self.loop) { try derivation.key() }
            .whenComplete { result in
                // Why it fails is OpenSSL's affair; the session says that it did.
                handler.value.handle(.derived(try? result.get()))
                handler.value.flush()
            }
    }
}

extension TLSAuthentication {
    package init(_ verdict: TLSVerdict) {
        switch verdict {
        case .verified: self = .passed
        case .notVerified: self = .notAsked
        case .failed(let failure): self = .failed(Self.text(of: failure))
        }
    }

    private static func text(of failure: TLSVerificationFailure) -> String {
        switch failure {
        case .expired: "it has expired"
        case .notYetValid: "its time has not come"
        case .wrongName: "it is for another name"
        case .untrusted(let text): "no trusted authority: \(text)"
        case .noMatchingAssociation: "no TLSA record matches"
        case .wrongFingerprint: "it has another fingerprint"
        case .noCertificate: "the server showed none"
        case .other(let text): text
        }
    }
}
