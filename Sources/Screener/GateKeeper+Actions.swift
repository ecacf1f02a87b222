import Glibc
import Mail
import NIOCore
import Polling
import Resolver
import SMTP

extension GateKeeper {
    /// Gives an event to the connection's screening and does what it says.
    func handle(_ number: UInt64, _ event: Screening.Event) {
        guard let actions = self.connections.handle(number, event) else { return }
        for action in actions { self.perform(action, number) }
    }

    /// Looks at what the client has sent, and leaves it where it is.
    func look(_ number: UInt64) {
        guard let descriptor = self.connections[number]?.descriptor else { return }
        let input: Screening.Input? = withUnsafeTemporaryAllocation(
            byteCount: Screening.lookBytes, alignment: 1
        ) { buffer in
            let count = recv(
                descriptor, buffer.baseAddress, buffer.count, CInt(MSG_PEEK) | CInt(MSG_DONTWAIT))
            if count > 0 { return .octets(count, preview: Array(buffer.prefix(count))) }
            return count == 0 || errno != EAGAIN && errno != EINTR ? .end : nil
        }
        if let input { self.handle(number, .input(input)) }
    }

    private func perform(_ action: Screening.Action, _ number: UInt64) {
        switch action {
        case .identify(let source): self.identify(number, source)
        case .discard(let bytes): self.discard(bytes, number)
        case .teaser: self.send(self.teaser, number)
        case .lookUp: self.lookUp(number)
        case .greeting: self.send(self.greeting, number)
        case .wait(let duration): self.wait(duration, number)
        case .look: self.look(number)
        case .handOn(let verdict): self.handOn(number, verdict)
        case .credit(let record): self.credit(number, record)
        case .forget: self.forget(number)
        case .conclude(let outcome): self.conclude(number, outcome)
        case .lastReply(let reply, let command): self.sendLast(reply, command, number)
        case .unsaid(let reply, let command): self.log(reply, command, number)
        case .complain(let text): self.complain(number, text)
        case .close: self.close(number)
        }
    }

    func wait(_ duration: Duration, _ number: UInt64) {
        guard let connection = self.connections[number] else { return }
        if let timer = connection.timer { self.timers.stop(timer) }
        self.connections[number]?.timer = self.timers.start(number, at: .now() + .microseconds(duration.microseconds))
    }

    // MARK: - The DNS

    /// Asks all lists. What is known already costs no more than looking it up; the others share their questions with
    /// every client that asks the same, and a client has no more questions under way than there are lists.
    private func lookUp(_ number: UInt64) {
        guard let connection = self.connections[number] else { return }
        for (index, zone) in connection.screening.policy.dnsbl.zones.enumerated() {
            guard self.connections.phase(of: number) == .waiting else { return }
            guard let name = DNSName(reversing: connection.client.address, in: zone.name) else {
                self.answer(number, zone: index, .failure(.invalidName))
                continue
            }
            let question = DNSQuestion(name, .a)
            if let result = self.context.names.known(question) {
                self.answer(number, zone: index, result)
                continue
            }
            let mailbox = self.mailbox
            let query = self.context.names.resolve(question, on: self.context.loop) {
                mailbox.post(.answer(connection: number, zone: index, $0))
            }
            self.connections[number]?.queries.append(query)
        }
    }

    func answer(_ number: UInt64, zone index: Int, _ result: DNSResult) {
        guard let connection = self.connections[number] else { return }
        let zones = connection.screening.policy.dnsbl.zones
        guard zones.indices.contains(index) else { return }
        let zone = zones[index].name
        let outcome = DNSBLOutcome(result, zone: zone)
        let standing = self.context.lists.standing(of: zone)
        self.context.lists.record(zone, client: connection.client.address, ListHealth.Outcome(outcome))
        self.handle(number, .answered(zone: index, outcome, standing))
    }

    // MARK: - The socket

