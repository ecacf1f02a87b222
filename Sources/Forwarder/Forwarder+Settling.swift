import Mail
import NIOCore
import Queue

extension Forwarder {
    /// Writes verdicts down together with the notices they call for.
    func settle(_ verdicts: Dispatcher.Verdicts) {
        let message = verdicts.job.message
        var settlement = Settlement(message: message, time: verdicts.time)
        settlement.condition = verdicts.condition
        settlement.results =
            verdicts.delivered.map { $0.settled(.delivered) } + verdicts.failed.map { $0.settled(.failed) }
            + verdicts.deferred.map { $0.result.settled(.deferred(until: $0.due)) }
        let failed = NoticeDecision.recipients(verdicts.failed.map(\.recipient), of: message, for: .failure)
        let unconfirmed = verdicts.delivered.filter { !$0.passedNoticeRequest }.map(\.recipient)
        let relayed = NoticeDecision.recipients(unconfirmed, of: message, for: .relayed)
        let wanted: [(NoticeKind, [Dispatcher.Job.Result])] = [
            (.failure, verdicts.failed.filter { failed.contains($0.recipient) }),
            (.relayed, verdicts.delivered.filter { relayed.contains($0.recipient) }),
        ].filter { !$0.1.isEmpty }
        guard !wanted.isEmpty else { return self.write(settlement, verdicts) }
        let silent = settlement
        self.makeNotices(wanted, about: verdicts) { notices in
            var settlement = silent
            settlement.notices = notices
            self.write(settlement, verdicts)
        }
    }

    /// Until it is on the disk: what a next hop took must not be sent again because our disk was full for a while.
    private func write(_ settlement: Settlement, _ verdicts: Dispatcher.Verdicts) {
        self.queue.settle(settlement) { result in
            self.loop.execute {
                switch result {
                case .success:
                    self.log(verdicts, settlement)
                    self.handle(.settled(job: verdicts.job.number))
                case .failure(.full), .failure(.failed):
                    self.loop.scheduleTask(in: .seconds(5)) { self.write(settlement, verdicts) }
                // A damaged message is set aside when it is read next; a closed queue remembers that it is leased.
                case .failure(.damaged), .failure(.unusable), .failure(.closed):
                    self.handle(.settled(job: verdicts.job.number))
                }
            }
        }
    }

    private func makeNotices(
        _ wanted: [(NoticeKind, [Dispatcher.Job.Result])], about verdicts: Dispatcher.Verdicts,
        _ body: @escaping @Sendable ([NewMessage]) -> Void
    ) {
        let (queue, message, generation, events) = (self.queue, verdicts.job.message, self.generation, self.events)
        let limit = self.generation.options.noticeContent.bytes
        let drafts = wanted.map { kind, results in
            self.draft(
                kind, message, results.map { $0.report(at: verdicts.condition == nil ? verdicts.time : nil) },
                at: verdicts.time, hasExpired: verdicts.hasExpired)
        }
        self.pool.runIfActive(eventLoop: self.loop) {
            drafts.compactMap { draft in
                let returned = ReturnedContent(of: message, for: draft.kind, limit: limit, queue: queue)
                return draft.finished(with: returned, generation, events)
            }
        }.whenComplete { result in body((try? result.get()) ?? []) }  // The pool only fails when everything ends.
    }

    private func draft(
        _ kind: NoticeKind, _ message: QueuedMessage, _ reports: [Notice.RecipientReport], at time: Timestamp,
        hasExpired: Bool
    ) -> Notice {
        Notice(
            id: self.queue.makeID(), kind: kind, message: message, reports: reports, hostname: self.hostname,
            time: time, expiry: message.arrival + self.generation.lifetimes.lifetime(of: message),
            hasExpired: hasExpired, returned: [], returnsWhole: false)
    }

    /// Tells the sender that a message has not got through yet; once.
    func notifyDelay(of message: QueuedMessage, _ now: Timestamp) {
        guard !message.progress.wasDelayNotified, !message.progress.isHeld else { return }
        let recipients = NoticeDecision.recipients(message.progress.waiting, of: message, for: .delay)
        guard !recipients.isEmpty else { return }
        let reports = recipients.map { index in
            let state = message.progress.recipients[index]
            let lane = message.progress.lanes[state.lane].name
            let reply =
                state.lastReply ?? self.dispatcher.reasonForDelay(inLane: lane)
                ?? Reply(451, .init(4, 0), "waiting for its turn")
            return Notice.RecipientReport(
                recipient: index, reply: reply, remote: state.lastRemote, lastAttempt: state.lastAttempt)
        }
        let draft = self.draft(.delay, message, reports, at: now, hasExpired: false)
        let (queue, generation, events) = (self.queue, self.generation, self.events)
        self.pool.runIfActive(eventLoop: self.loop) {
            let returned = ReturnedContent(of: message, for: .delay, limit: 0, queue: queue)
            return draft.finished(with: returned, generation, events)
        }.whenSuccess { notice in
            let written = notice.map { [$0] } ?? []
            var settlement = Settlement(message: message, time: now)
            settlement.notifiesDelay = true
            settlement.condition = recipients
            settlement.notices = written
            // If it cannot be written now the next sweep after a restart tries again; no harm is done.
            self.queue.settle(settlement) { result in
                if case .success = result { for notice in written { self.events.record(notice.queuedEvent) } }
            }
        }
    }

