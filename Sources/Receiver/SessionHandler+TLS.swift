package import Mail
import NIOCore
import SMTP
package import TLS

extension SessionHandler {
    static func offer(
        _ connection: ScreenedConnection, isPossible: Bool, isRequired: Bool
    ) -> ServerSession.TLSOffer {
        if connection.isTLS { return .implicit }
        guard isPossible else { return .none }
        return isRequired ? .required : .offered
    }

    /// The 220 goes in plain text, and behind it nothing does. Of the client there must be nothing that came before
    /// (STYLE §3): the session sees to that, and here it is made sure of.
    func startTLS() {
        guard self.received.readableBytes == 0 else { return self.end(TLSError("input behind STARTTLS")) }
        self.flush()
        self.forgetInput()
        self.forgetClient()
        self.beginTLS()
    }

    /// Puts TLS between the socket and everything else.
    func beginTLS() {
        guard let context = self.shared.tls(self.service) ?? self.firstTLS else {
            return self.end(TLSError("there is no certificate"))
        }
        self.isInHandshake = true
        let handler = TLSHandler(server: context)
        do { try self.context?.pipeline.syncOperations.addHandler(handler, position: .first) } catch {
            self.end(TLSError("\(error)"))
        }
    }

    func tlsEstablished(_ session: TLSSession) {
        guard !self.isClosing else { return }
        self.isInHandshake = false
        self.facts.tls = TLSSummary(session)
        self.handle(.tlsEstablished)
        self.advance(true)
    }

    /// RFC 3207 §4.2: what it said of itself in plain text may have been said by somebody else.
    private func forgetClient() {
        self.facts.helo = nil
        self.facts.proto = "SMTP"
        self.facts.reversePath = nil
        self.facts.forwardPath = nil
        self.facts.recipientCount = 0
        self.lastReversePath = nil
        self.lastForwardPath = nil
        self.policy.forgetGreeting()
    }

    private func end(_ error: TLSError) {
        self.logFailure(of: error)
        self.context?.close(promise: nil)
    }

    /// Whom we have sent away, or who is through with us, may end as it likes.
    func logFailure(of error: TLSError) {
        guard !self.isClosing else { return }
        self.shared.events.record(
            .tlsFailed(
                MailEvent.TLSFailure(
                    session: self.sessionID.description, client: self.facts.client, detail: error.description)))
    }
}

extension TLSSummary {
    package init(_ session: TLSSession) {
        self.init(
            version: session.version.rawValue, cipher: session.cipher, bits: session.bits, keyBits: session.keyBits,
            isResumed: session.isResumed, serverName: session.serverName,
            certificate: session.peer.map {
                CertificateFacts(
                    subject: $0.subject, issuer: $0.issuer, fingerprint: $0.fingerprint,
                    publicKeyFingerprint: $0.publicKeyFingerprint, isTrusted: session.verdict == .verified)
            })
    }
}
