import ArgumentParser
import Authentication
import Crypto
import Daemon
import Foundation
import Mail

struct ARCCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "arc", abstract: "Verify and extend ARC chains.", subcommands: [Verify.self, Seal.self])

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Verify the chain of a message: none, pass or fail. Succeeds unless it fails.")

        @Argument(help: "The file with the message; - for standard input.") var file: String
        @OptionGroup var names: NameArguments
        @Flag(help: "Print one JSON document.") var json = false

        func run() async throws {
            let message = try MessageSource(self.file).digest()
            let now = self.names.now
            let result = try await self.names.resolving { names in
                await ARCVerifier(names: names, now: now).result(for: message)
            }
            if self.json {
                try Output.write(try ControlJSON.encode(Report(result)) + [ASCII.lineFeed])
            } else {
                try Output.line(result.outcome.rawValue)
                if !result.reason.isEmpty { try Output.line(result.reason) }
                for set in result.sets {
                    try Output.line("i=\(set.instance) cv=\(set.chainValidation) d=\(set.domain) \(set.results)")
                }
            }
            if result.outcome == .fail { throw CommandFailure(1) }
        }
    }

    struct Seal: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a message with a set added to its chain.",
            discussion: """
                The results are those of Authentication-Results fields with the same authserv-id; without any, that of \
                the chain. Nothing is added to a chain that somebody found broken before, or that is as long as it may \
                be.
                """)

        @Argument(help: "The file with the message; - for standard input.") var file: String
        @OptionGroup var key: KeyArguments
        @Option(name: .customLong("authserv-id"), help: "The name of this server in Authentication-Results.")
        var authservID: String
        @Option(help: "The fields to sign, with colons between, instead of the usual ones.") var headers: String?
        @OptionGroup var names: NameArguments

        func run() async throws {
            guard let authservID = DomainName(self.authservID) else {
                throw CommandFailure(2, "'\(self.authservID)' is no name of a server")
            }
            var options = ARCSealer.Options()
            options.names = self.headers?.split(separator: ":").map { $0.trimmingCharacters(in: .whitespaces) }
            let sealer = ARCSealer(key: try self.key.load(), authservID: authservID, options: options)
            let (content, hasCRLF) = try MessageSource(self.file).content()
            let message = MessageDigester.digest(content, needing: [sealer.hashing])
            let now = self.names.now
            let chain = try await self.names.resolving { names in
                await ARCVerifier(names: names, now: now).result(for: message)
            }
            // A chain that is broken because nobody knew a key would stay broken.
            guard !chain.isTemporary else { throw CommandFailure(1, chain.reason) }
            var results = AuthenticationResultsText.results(in: message.header, of: self.authservID)
            if results.isEmpty { results = ["arc=\(chain.outcome)"] }
            let fields: String
            do {
                fields = try sealer.fields(for: message, chain: chain, results: results, at: now)
            } catch {
                throw CommandFailure(1, error.message)
            }
            try Output.message(fields, above: content, hasCRLF: hasCRLF)
        }
    }

    /// What `postern arc verify --json` prints.
    private struct Report: Encodable {
        struct Instance: Encodable {
            let instance: Int
            let chainValidation: String
            let domain: String
            let selector: String
            let messageDomain: String
            let results: String
        }

        let result: String
        let reason: String
        let isTemporary: Bool
        let oldestPass: Int?
        let sets: [Instance]

        init(_ result: ARCResult) {
            self.result = result.outcome.rawValue
            self.reason = result.reason
            self.isTemporary = result.isTemporary
            self.oldestPass = result.oldestPass
            self.sets = result.sets.map {
                Instance(
                    instance: $0.instance, chainValidation: $0.chainValidation.rawValue, domain: $0.domain,
                    selector: $0.selector, messageDomain: $0.messageDomain, results: $0.results)
            }
        }
    }
}
