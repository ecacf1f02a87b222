package import Mail

/// What a record is worth, when to ask again, and what an answer makes of it (SEMANTICS §9).
///
/// An old answer is given at once while a new one is fetched, and a failed probe never takes away a good answer before
/// that expires: this is what lets a backup MX tell its recipients while the primary is away.
package struct VerifyPolicy: Hashable, Sendable {
    package var positiveExpire = Duration.seconds(31 * 86_400)
    package var positiveRefresh = Duration.seconds(7 * 86_400)
    package var negativeExpire = Duration.seconds(3 * 86_400)
    package var negativeRefresh = Duration.seconds(3 * 3600)
    /// After a probe that said nothing of the address.
    package var undecidedRefresh = Duration.seconds(300)
    /// A probe that was begun so long ago is lost.
    package var inFlight = Duration.seconds(1000)

    package init() {}

    /// What is known of an address.
    package enum Standing: Hashable, Sendable {
        case accepted(since: Timestamp)
        case refused(VerifyRecord.Failure)
        case undecided(VerifyRecord.Failure)
        case unheard
    }

    package func standing(of record: VerifyRecord?, at now: Timestamp) -> Standing {
        guard let record else { return .unheard }
        if let time = record.accepted, time + self.positiveExpire > now { return .accepted(since: time) }
        if let failure = record.refused, failure.time + self.negativeExpire > now { return .refused(failure) }
        if let failure = record.undecided, failure.time + self.negativeExpire > now { return .undecided(failure) }
        return .unheard
    }

    package func isProbeDue(_ record: VerifyRecord?, at now: Timestamp) -> Bool {
        guard let record else { return true }
        // Later than any answer would set it: the clock has been set back.
        let furthest = now + max(self.positiveRefresh, self.negativeRefresh, self.undecidedRefresh, self.inFlight)
        return record.nextProbe <= now || record.nextProbe > furthest
    }

    /// The record of an address that is being asked about.
    package func begun(_ record: VerifyRecord?, at now: Timestamp) -> VerifyRecord {
        var record = record ?? VerifyRecord(nextProbe: now)
        record.nextProbe = now + self.inFlight
        return record
    }

    /// The record after an answer.
    package func updated(_ record: VerifyRecord?, with result: ProbeResult, at now: Timestamp) -> VerifyRecord {
        var record = record ?? VerifyRecord(nextProbe: now)
        let failure = VerifyRecord.Failure(time: now, verdict: result.verdict, text: result.text)
        switch result.verdict {
        case .accepted:
            (record.accepted, record.refused, record.undecided) = (now, nil, nil)
            record.nextProbe = now + self.positiveRefresh
        case .unknown:
            (record.refused, record.undecided) = (failure, nil)
            record.nextProbe = now + self.negativeRefresh
        case .blocked, .temporary, .unreachable:
            record.undecided = failure
            record.nextProbe = now + self.undecidedRefresh
        }
        return record
    }

    /// When nothing in it counts any more.
    package func expiry(of record: VerifyRecord) -> Timestamp {
        let ends = [
            record.accepted.map { $0 + self.positiveExpire }, record.refused.map { $0.time + self.negativeExpire },
            record.undecided.map { $0.time + self.negativeExpire },
        ]
        return ends.compactMap { $0 }.max() ?? record.nextProbe
    }
}
