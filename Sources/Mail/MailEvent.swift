/// What happened to a client or a message; every line of the mail log is one of these.
///
/// The names of events and fields do not change within a major version, because people parse them. Text from
/// outside is made printable and cut by ``fields``.
package enum MailEvent: Sendable {
    /// A client was refused, at connection or at a command.
    case refused(Refusal)
    /// What the screener thinks of a client.
    case screened(Screened)
    /// TLS with a client failed, which ends the connection.
    case tlsFailed(TLSFailure)
    /// A rule had something to say that refused nobody.
    case noted(Note)
    /// A message is stored; its 250 leaves now.
    case queued(QueueID, Queued)
    /// Recipients could not be reached this time and will be tried again when `due`.
    case attempted(QueueID, Outcome, due: Timestamp)
    /// A next hop took the message for these recipients.
    case delivered(QueueID, Outcome)
    /// Recipients are given up. `notice` is the message that says so to the sender, if one is sent.
    case failed(QueueID, Outcome, notice: QueueID?)
    /// The administrator did something to a message: `deleted`, `held`, `released`, `retried`.
    case operated(QueueID, action: String)
    /// A destination does not answer; nothing is sent there before `due`, except probes.
    case destinationDown(String, reply: Reply, due: Timestamp)
    case destinationUp(String)
    /// A record of the queue cannot be read and was set aside.
    case damaged(QueueID, detail: String)
    /// A message of ours goes without the signature that it should have.
    case unsigned(QueueID, detail: String)
    /// Something became true, or is no longer, that somebody should do something about.
    case alarm(String, isRaised: Bool)
    /// The daemon takes mail.
    case started(generation: Int, hostname: String)
    /// All is safe; the process ends.
    case ended
    /// Another generation of the configuration is in force.
    case reloaded(generation: Int, warnings: Int)
    /// It cannot be: `detail` is the first error. The old generation stays in force.
    case reloadRefused(generation: Int, detail: String)

    package struct Queued: Sendable {
        package var session: String?
        package var client: ClientIdentity?
        package var envelope: Envelope
        package var bytes: Int
        /// On a notice of ours: the message it tells of.
        package var about: QueueID?
        /// What authentication found: `spf=pass dkim=pass dmarc=pass`; nil if nothing was looked at.
        package var authentication: String?
        /// Through which the message came; nil for plain text.
        package var tls: TLSSummary?
        /// It waits until somebody releases it.
        package var isHeld = false

        package init(envelope: Envelope, bytes: Int) {
            self.envelope = envelope
            self.bytes = bytes
        }
    }

    package struct Refusal: Sendable {
        package var session: String
        package var client: Endpoint
        package var helo: String?
        package var reversePath: ReversePath?
        package var forwardPath: String?
        /// The command that was refused; `CONNECT` for the connection.
        package var command: String
        package var reply: Reply
        /// What the reply ends with, so that the line is found.
        package var reference: String?
        /// Nil where the protocol itself refuses.
        package var reason: Reason?
        /// The generation of the configuration that decided.
        package var generation: Int?
        /// Nil for plain text.
        package var tls: TLSSummary?

        package init(session: String, client: Endpoint, command: String, reply: Reply) {
            self.session = session
            self.client = client
            self.command = command
            self.reply = reply
        }
    }

    package struct TLSFailure: Sendable {
        package var session: String
        package var client: Endpoint
        /// What OpenSSL or the client found wrong.
        package var detail: String

        package init(session: String, client: Endpoint, detail: String) {
            self.session = session
            self.client = client
            self.detail = detail
        }
    }

    package struct Note: Sendable {
        package var session: String
        package var client: Endpoint
        package var helo: String?
        package var reversePath: ReversePath?
        package var forwardPath: String?
        /// `reject_warning`, `info`, `warn`, `fault`, `effect`.
        package var kind: String
        package var text: String
        package var reason: Reason

        package init(session: String, client: Endpoint, kind: String, text: String, reason: Reason) {
            self.session = session
            self.client = client
            self.kind = kind
            self.text = text
            self.reason = reason
        }
    }

    package struct Screened: Sendable {
        package var session: String
        package var client: Endpoint
        /// Where it connected; nil if that is not known.
        package var local: Endpoint?
        /// `known`, `passed`, `failed`, ...: what it came to.
        package var result: String
        /// Failed tests with what follows: `pregreet:enforce`.
        package var tests: [String] = []
        /// Whether the client had never passed; nil if that was not looked at.
        package var isNew: Bool?
        /// Of the DNS lists, and what each of them added; nil if none was asked.
        package var score: Int?
        package var lists: [String] = []
        /// Some list had not answered when the score was needed.
        package var isPartial = false
        /// What the client said before the greeting.
        package var pregreeting: String?
        /// Since the connection was made.
        package var after: Duration?
        package var helo: String?
        package var reversePath: ReversePath?
        package var reply: Reply?

        package init(session: String, client: Endpoint, result: String) {
            self.session = session
            self.client = client
            self.result = result
        }
    }

    /// What an attempt came to for recipients who share it.
    package struct Outcome: Sendable {
        package var reversePath: ReversePath
        package var recipients: [Mailbox]
        package var destination: String
        /// The server that answered: name, address and port; nil if none was reached.
        package var remote: String?
        package var reply: Reply
        /// Of the content; nil if that is not known.
        package var bytes: Int?
        /// Since the message arrived.
        package var age: Duration
        /// What protected the connection: the level that was kept to, and `none` or protocol, cipher and its bits.
        package var tls: String?

        package init(
            reversePath: ReversePath, recipients: [Mailbox], destination: String, remote: String?, reply: Reply,
            age: Duration
        ) {
            self.reversePath = reversePath
            self.recipients = recipients
            self.destination = destination
            self.remote = remote
            self.reply = reply
            self.age = age
        }
    }
}