    // MARK: Log

    private func log(_ verdicts: Dispatcher.Verdicts, _ settlement: Settlement) {
        for notice in settlement.notices { self.events.record(notice.queuedEvent) }
        let id = verdicts.job.message.id
        let failure = settlement.notices.first { notice in !verdicts.failed.isEmpty && notice.message.about == id }?
            .message.id
        for outcome in self.outcomes(verdicts.delivered, verdicts) { self.events.record(.delivered(id, outcome)) }
        for outcome in self.outcomes(verdicts.failed, verdicts) {
            self.events.record(.failed(id, outcome, notice: failure))
        }
        guard let due = verdicts.deferred.first?.due else { return }
        for outcome in self.outcomes(verdicts.deferred.map(\.result), verdicts) {
            self.events.record(.attempted(id, outcome, due: due))
        }
    }

    /// One line for recipients who share a fate.
    private func outcomes(
        _ results: [Dispatcher.Job.Result], _ verdicts: Dispatcher.Verdicts
    ) -> [MailEvent.Outcome] {
        var groups: [(first: Dispatcher.Job.Result, recipients: [Int])] = []
        for result in results {
            if let index = groups.firstIndex(where: {
                $0.first.reply == result.reply && $0.first.remote == result.remote && $0.first.tls == result.tls
            }) {
                groups[index].recipients.append(result.recipient)
            } else {
                groups.append((result, [result.recipient]))
            }
        }
        let message = verdicts.job.message
        return groups.map { group in
            var outcome = MailEvent.Outcome(
                reversePath: message.envelope.reversePath, recipients: message.mailboxes(group.recipients),
                destination: verdicts.job.destination, remote: group.first.remote, reply: group.first.reply,
                age: verdicts.time - message.arrival)
            outcome.tls = group.first.tls
            outcome.bytes = message.contentBytes
            return outcome
        }
    }
}

extension Dispatcher.Job.Result {
    fileprivate func settled(_ result: Settlement.Result) -> Settlement.RecipientResult {
        Settlement.RecipientResult(recipient: self.recipient, result: result, reply: self.reply, remote: self.remote)
    }

    fileprivate func report(at time: Timestamp?) -> Notice.RecipientReport {
        Notice.RecipientReport(recipient: self.recipient, reply: self.reply, remote: self.remote, lastAttempt: time)
    }
}

/// What of a message goes back with a notice: all of it, or its header.
private struct ReturnedContent {
    let bytes: [UInt8]
    let isWhole: Bool

    /// Longest header that is returned; what is longer is cut.
    private static let headerBytes = 64 * 1024

    /// Content that cannot be read is not returned; the notice goes all the same.
    init(of message: QueuedMessage, for kind: NoticeKind, limit: Int, queue: any MailQueue) {
        // What had to be protected on its way is not sent back where it may not be (RFC 8689 §5).
        let parameters = message.envelope.parameters
        let wantsWhole = kind == .failure && parameters.noticeReturn != .headers && parameters.tls != .required
        self.isWhole = wantsWhole && message.contentBytes <= limit
        let start = (try? queue.content(of: message.id, from: 0, limit: self.isWhole ? limit : Self.headerBytes)) ?? []
        self.bytes = self.isWhole ? start : Self.header(of: start)
    }

    /// Up to the empty line, which is left out.
    private static func header(of content: [UInt8]) -> [UInt8] {
        let lineFeed = ASCII.lineFeed
        var lineStart = 0
        while let end = content[lineStart...].firstIndex(of: lineFeed) {
            if end - lineStart <= 1 { return Array(content[..<lineStart]) }
            lineStart = end + 1
        }
        return Array(content[..<lineStart])
    }
}

extension Notice {
    /// The notice as a message to be queued; nil if there is nobody to send it to. One that cannot be signed goes
    /// without, for it says that mail was not delivered; the log says so.
    fileprivate func finished(
        with returned: ReturnedContent, _ generation: ForwarderGeneration, _ events: EventSink
    ) -> NewMessage? {
        guard let envelope else { return nil }
        let notice = Notice(
            id: self.id, kind: self.kind, message: self.message, reports: self.reports, hostname: self.hostname,
            time: self.time, expiry: self.expiry, hasExpired: self.hasExpired, returned: returned.bytes,
            returnsWhole: returned.isWhole)
        var incoming = IncomingContent(id: self.id)
        incoming.buffer = notice.content
        do { incoming.head = try generation.sign(incoming.buffer) } catch {
            events.record(.unsigned(self.id, detail: "\(error)"))
        }
        return incoming.finish(
            arrival: self.time, envelope: envelope, client: nil, about: self.message.id,
            needsSMTPUTF8: envelope.parameters.smtputf8, lanes: generation.lanes)
    }
}

extension NewMessage {
    fileprivate var queuedEvent: MailEvent {
        var event = MailEvent.Queued(envelope: self.message.envelope, bytes: self.message.contentBytes)
        event.about = self.message.about
        return .queued(self.message.id, event)
    }
}