    private func send(_ bytes: [UInt8], _ number: UInt64) {
        guard let descriptor = self.connections[number]?.descriptor else { return }
        // So little always fits: if it does not go, the client is gone, and that will be reported.
        _ = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
        }
    }

    private func sendLast(_ reply: Reply, _ command: String?, _ number: UInt64) {
        guard let connection = self.connections[number] else { return }
        var bytes: [UInt8] = []
        reply.append(to: &bytes)
        self.send(bytes, number)
        shutdown(connection.descriptor, CInt(SHUT_WR))
        if let command { self.log(reply, command, number) }
    }

    private func log(_ reply: Reply, _ command: String, _ number: UInt64) {
        guard let connection = self.connections[number] else { return }
        self.context.events.record(
            .refused(
                MailEvent.Refusal(
                    session: connection.session.description, client: connection.client, command: command, reply: reply))
        )
    }

    private func discard(_ bytes: Int, _ number: UInt64) {
        guard let descriptor = self.connections[number]?.descriptor else { return }
        withUnsafeTemporaryAllocation(byteCount: max(bytes, 1), alignment: 1) { buffer in
            _ = recv(descriptor, buffer.baseAddress, min(bytes, buffer.count), CInt(MSG_DONTWAIT))
        }
    }

    private func identify(_ number: UInt64, _ source: ProxyHeader.Source) {
        switch source {
        case .proxied(let client, let local):
            self.connections[number]?.client = client
            self.connections[number]?.local = local
            self.admit(number)
        case .own: self.admit(number, isProxy: true)
        }
        // What came behind the header is not reported again.
        self.look(number)
    }

    func close(_ number: UInt64) {
        guard let connection = self.release(number) else { return }
        Glibc.close(connection.descriptor)
    }

    /// Forgets a connection; its socket is the caller's.
    private func release(_ number: UInt64) -> Connection? {
        guard let connection = self.connections.remove(number) else { return nil }
        if let timer = connection.timer { self.timers.stop(timer) }
        for query in connection.queries { query.cancel() }
        return connection
    }

    // MARK: - What it came to

    private func handOn(_ number: UInt64, _ verdict: Screening.Verdict?) {
        guard let connection = self.release(number) else { return }
        guard let place = connection.place else {
            Glibc.close(connection.descriptor)
            return
        }
        self.poll.remove(connection.descriptor)
        let report = verdict.map { SessionReport(connection, $0, place, self.context) }
        self.handOn(
            ScreenedConnection(
                descriptor: connection.descriptor, session: connection.session, client: connection.client,
                local: connection.local, isTLS: connection.screening.isTLS,
                screening: verdict?.screening ?? SessionScreening(),
                isAllowlisted: connection.screening.isAllowlisted,
                isUnderStress: connection.screening.isUnderStress, place: place,
                report: { report?.receive($0, $1) }))
    }

    private func credit(_ number: UInt64, _ record: PassRecord) {
        guard let connection = self.connections[number], connection.place?.clientHasFailed == false else { return }
        self.context.passes.set(record, of: connection.screening.policy.limits.client(connection.client.address))
    }

    private func forget(_ number: UInt64) {
        guard let connection = self.connections[number] else { return }
        connection.place?.noteFailure()
        self.context.passes.remove(connection.screening.policy.limits.client(connection.client.address))
    }

    private func conclude(_ number: UInt64, _ outcome: ScreeningOutcome) {
        self.results[outcome.result, default: 0] += 1
        // Nobody waits for the lists any more; what they still answer is kept by the resolver.
        for query in self.connections[number]?.queries ?? [] { query.cancel() }
        self.connections[number]?.queries = []
        guard outcome.result.isLogged, let connection = self.connections[number] else { return }
        self.context.events.record(.screened(MailEvent.Screened(connection, outcome)))
    }

    private func complain(_ number: UInt64, _ text: String) {
        guard let connection = self.connections[number] else { return }
        self.context.complain("\(connection.client): \(text)")
    }
}
