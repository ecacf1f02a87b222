import Mail
import Rules
import SMTP

/// A server session without a socket: input in, output out, messages in an array.
struct SessionDriver {
    private var session: ServerSession
    private var input: ServerInput
    private let policy: RelayPolicy
    private let limits: SessionLimits
    private var received: [UInt8] = []
    private var content: [UInt8] = []
    private var scanner = HeaderScanner()
    private var isStoring = false
    private(set) var output: [UInt8] = []
    private(set) var isClosed = false
    /// What was refused without a word.
    private(set) var unsaid: [String] = []
    /// There was input from before when TLS began.
    private(set) var hasLeftovers = false
    private(set) var findings: [SessionScreening.Finding] = []
    private(set) var stored: [(envelope: Envelope, content: String)] = []

    init(
        limits: SessionLimits, policy: RelayPolicy, screening: SessionScreening = SessionScreening(),
        tls: ServerSession.TLSOffer = .none
    ) {
        self.session = ServerSession(hostname: "mx.example.test", limits: limits, screening: screening, tls: tls)
        self.input = ServerInput(limits: limits)
        self.policy = policy
        self.limits = limits
        if tls != .implicit { self.handle(.connected) }
    }

    /// Gives octets to the session and takes what it answers.
    mutating func send(_ bytes: some Sequence<UInt8>) {
        self.received += bytes
        while !self.isClosed {
            let before = self.content.count
            let (consumed, event) = self.received.withUnsafeBytes {
                self.input.next($0, expecting: self.session.expectation, content: &self.content)
            }
            self.received.removeFirst(consumed)
            self.content[min(before, self.content.count)...].withUnsafeBytes { self.scanner.scan($0) }
            guard let event else { return }
            self.handle(self.withFault(event))
        }
    }

    mutating func takeOutput() -> [UInt8] {
        defer { self.output = [] }
        return self.output
    }

    mutating func disconnect() { self.handle(.disconnected) }

    mutating func handle(_ event: ServerSession.Event) {
        for action in self.session.handle(event) {
            switch action {
            case .reply(let reply): reply.append(to: &self.output)
            case .unsaid(let reply): self.unsaid.append(reply.oneLine)
            case .startTLS: self.hasLeftovers = self.hasLeftovers || !self.received.isEmpty
            case .ask(let question): self.decide(question)
            case .beginContent:
                self.content = []
                self.scanner = HeaderScanner()
            case .store(let envelope):
                self.stored.append((envelope, String(decoding: self.content, as: UTF8.self)))
                self.handle(.stored(.success(QueueID(value: UInt64(self.stored.count)))))
            case .dropContent:
                self.input.dropContent()
                self.content = []
            case .screened(let finding): self.findings.append(finding)
            case .delay: self.handle(.delayElapsed)
            case .close: self.isClosed = true
            }
        }
    }

    private func withFault(_ event: ServerSession.Event) -> ServerSession.Event {
        if case .contentEnded(nil) = event, self.scanner.receivedCount > self.limits.hops {
            return .contentEnded(.tooManyHops)
        }
        return event
    }

    private mutating func decide(_ question: ServerSession.Question) {
        var verdict = ServerSession.Decision.Verdict.accept()
        if case .recipient(let path, _) = question.subject {
            var facts = SessionFacts(client: Endpoint(.v4(0x7F00_0001), port: 1))
            facts.forwardPath = path
            var carried = Evaluation.Carried()
            let result = Evaluation.run(
                .recipient, policy: .relayOnly(self.policy), facts: facts, answers: [:], carried: &carried)
            if case .decided(let outcome) = result {
                verdict = outcome.refusal.map { .refuse($0.reply) } ?? .accept(self.policy.mailbox(for: path))
            }
        }
        self.handle(.decided(ServerSession.Decision(question: question.number, verdict: verdict)))
    }
}