extension MailEvent {
    package enum FieldValue: Sendable {
        case text(String)
        case integer(Int)
        case seconds(Double)
    }

    package struct Fields: Sendable {
        /// The value of the key `event`.
        package let event: String
        package private(set) var list: [(key: String, value: FieldValue)] = []

        fileprivate init(_ event: String) {
            self.event = event
            self.list.reserveCapacity(10)
        }

        /// Longest text of a field, in octets.
        package static let maximumBytes = 400

        fileprivate mutating func add(_ key: String, _ text: String?) {
            guard let text else { return }
            self.list.append((key, .text(text.printable(maximumBytes: Self.maximumBytes))))
        }

        /// Why: which list, restriction and rule, and what they rest on.
        fileprivate mutating func add(_ reason: Reason?) {
            guard let reason else { return }
            self.add("list", reason.stage)
            self.add("restriction", reason.restriction)
            self.add("table", reason.table)
            self.add("rule", reason.place)
            self.add("key", reason.key)
            self.add("value", reason.value)
            self.add("facts", reason.facts.isEmpty ? nil : reason.facts.joined(separator: "; "))
        }

        fileprivate mutating func add(_ key: String, _ number: Int) { self.list.append((key, .integer(number))) }

        fileprivate mutating func add(_ key: String, _ duration: Duration) {
            self.list.append((key, .seconds(duration.inSeconds)))
        }
    }

    /// The event as keys and values, in the order in which they are printed.
    package var fields: Fields {
        switch self {
        case .refused(let refusal): Self.fields(of: refusal)
        case .screened(let screened): Self.fields(of: screened)
        case .tlsFailed(let failure):
            Self.fields(
                "tls_failed", ("session", failure.session), ("client", failure.client.description),
                ("detail", failure.detail))
        case .noted(let note): Self.fields(of: note)
        case .queued(let id, let queued): Self.fields(id, queued)
        case .attempted(let id, let outcome, let due):
            Self.fields("attempted", id, outcome) { $0.add("due", due.rfc3339) }
        case .delivered(let id, let outcome): Self.fields("delivered", id, outcome) { _ in }
        case .failed(let id, let outcome, let notice):
            Self.fields("failed", id, outcome) { $0.add("notice", notice?.description) }
        case .operated(let id, let action): Self.fields("operated", ("id", id.description), ("action", action))
        case .destinationDown(let destination, let reply, let due):
            Self.fields(
                "destination_down", ("destination", destination), ("reply", reply.oneLine), ("due", due.rfc3339))
        case .destinationUp(let destination): Self.fields("destination_up", ("destination", destination))
        case .damaged(let id, let detail): Self.fields("damaged", ("id", id.description), ("detail", detail))
        case .unsigned(let id, let detail): Self.fields("unsigned", ("id", id.description), ("detail", detail))
        case .alarm(let text, let isRaised):
            Self.fields("alarm", ("state", isRaised ? "raised" : "cleared"), ("text", text))
        case .started(let generation, let hostname):
            Self.fields("started", generation) { $0.add("hostname", hostname) }
        case .ended: Fields("ended")
        case .reloaded(let generation, let warnings):
            Self.fields("reloaded", generation) { $0.add("warnings", warnings) }
        case .reloadRefused(let generation, let detail):
            Self.fields("reload_refused", generation) { $0.add("detail", detail) }
        }
    }

