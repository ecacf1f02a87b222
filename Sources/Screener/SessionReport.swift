import Mail
import NIOCore
import SMTP

/// What becomes of the tests that go on in the session.
struct SessionReport: Sendable {
    private let session: QueueID
    private let client: Endpoint
    private let began: NIODeadline
    private let policy: ScreenerPolicy
    /// What the client gets if it passes.
    private let credit: PassRecord?
    private let tests: Set<ScreeningTest>
    private let place: ClientLimits.Place
    private let context: GateContext

    init(_ connection: Connection, _ verdict: Screening.Verdict, _ place: ClientLimits.Place, _ context: GateContext) {
        self.session = connection.session
        self.client = connection.client
        self.began = connection.began
        self.policy = connection.screening.policy
        self.credit = verdict.credit
        self.tests = Set(verdict.screening.actions.keys)
        self.place = place
        self.context = context
    }

    func receive(_ finding: SessionScreening.Finding, _ dialog: ScreenedConnection.Dialog) {
        var event = MailEvent.Screened(session: self.session.description, client: self.client, result: "")
        event.helo = dialog.helo
        event.reversePath = dialog.reversePath
        event.after = .nanoseconds((NIODeadline.now() - self.began).nanoseconds)
        switch finding {
        case .passed(let failing):
            event.result = ScreeningOutcome.Result.passed.rawValue
            self.give(failing)
        case .failed(let test, let action):
            event.result = ScreeningOutcome.Result.failed.rawValue
            event.tests = ["\(test.rawValue):\(action.rawValue)"]
            if action != .ignore {
                self.place.noteFailure()
                self.context.passes.remove(self.network)
            }
        }
        self.context.events.record(.screened(event))
    }

    private var network: IPNetwork { self.policy.limits.client(self.client.address) }

    private func give(_ failing: Set<ScreeningTest>) {
        guard var record = self.credit, !self.place.clientHasFailed else { return }
        let now = self.context.clock.now()
        for test in self.tests.subtracting(failing) {
            record[test] = .passed(until: now + self.policy.options.ttl(of: test))
        }
        self.context.passes.set(record, of: self.network)
    }
}

extension MailEvent.Screened {
    init(_ connection: Connection, _ outcome: ScreeningOutcome) {
        self.init(
            session: connection.session.description, client: connection.client, result: outcome.result.rawValue)
        self.local = connection.local
        self.tests = outcome.failures.map { "\($0.test.rawValue):\($0.action.rawValue)" }
        self.tests += outcome.action.map { ["access:\($0.rawValue)"] } ?? []
        self.tests += outcome.notes.map(\.rawValue)
        self.isNew = outcome.isNew
        self.score = outcome.score
        self.lists = outcome.lists
        self.isPartial = outcome.isPartial
        self.pregreeting = outcome.pregreeting.map { String(decoding: $0, as: UTF8.self).printableLines }
        self.after = .nanoseconds((NIODeadline.now() - connection.began).nanoseconds)
    }
}

extension String {
    /// Line ends written as `\r\n`, so that they can be told from other control characters.
    fileprivate var printableLines: String {
        String(
            self.unicodeScalars.flatMap { scalar -> [Character] in
                switch scalar {
                case "\r": ["\\", "r"]
                case "\n": ["\\", "n"]
                case let other: [Character(other)]
                }
            })
    }
}
