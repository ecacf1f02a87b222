import Mail
import SMTP

extension Screening {
    /// What connections that come in at a listener begin with.
    struct Door: Sendable {
        /// The header of a proxy.
        var isProxied = false
        /// TLS, behind the header if there is one.
        var isTLS = false
    }

    enum Event: Sendable {
        case admitted(Admission)
        case input(Input)
        /// A list has answered.
        case answered(zone: Int, DNSBLOutcome, ListHealth.Standing)
        /// The time of the last `wait` is over.
        case timedOut
        /// The connection has to make room for another.
        case shed(Reply)
        case shutdown
    }

    /// What lies in the socket, unread.
    enum Input: Sendable {
        /// How many octets there are, as far as was looked, and these.
        case octets(Int, preview: [UInt8])
        /// The client sends no more.
        case end
    }

    enum Action: Sendable {
        /// The header of a proxy says who the client is; then `admitted`.
        case identify(ProxyHeader.Source)
        /// Take so many octets from the socket and forget them.
        case discard(bytes: Int)
        /// Send the first line of the greeting, after which the client still has to wait.
        case teaser
        /// Ask all lists.
        case lookUp
        /// Send the greeting's last line.
        case greeting
        /// Say `timedOut` after this time, instead of what was said before.
        case wait(Duration)
        /// Look at the input again.
        case look
        case handOn(Verdict?)
        /// The client has passed.
        case credit(PassRecord)
        /// The client has failed, and whatever it passed before.
        case forget
        case conclude(ScreeningOutcome)
        /// Send this and nothing more. With a command it is the line of the log that says so.
        case lastReply(Reply, command: String?)
        /// Nothing is said, and this is the line of the log that says why.
        case unsaid(Reply, command: String)
        /// Something is wrong that is not the client's fault.
        case complain(String)
        case close
    }

    /// Who the client is to us.
    struct Admission: Sendable {
        enum Access: Sendable {
            /// Too many connections or the like.
            case refused(Reply)
            /// Not tested: the access list permits it, or nobody is tested.
            case exempt(isLogged: Bool)
            /// The access list rejects it.
            case rejected
            case tested
        }

        let address: IPAddress
        let access: Access
        let record: PassRecord?
        /// At the address where it came nobody can earn a pass.
        let isVetoed: Bool
        let isUnderStress: Bool
        let now: Timestamp
    }

    /// What goes to the receiver with the connection.
    final class Verdict: Sendable {
        let screening: SessionScreening
        /// What the client gets when it passes the tests in the session.
        let credit: PassRecord?

        init(_ screening: SessionScreening, credit: PassRecord? = nil) {
            self.screening = screening
            self.credit = credit
        }
    }

    struct Failure: Sendable {
        let test: ScreeningTest
        let action: ScreeningAction
        let reply: Reply

        init(_ test: ScreeningTest, _ action: ScreeningAction, _ reply: Reply) {
            self.test = test
            self.action = action
            self.reply = reply
        }
    }

    /// The tests under way.
    struct Testing: Sendable {
        let address: IPAddress
        let now: Timestamp
        let isVetoed: Bool
        let due: [ScreeningTest]
        private let old: PassRecord?
        var tally: DNSBLTally?
        var isHoldingGreeting = false
        /// What the client said before the greeting; nil if nothing.
        var pregreeting: [UInt8]?
        var failures: [Failure] = []
        var notes: [ScreeningOutcome.Note] = []

        init(_ admission: Admission, due: [ScreeningTest]) {
            self.address = admission.address
            self.now = admission.now
            self.isVetoed = admission.isVetoed
            self.old = admission.record
            self.due = due
        }

        func outcome(_ result: ScreeningOutcome.Result) -> ScreeningOutcome {
            var outcome = ScreeningOutcome(result, notes: self.notes)
            outcome.failures = self.failures.map { ($0.test, $0.action) }
            outcome.pregreeting = self.pregreeting
            outcome.isNew = self.due.contains { (self.old?[$0] ?? .new) == .new }
            if let tally = self.tally {
                outcome.score = tally.score
                outcome.lists = tally.lists
                outcome.isPartial = tally.isPartial
            }
            return outcome
        }

        /// An answer for the client holds this long; lists of good clients change slowly, and where an answer is not
        /// waited for, the last one is the best there is.
        private static let allowlistTTL = Duration.seconds(86_400)

        /// Until when DNS lists speak for the client, by all that has been asked; nil if they do not.
        var allowlistedUntil: Timestamp? {
            guard let tally = self.tally else { return self.old?.allowlistedUntil }
            if tally.score < 0 { return self.now + Self.allowlistTTL }
            return tally.isPartial ? self.old?.allowlistedUntil : nil
        }

        /// What the client has passed when it has passed the tests before the greeting.
        func record(_ policy: ScreenerPolicy) -> PassRecord {
            var record = self.old ?? PassRecord()
            record.allowlistedUntil = self.allowlistedUntil
            let failed = Set(self.failures.map(\.test))
            for test in ScreeningTest.allCases {
                if !policy.tests.contains(test) {
                    if record[test] == .new { record[test] = .disabled }
                } else if self.due.contains(test), test.isEarly, !failed.contains(test) {
                    let ttl = test == .dnsbl ? self.tally?.ttl(policy.options) : policy.options.ttl(of: test)
                    record[test] = .passed(until: self.now + (ttl ?? .zero))
                }
            }
            return record
        }
    }
}

/// What screening has come to, for log and counts.
struct ScreeningOutcome: Sendable {
    enum Result: String, CaseIterable, Sendable {
        /// The access list permits the client.
        case permitted
        /// It passed lately.
        case known
        /// It passed all tests.
        case passed
        /// It passed those before the greeting; the others follow in the session.
        case greeted
        /// An allow list knows it.
        case allowed
        case failed
        /// The access list rejects it.
        case rejected
        /// It passed, but where nobody can earn a pass.
        case vetoed
        /// It went before it was known what to think of it.
        case hangup
        /// It had too many connections open, or there were too many.
        case limited
        /// It had to make room.
        case shed
        /// It was greeted and never said anything.
        case silent
        case shutdown

        /// Whether there is a line for it besides that of the refusal. Of clients that nobody tests there is none.
        var isLogged: Bool {
            switch self {
            case .permitted, .known, .passed, .greeted, .allowed, .failed, .rejected, .vetoed, .hangup: true
            case .limited, .shed, .silent, .shutdown: false
            }
        }
    }

    enum Note: String, Sendable {
        /// The access list would reject it.
        case accessIgnored = "access_ignored"
    }

    let result: Result
    let notes: [Note]
    var failures: [(test: ScreeningTest, action: ScreeningAction)] = []
    var action: ScreeningAction?
    var pregreeting: [UInt8]?
    /// It had never passed any of the tests.
    var isNew: Bool?
    var score: Int?
    var lists: [String] = []
    var isPartial = false

    /// Of what a client says before the greeting, so much is logged.
    static let maximumPregreetBytes = 100

    init(_ result: Result, notes: [Note] = []) {
        self.result = result
        self.notes = notes
    }
}
