import ArgumentParser
import Authentication
import Daemon
import Foundation
import Mail
import Resolver

struct SPFCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spf", abstract: "Ask a domain whether a client may use its name.")

    enum Engine: String, ExpressibleByArgument, CaseIterable {
        case postern, libspf2

        func start() throws -> SPFEngine {
            switch self {
            case .postern: .postern
            case .libspf2: try .libspf2(threads: 1)
            }
        }
    }

    @Option(name: .customLong("ip"), help: "The client's address.") var address: String
    @Option(help: "What the client calls itself.") var helo: String
    @Option(name: .customLong("from"), help: "The reverse-path; \"\" is the null one.") var reversePath: String
    @Option(help: "Who decides: postern or libspf2.") var engine = Engine.postern
    @OptionGroup var source: ConfigurationOption
    @OptionGroup var resolver: ResolverArguments
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        guard let client = IPAddress(self.address) else {
            throw CommandFailure(2, "'\(self.address)' is no IP address")
        }
        var options = try self.source.loadIfSetUp()?.resolver.options() ?? ResolverOptions()
        try self.resolver.apply(to: &options)
        let check = SPFCheck(
            client: client, helo: self.helo, reversePath: self.reversePath, time: WallClock.system.now())
        let engine = try self.engine.start()
        defer { engine.close() }
        let report = try await SPFLookup(options).report(check, engine)
        if self.json { return try Output.write(try ControlJSON.encode(report) + [ASCII.lineFeed]) }
        let result = report.result
        try Output.line("\(result.result)")
        if let mechanism = result.mechanism { try Output.line("mechanism: \(mechanism)") }
        if let explanation = result.explanation { try Output.line("explanation: \(explanation)") }
        if let why = result.why { try Output.line("problem: \(why)") }
        try Output.line("lookups: \(result.lookups), \(result.voidLookups) of them void; \(result.questions) questions")
    }
}
