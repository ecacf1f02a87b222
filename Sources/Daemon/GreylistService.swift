import Greylist
import Mail
import Receiver
import Rules
import Synchronization

/// Greylisting as the lists of restrictions ask for it, by the generation that judges a transaction.
final class GreylistService: Sendable {
    private let greylisting: Greylisting
    /// The last few generations: transactions finish on the one they began with.
    private let policies: Mutex<[(number: Int, policy: GreylistPolicy)]>

    private static let mostGenerations = 4

    init(first: Generation, clock: WallClock, warn: @escaping @Sendable (String) -> Void) throws {
        let folder = first.configuration.state + "/greylist"
        try FolderMaker.make(folder)
        let options = first.configuration.greylist
        var settings = GreylistStore.usualSettings
        settings.entries = options.entries
        self.greylisting = Greylisting(
            store: try GreylistStore(
                folder: folder, options: options, settings: settings, clock: clock, complain: warn),
            clock: clock)
        self.policies = Mutex([(first.number, first.greylist)])
    }

    /// Before a generation is in force.
    func use(_ generation: Generation) {
        self.greylisting.use(generation.configuration.greylist)
        self.policies.withLock { policies in
            policies.append((generation.number, generation.greylist))
            if policies.count > Self.mostGenerations { policies.removeFirst() }
        }
    }

    func judgement(_ question: GreylistQuestion, _ circumstances: GreylistCircumstances) async -> Judgement {
        let found = self.policies.withLock { $0.last { $0.number == circumstances.generation } ?? $0.last }
        guard let policy = found?.policy else { return .notAsked }
        let delivery = GreylistDelivery(
            client: question.client, sender: question.reversePath, recipient: question.recipient,
            isAllowlisted: question.isAllowlisted)
        let answer =
            circumstances.remembers
            ? await self.greylisting.judge(delivery, policy, spfPass: circumstances.spfPass)
            : await self.greylisting.preview(delivery, policy, spfPass: circumstances.spfPass)
        return answer.reply(policy.options).map { .refused($0, why: answer.why) } ?? .passed(answer.why)
    }

    var status: StatusReport.Greylist {
        let statistics = self.greylisting.statistics
        return StatusReport.Greylist(
            entries: statistics.entries + statistics.waiting, passed: statistics.passed, delayed: statistics.delayed)
    }

    /// After the last session.
    func close() { self.greylisting.close() }
}

// MARK: - Tables

extension GreylistPolicy {
    /// - Throws: everything that is wrong in its tables.
    init(_ configuration: Configuration, _ file: String, _ loader: TableLoader) throws(FileErrors) {
        let options = configuration.greylist
        var errors: [FileError] = []
        let clients = ExemptionTables(options.exempt, "greylist.exempt", file, loader, &errors)
        let recipients = ExemptionTables(
            options.exemptRecipients, "greylist.exempt_recipients", file, loader, &errors)
        let keys = AddressKeys(delimiter: configuration.recipientDelimiter?.first)
        let trustsSPF = Self.trust(in: options.spfPassDomains, file, loader, &errors)
        guard errors.isEmpty, loader.errors.isEmpty else { throw FileErrors(loader.errors + errors) }
        self.init(
            options: options, isExemptClient: { clients.exempt($0) },
            isExemptRecipient: { recipients.exempt($0, keys) },
            trustsSPF: trustsSPF)
    }

    private static func trust(
        in domains: GreylistSPFDomains, _ file: String, _ loader: TableLoader, _ errors: inout [FileError]
    ) -> (@Sendable (DomainName) -> Bool)? {
        switch domains {
        case .none: return nil
        case .all: return { _ in true }
        case .domains(let names):
            let set = DomainSet(keys: names)
            return { set.contains($0) }
        case .table(let name):
            guard let table = loader.table(name, for: "greylist.spf_pass_domains", file, &errors) else { return nil }
            return { domain in
                AddressKeys.domain(domain.ascii).contains { key in
                    var faults: [TableFault] = []
                    return table.lookup(key, faults: &faults) != nil
                }
            }
        }
    }
}

extension TableLoader {
    /// A table that a key of the configuration names; nil if there is none, and then that is among the errors.
    func table(
        _ name: String, for key: String, _ file: String, _ errors: inout [FileError]
    ) -> RuleTable? {
        do throws(OptionProblem) { return try self.ruleTable(name) } catch {
            errors.append(FileError(file: file, message: "\(key): \(error.message)"))
            return nil
        }
    }
}
