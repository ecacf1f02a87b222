import ArgumentParser
import Daemon
import Foundation
import Mail
import Resolver

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what would happen to a message, and why.",
        discussion: """
            Asks the daemon, by the rules that it has in force. With --config or --dns the files are read instead, as \
            a reload would, so that rules can be tried before they hold.
            """)

    @Option(help: "Address of the client.") var client: String
    @Option(help: "Its host name, which is looked up otherwise; 'unknown' for none.") var clientName: String?
    @Option(help: "What it says in HELO.") var helo: String
    @Option(help: "The reverse-path; empty for the null reverse-path.") var from: String
    @Option(help: "The forward-path; may be given again.") var to: [String]
    @Option(help: "File with a message.") var message: String?
    @Option(name: .customLong("config"), help: "Explain by this configuration file.") var file: String?
    @Option(help: "Socket of the daemon, where it is not the one that /etc/postern/postern.yaml names.")
    var control: String?
    @OptionGroup var resolver: ResolverArguments
    @Flag(help: "Print one JSON document.") var json = false

    func validate() throws {
        guard !self.to.isEmpty else { throw ValidationError("--to is missing") }
    }

    func run() async throws {
        let content = try self.message.map { Base64Text.encode(LineEnds.crlf(try MessageFile($0).bytes())) }
        let request = ExplainRequest(
            client: self.client, clientName: self.clientName, helo: self.helo, from: self.from, to: self.to,
            content: content)
        try ExplanationOutput(json: self.json).write(try await self.explanation(request))
    }

    private func explanation(_ request: ExplainRequest) async throws -> Explanation {
        guard self.file != nil || self.resolver.server != nil else {
            var command = ControlRequest(.explain)
            command.explain = request
            let path = try self.control ?? Configuration(file: ConfigurationOption.standardFile).control
            return try ControlClient(path: path).document(command, as: Explanation.self).0
        }
        let session: HypotheticalSession
        do throws(OptionProblem) { session = try request.session() } catch { throw CommandFailure(2, error.message) }
        let generation = try Generation(file: self.file ?? ConfigurationOption.standardFile, number: 1)
        var options = try generation.configuration.resolver.options()
        try self.resolver.apply(to: &options)
        return try await OfflineExplainer(generation, options).explain(session)
    }
}

/// Prints an explanation.
struct ExplanationOutput {
    let json: Bool

    func write(_ explanation: Explanation) throws {
        if self.json { return try Output.write(try ControlJSON.encode(explanation) + [ASCII.lineFeed]) }
        let reply = explanation.reply.map { " \($0.code) \($0.enhanced.map { "\($0) " } ?? "")\($0.text)" } ?? ""
        try Output.line("\(explanation.verdict)\(reply)")
        let place = explanation.file.map { file in explanation.line.map { "\(file):\($0)" } ?? file }
        let why = [explanation.stage, explanation.restriction, place].compactMap { $0 }
        if !why.isEmpty { try Output.line("because of " + why.joined(separator: ", ")) }
        for step in explanation.trace { try Output.line("  " + step.text.replacing("\n", with: "\n  ")) }
    }
}

/// Puts the rules back in force that were so before the last reload.
struct Rollback: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put the generation of configuration and rules back in force that was so before the last reload.")

    @OptionGroup var source: ConfigurationOption

    func run() throws {
        let (report, _) = try self.source.connect().document(ControlRequest(.rollback), as: ReloadReport.self)
        for error in report.errors { Output.complain(error) }
        guard report.errors.isEmpty else { throw CommandFailure(1, "generation \(report.generation) stays in force") }
        try Output.line("generation \(report.generation)")
    }
}

extension MessageCommand {
    /// What the rules for content say of a message.
    struct CheckContent: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check", abstract: "Show what the rules for headers, text and attachments do with a message.")

        @Argument(help: "The file with the message.") var file: String
        @OptionGroup var source: ConfigurationOption
        @Flag(help: "Print one JSON document.") var json = false

        func run() throws {
            let content = LineEnds.crlf(try MessageFile(self.file).bytes())
            let generation = try Generation(file: self.source.file, number: 1)
            try ExplanationOutput(json: self.json).write(Explainer(generation).explain(content: content))
        }
    }
}
