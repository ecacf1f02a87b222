internal import NIOCore

/// Answers that are still true, so that what is asked again and again does not visit the resolver's thread.
///
/// Small and bounded by its number of entries; libunbound keeps the large cache behind it. When it is full, the
/// entry that makes room is one that has expired or has not been asked for since the hand last came by.
struct AnswerCache: Sendable {
    private struct Entry {
        let question: DNSQuestion
        let result: DNSResult
        let expiry: NIODeadline
        var isUsed = false
    }

    private let capacity: Int
    private var entries: [Entry] = []
    /// Where in `entries` the answer to a question is.
    private var places: [DNSQuestion: Int] = [:]
    private var hand = 0

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { self.entries.count }

    /// The answer with the TTL it has left; nil if there is none or it is no longer true.
    mutating func result(for question: DNSQuestion, at now: NIODeadline) -> DNSResult? {
        guard let place = self.places[question], self.entries[place].expiry > now else { return nil }
        self.entries[place].isUsed = true
        return self.entries[place].result.with(ttl: Duration(self.entries[place].expiry - now))
    }

    /// Keeps an answer, or that there is none, for as long as its TTL; failures are not kept.
    mutating func keep(_ result: DNSResult, for question: DNSQuestion, at now: NIODeadline) {
        guard let ttl = result.ttl, ttl > .zero, self.capacity > 0 else { return }
        let entry = Entry(question: question, result: result, expiry: now + TimeAmount(ttl))
        if let place = self.places[question] {
            self.entries[place] = entry
        } else if self.entries.count < self.capacity {
            self.places[question] = self.entries.count
            self.entries.append(entry)
        } else {
            let place = self.freedPlace(at: now)
            self.places[question] = place
            self.entries[place] = entry
        }
    }

    private mutating func freedPlace(at now: NIODeadline) -> Int {
        while self.entries[self.hand].isUsed, self.entries[self.hand].expiry > now {
            self.entries[self.hand].isUsed = false
            self.advanceHand()
        }
        defer { self.advanceHand() }
        self.places[self.entries[self.hand].question] = nil
        return self.hand
    }

    private mutating func advanceHand() { self.hand = (self.hand + 1) % self.entries.count }
}

extension DNSResult {
    /// How long it may be kept; nil for what must be asked again.
    fileprivate var ttl: Duration? {
        switch self {
        case .success(let answer): answer.ttl
        case .failure(let failure): failure.negative?.ttl
        }
    }

    fileprivate func with(ttl: Duration) -> DNSResult {
        switch self {
        case .success(var answer):
            answer.ttl = ttl
            return .success(answer)
        case .failure(.noSuchName(var negative)):
            negative.ttl = ttl
            return .failure(.noSuchName(negative))
        case .failure(.noData(var negative)):
            negative.ttl = ttl
            return .failure(.noData(negative))
        case .failure: return self
        }
    }
}