    private static func fields(_ event: String, _ generation: Int, more: (inout Fields) -> Void) -> Fields {
        var fields = Fields(event)
        fields.add("generation", generation)
        more(&fields)
        return fields
    }

    private static func fields(_ event: String, _ pairs: (String, String)...) -> Fields {
        var fields = Fields(event)
        for (key, text) in pairs { fields.add(key, text) }
        return fields
    }

    private static func fields(of refusal: Refusal) -> Fields {
        var fields = Fields("refused")
        fields.add("session", refusal.session)
        fields.add("client", refusal.client.description)
        fields.add("helo", refusal.helo)
        fields.add("from", refusal.reversePath?.description)
        fields.add("to", refusal.forwardPath)
        fields.add("command", refusal.command)
        fields.add("reply", refusal.reply.oneLine)
        fields.add("ref", refusal.reference)
        fields.add(refusal.reason)
        if let generation = refusal.generation { fields.add("generation", generation) }
        fields.add("tls", refusal.tls?.logText)
        return fields
    }

    private static func fields(of note: Note) -> Fields {
        var fields = Fields("noted")
        fields.add("session", note.session)
        fields.add("client", note.client.description)
        fields.add("helo", note.helo)
        fields.add("from", note.reversePath?.description)
        fields.add("to", note.forwardPath)
        fields.add("kind", note.kind)
        fields.add("text", note.text)
        fields.add(note.reason)
        return fields
    }

    private static func fields(of screened: Screened) -> Fields {
        var fields = Fields("screened")
        fields.add("session", screened.session)
        fields.add("client", screened.client.description)
        fields.add("local", screened.local?.description)
        fields.add("result", screened.result)
        fields.add("tests", screened.tests.isEmpty ? nil : screened.tests.joined(separator: ","))
        fields.add("new", screened.isNew.map { $0 ? "yes" : "no" })
        if let score = screened.score { fields.add("score", score) }
        fields.add("lists", screened.lists.isEmpty ? nil : screened.lists.joined(separator: ","))
        fields.add("partial", screened.isPartial ? "yes" : nil)
        fields.add("pregreet", screened.pregreeting)
        fields.add("helo", screened.helo)
        fields.add("from", screened.reversePath?.description)
        fields.add("reply", screened.reply?.oneLine)
        if let after = screened.after { fields.add("after", after) }
        return fields
    }

    private static func fields(_ id: QueueID, _ queued: Queued) -> Fields {
        var fields = Fields("queued")
        fields.add("id", id.description)
        fields.add("session", queued.session)
        fields.add("client", queued.client.map { Endpoint($0.address, port: $0.port).description })
        fields.add("helo", queued.client?.helo)
        fields.add("from", queued.envelope.reversePath.description)
        fields.add("to", Self.list(queued.envelope.recipients.lazy.map(\.mailbox)))
        fields.add("recipients", queued.envelope.recipients.count)
        fields.add("bytes", queued.bytes)
        fields.add("about", queued.about?.description)
        fields.add("authentication", queued.authentication)
        fields.add("tls", queued.tls?.logText)
        fields.add("held", queued.isHeld ? "yes" : nil)
        return fields
    }

    private static func fields(
        _ event: String, _ id: QueueID, _ outcome: Outcome, more: (inout Fields) -> Void
    ) -> Fields {
        var fields = Fields(event)
        fields.add("id", id.description)
        fields.add("from", outcome.reversePath.description)
        fields.add("to", Self.list(outcome.recipients))
        fields.add("recipients", outcome.recipients.count)
        if let bytes = outcome.bytes { fields.add("bytes", bytes) }
        fields.add("destination", outcome.destination)
        fields.add("remote", outcome.remote)
        fields.add("tls", outcome.tls)
        fields.add("reply", outcome.reply.oneLine)
        fields.add("age", outcome.age)
        more(&fields)
        return fields
    }

    /// As many mailboxes as a field holds; the number of all is in `recipients`.
    private static func list(_ mailboxes: some Collection<Mailbox>) -> String {
        mailboxes.prefix(16).map(\.description).joined(separator: ",")
    }
}

extension TLSSummary {
    /// `TLSv1.3/TLS_AES_256_GCM_SHA384/256`
    package var logText: String { "\(self.version)/\(self.cipher)/\(self.bits)" }
}

/// Where mail events go.
package struct EventSink: Sendable {
    package let record: @Sendable (MailEvent) -> Void

    package init(record: @escaping @Sendable (MailEvent) -> Void) {
        self.record = record
    }
}
