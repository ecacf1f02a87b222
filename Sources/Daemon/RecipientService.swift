import Mail
import NIOCore
import Recipients
import Rules
import Synchronization

/// A data base of recipients, as the configuration names it.
struct RecipientDatabase: Hashable, Sendable {
    /// `pgsql:FILE`
    let name: String
    let file: PgsqlFile
}

/// Knows of addresses what tables do not: by data bases, and by asking servers.
final class RecipientService: Sendable {
    private let verification: Verification
    private let loop: any EventLoop
    private let warn: @Sendable (String) -> Void
    private let shared: Mutex<Shared>

    private struct Shared {
        /// Data bases with their connections; one that a reload leaves as it is keeps them.
        var tables: [RecipientDatabase: PgsqlTable] = [:]
        /// The last few generations: transactions finish on the one they began with.
        var generations: [Generation]
    }

    private static let mostGenerations = 4

    init(
        _ verification: Verification, loop: any EventLoop, first: Generation,
        warn: @escaping @Sendable (String) -> Void
    ) {
        self.verification = verification
        self.loop = loop
        self.warn = warn
        self.shared = Mutex(Shared(generations: []))
        self.use(first)
    }

    /// Opens what a generation needs, before it is in force, and closes what none needs any more.
    func use(_ generation: Generation) {
        self.verification.use(generation.configuration.callout, generation.forwarder)
        let gone = self.shared.withLock { shared in
            shared.generations.append(generation)
            if shared.generations.count > Self.mostGenerations { shared.generations.removeFirst() }
            let needed = Set(shared.generations.flatMap(\.databases))
            let gone = shared.tables.filter { !needed.contains($0.key) }
            for key in gone.keys { shared.tables[key] = nil }
            for database in generation.databases where shared.tables[database] == nil {
                shared.tables[database] = self.open(database)
            }
            return Array(gone.values)
        }
        for table in gone { table.close() }
    }

    /// Nil if it cannot be opened: it counts as one that does not answer.
    private func open(_ database: RecipientDatabase) -> PgsqlTable? {
        do { return try PgsqlTable(name: database.name, file: database.file, report: self.warn) } catch {
            self.warn("\(database.name) cannot be opened: \(String(describing: error))")
            return nil
        }
    }

    /// - Parameter number: the generation by which the transaction is judged.
    func finding(_ lookup: Lookup, generation number: Int) async -> AddressFinding {
        let found = self.shared.withLock { shared in
            shared.generations.last { $0.number == number } ?? shared.generations.last
        }
        guard let generation = found else { return .unverified }
        switch lookup {
        case .recipient(let mailbox):
            return AddressFinding(await self.directory(generation).answer(mailbox, on: self.loop))
        case .verification(let mailbox, let address):
            let verifier = address == .sender ? self.verification.senders : self.verification.recipients
            let reject = generation.configuration.callout.reject
            return AddressFinding(await verifier.verdict(on: mailbox, reject: reject, loop: self.loop))
        case .names, .policy, .spf, .greylist, .pause: return .unverified
        }
    }

    private func directory(_ generation: Generation) -> RecipientDirectory {
        var sources = RecipientSources()
        let relay = generation.receiver.policy.relay
        sources.listed = { relay.lists($0) ? "relay_recipients" : nil }
        let keys = relay.keys
        let tables = self.shared.withLock { shared in generation.databases.map { ($0.name, shared.tables[$0]) } }
        sources.databases = tables.map { name, table in
            { mailbox in await table?.answer(mailbox, keys) ?? .failed("\(name) is not open") }
        }
        sources.verifier = self.verification.recipients
        sources.verification = generation.configuration.callout
        sources.acceptsUnlisted = { relay.knows($0) ?? false }
        return RecipientDirectory(sources, hostname: generation.hostname)
    }

    var alarms: [String] { self.verification.alarms }

    func shutDown() async {
        let tables = self.shared.withLock { shared in
            defer { shared.tables = [:] }
            return Array(shared.tables.values)
        }
        for table in tables { table.close() }
        await self.verification.shutDown()
    }
}

extension AddressFinding {
    fileprivate init(_ verdict: RecipientVerdict) {
        switch verdict.answer {
        case .known, .discard: self = .known
        case .unknown(let reply): self = .unknown(reply, why: verdict.reason)
        case .undecided(let reply): self = .undecided(reply, why: verdict.reason)
        case .acceptAndHold: self = .acceptAndHold(verdict.reason)
        }
    }
}
