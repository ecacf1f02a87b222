import Mail
import Queue

/// Shows messages as commands want them, and picks those that a filter means.
struct QueueView: Sendable {
    let now: Timestamp
    /// Why mail of a lane waits though nothing was tried with it.
    let reasons: [String: Reply]

    func entry(_ message: QueuedMessage) -> QueueEntry {
        let progress = message.progress
        return QueueEntry(
            id: message.id.description, state: self.state(of: message), arrival: message.arrival.rfc3339,
            ageSeconds: Int((self.now - message.arrival).inSeconds), bytes: message.contentBytes,
            from: message.envelope.reversePath.description,
            client: message.client.map { "\($0.address)" }, helo: message.client?.helo,
            about: message.about?.description,
            due: progress.isHeld ? nil : progress.occupiedLanes.map(\.due).min()?.rfc3339,
            reason: self.reason(for: message),
            recipients: progress.recipients.indices.map { self.recipient($0, message) })
    }

    private func recipient(_ index: Int, _ message: QueuedMessage) -> QueueEntry.Recipient {
        let state = message.progress.recipients[index]
        let recipient = message.envelope.recipients[index]
        let isWaiting = state.status == .waiting
        return QueueEntry.Recipient(
            address: recipient.mailbox.description, status: "\(state.status)", attempts: state.attempts,
            lastAttempt: state.lastAttempt?.rfc3339, lastReply: state.lastReply?.oneLine, remote: state.lastRemote,
            due: isWaiting && !message.progress.isHeld ? message.progress.lanes[state.lane].due.rfc3339 : nil,
            notify: recipient.parameters.notify?.description, originalRecipient: recipient.parameters.originalRecipient)
    }

    func state(of message: QueuedMessage) -> QueueEntry.State {
        if message.progress.isHeld { return .held }
        return message.progress.occupiedLanes.allSatisfy { $0.due > self.now } ? .deferred : .waiting
    }

    /// What its destination says, or else the last reply that one of its waiting recipients got.
    private func reason(for message: QueuedMessage) -> String? {
        for lane in message.progress.occupiedLanes {
            if let reply = self.reasons[lane.name] { return reply.oneLine }
        }
        return message.progress.waiting.lazy.compactMap { message.progress.recipients[$0].lastReply }.first?.oneLine
    }

    func matches(_ message: QueuedMessage, _ filter: QueueFilter) -> Bool {
        if let seconds = filter.olderSeconds, (self.now - message.arrival).inSeconds < Double(seconds) { return false }
        if let from = filter.from, !Self.matches(message.envelope.reversePath.description, from == "<>" ? "" : from) {
            return false
        }
        let mailboxes = message.mailboxes(message.progress.waiting)
        if let to = filter.to, !mailboxes.contains(where: { Self.matches($0.description, to) }) { return false }
        if let domain = filter.domain {
            let key = Domain(domain)?.key ?? domain
            guard mailboxes.contains(where: { $0.domain.key == key }) else { return false }
        }
        if let state = filter.state, self.state(of: message) != state { return false }
        if let client = filter.client, !Self.matches(message.client, client) { return false }
        if let reason = filter.reason, !(self.reason(for: message)?.lowercased().contains(reason.lowercased()) ?? false)
        {
            return false
        }
        return true
    }

    private static func matches(_ client: ClientIdentity?, _ filter: String) -> Bool {
        guard let client else { return false }
        return (try? IPNetwork(filter))?.contains(client.address) ?? false  // What is no network matches nobody.
    }

    /// Compares without regard to case; `*` stands for any text.
    static func matches(_ text: String, _ pattern: String) -> Bool { Wildcard(pattern).matches(text) }
}
