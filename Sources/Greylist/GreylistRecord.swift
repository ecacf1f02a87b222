package import Mail

/// What is remembered of a client network, sender and recipient.
package struct GreylistRecord: Hashable, Sendable {
    package var firstSeen: Timestamp
    /// When its mail last passed; before that the same as ``firstSeen``.
    package var lastSeen: Timestamp
    /// 0 until it has come again. Mails within a minute are one.
    package var passes: Int

    package init(firstSeen: Timestamp, lastSeen: Timestamp, passes: Int) {
        self.firstSeen = firstSeen
        self.lastSeen = lastSeen
        self.passes = passes
    }

    init(firstSeen: Timestamp) { self.init(firstSeen: firstSeen, lastSeen: firstSeen, passes: 0) }
}

/// What is remembered of a client network of which something has come again.
package struct GreylistClient: Hashable, Sendable {
    /// Different senders and recipients that have come again; at most one in an hour, so that one retry of a mail to
    /// many recipients is one.
    package var passes: Int
    package var lastCounted: Timestamp
    package var lastSeen: Timestamp

    package init(passes: Int, lastCounted: Timestamp, lastSeen: Timestamp) {
        self.passes = passes
        self.lastCounted = lastCounted
        self.lastSeen = lastSeen
    }
}

/// What becomes of a mail, and why.
package enum GreylistAnswer: Hashable, Sendable {
    case passed(Pass)
    /// It has to come again, not before so much time.
    case delayed(Delay, remaining: Duration)

    package enum Pass: Hashable, Sendable {
        case exemptClient, exemptRecipient
        /// DNS lists speak for the client.
        case allowlisted
        /// SPF says that it is mail of this domain.
        case spf(DomainName)
        /// So many mails of its network have come again.
        case client(passes: Int)
        /// It came again, so long after the first time.
        case retried(after: Duration)
        /// It had come again before, and was last seen so long ago.
        case known(since: Duration)
    }

    package enum Delay: Hashable, Sendable {
        case new
        /// It came again so soon.
        case early(after: Duration)
        /// What was known of it has expired, or it took too long to come again.
        case expired
    }
}

/// The decision about one mail, on what is remembered: a value, so that days can pass in a test.
package struct GreylistState: Hashable, Sendable {
    package var triplet: GreylistRecord?
    package var client: GreylistClient?

    package init(triplet: GreylistRecord?, client: GreylistClient?) {
        self.triplet = triplet
        self.client = client
    }

    /// Mails within this time are one: a recipient that is named twice changes nothing, and a stream of mail does not
    /// write a record for each.
    static let grain = Duration.seconds(60)
    private static let countInterval = Duration.seconds(3600)

    /// Changes what is to be remembered.
    package mutating func judge(at now: Timestamp, _ options: GreylistOptions) -> GreylistAnswer {
        if let passes = self.allowance(at: now, options) { return .passed(.client(passes: passes)) }
        // A clock that went backwards must not make anybody wait for days.
        guard let record = self.triplet, record.passes > 0 || record.firstSeen <= now else {
            self.triplet = GreylistRecord(firstSeen: now)
            return .delayed(.new, remaining: options.delay)
        }
        guard now <= record.end(options) else {
            self.triplet = GreylistRecord(firstSeen: now)
            return .delayed(.expired, remaining: options.delay)
        }
        guard record.passes == 0 else {
            let since = max(now - record.lastSeen, .zero)
            if since >= Self.grain { self.note(record, at: now) }
            return .passed(.known(since: since))
        }
        let waited = now - record.firstSeen
        guard waited >= options.delay else {
            return .delayed(.early(after: waited), remaining: options.delay - waited)
        }
        self.note(record, at: now)
        self.count(at: now, options)
        return .passed(.retried(after: waited))
    }

    private mutating func note(_ record: GreylistRecord, at now: Timestamp) {
        self.triplet = GreylistRecord(
            firstSeen: record.firstSeen, lastSeen: now, passes: min(record.passes, Self.mostPasses) + 1)
    }

    /// Where counting ends; a record has four octets for it.
    private static let mostPasses = 1_000_000_000

    /// How many mails of the network have come again, if that is enough.
    private mutating func allowance(at now: Timestamp, _ options: GreylistOptions) -> Int? {
        guard let client = self.client, options.autoAllow > 0, client.passes >= options.autoAllow,
            now <= client.end(options)
        else { return nil }
        if now - client.lastSeen >= Self.grain { self.client?.lastSeen = now }
        return client.passes
    }

    private mutating func count(at now: Timestamp, _ options: GreylistOptions) {
        guard let client = self.client, now <= client.end(options) else {
            self.client = GreylistClient(passes: 1, lastCounted: now, lastSeen: now)
            return
        }
        self.client?.lastSeen = now
        // Of a clock that went backwards only the hour begins anew.
        self.client?.lastCounted = min(client.lastCounted, now)
        guard now - client.lastCounted >= Self.countInterval else { return }
        self.client?.lastCounted = now
        self.client?.passes = min(client.passes, Self.mostPasses) + 1
    }
}

extension GreylistRecord {
    /// The last moment at which it counts.
    package func end(_ options: GreylistOptions) -> Timestamp {
        self.passes == 0 ? self.firstSeen + options.retryWindow : self.lastSeen + options.expiry
    }
}

extension GreylistClient {
    package func end(_ options: GreylistOptions) -> Timestamp { self.lastSeen + options.autoAllowExpiry }
}
