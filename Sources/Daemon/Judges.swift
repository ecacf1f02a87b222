import Logging
import Mail
import Receiver
import Rules

/// Answers what lists of restrictions leave to others.
struct Judges: Sendable {
    let greylist: GreylistService

    init(first: Generation, clock: WallClock, logger: Logger) throws {
        self.greylist = try GreylistService(first: first, clock: clock) { logger.warning("\($0)") }
    }

    /// Before a generation is in force.
    func use(_ generation: Generation) { self.greylist.use(generation) }

    /// - Parameter number: the generation by which the transaction is judged.
    func judgement(of lookup: Lookup, generation number: Int) async -> Judgement {
        switch lookup {
        case .greylist(let question):
            await self.greylist.judgement(question, generation: number, remembers: true, spfPass: { nil })
        case .spf: .passed("not checked")
        case .names, .policy, .recipient, .verification, .pause: .notAsked
        }
    }

    /// The same for an explanation, where it must leave nothing behind; nil for what may be asked as by a session.
    func preview(of lookup: Lookup, generation number: Int) async -> Judgement? {
        switch lookup {
        case .greylist(let question):
            await self.greylist.judgement(question, generation: number, remembers: false, spfPass: { nil })
        case .names, .policy, .recipient, .verification, .spf, .pause: nil
        }
    }

    /// After the last session.
    func close() { self.greylist.close() }
}
