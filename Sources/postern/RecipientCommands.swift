import ArgumentParser
import Daemon
import Mail
import Recipients

struct RecipientsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recipients", abstract: "The recipients of relay domains.", subcommands: [Sync.self])

    struct Sync: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Compare the table of recipients with another list, and replace it.",
            discussion: """
                Prints what would be added and removed, and writes only with --yes. The status is 0 if nothing differs \
                or the table was written, and 1 if something differs and was not.
                """)

        @OptionGroup var source: ConfigurationOption

        @Option(help: "The other list: pgsql:FILE with a list_query, callout, or a file with an address a line.")
        var from: String

        @Option(help: "Write to this file, not to the table of the configuration.")
        var output: String?

        @Flag(help: "Write.") var yes = false

        func run() async throws {
            let configuration = try self.source.load()
            let sync = try RecipientSync(configuration)
            let gathered: RecipientSync.Gathered
            do {
                gathered = try await RecipientSync.gather(
                    RecipientSync.Source(self.from), configuration, policy: configuration.callout.policy,
                    at: WallClock.system.now())
            } catch let error as RecipientSync.Unavailable {
                throw CommandFailure(1, error.message)
            }
            for warning in gathered.warnings { Output.complain("warning: \(warning)") }
            let difference = sync.difference(to: gathered.list)
            try self.show(difference)
            if difference.isEmpty, self.output == nil { return }
            // It would refuse all mail, and is more likely a mistake.
            guard !gathered.list.keys.isEmpty else {
                throw CommandFailure(1, "\(self.from) has no address at all: nothing is written")
            }
            guard self.yes else {
                throw CommandFailure(1, difference.isEmpty ? nil : "nothing is written without --yes")
            }
            do { try sync.write(gathered.list, to: self.output) } catch let error as RecipientSync.Unavailable {
                throw CommandFailure(1, error.message)
            }
        }

        private func show(_ difference: RecipientList.Difference) throws {
            for key in difference.removed { try Output.line("-\(key)") }
            for key in difference.added { try Output.line("+\(key)") }
            try Output.line(
                "\(difference.added.count) added, \(difference.removed.count) removed, "
                    + "\(difference.unchanged) unchanged")
        }
    }
}
