import ArgumentParser
import Authentication
import Daemon
import Foundation
import Mail

struct AuthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "auth", abstract: "Find out where a message is from: SPF, DKIM, ARC and DMARC together.")

    @Option(name: .customLong("ip"), help: "The client's address.") var address: String
    @Option(help: "What the client calls itself.") var helo: String
    @Option(name: .customLong("from"), help: "The reverse-path; \"\" is the null one.") var reversePath: String
    @Argument(help: "The file with the message; - for standard input.") var file: String
    @OptionGroup var names: NameArguments
    @Flag(help: "Print one JSON document.") var json = false

    func run() async throws {
        guard let address = IPAddress(self.address) else {
            throw CommandFailure(2, "'\(self.address)' is no IP address")
        }
        let path = self.reversePath.isEmpty || self.reversePath == "<>" ? nil : Mailbox(self.reversePath)
        guard path != nil || self.reversePath.isEmpty || self.reversePath == "<>" else {
            throw CommandFailure(2, "'\(self.reversePath)' is no address")
        }
        let client = AuthenticatedClient(
            address: address, helo: self.helo, reversePath: path.map { .mailbox($0) } ?? .null)
        let lookup = try AuthenticationLookup(self.names.configuration(), file: self.names.source.file)
        let message = lookup.message(from: client)
        try MessageSource(self.file).read { _ = message.receive($0) }
        let now = self.names.now
        let found = try await self.names.resolving { await lookup.report(client, names: $0, at: now, message) }
        guard let report = found else { throw CommandFailure(1, "nothing was found out") }
        if self.json { return try Output.write(try ControlJSON.encode(report) + [ASCII.lineFeed]) }
        try Output.line("spf: \(report.spf)")
        for signature in report.dkim {
            let name = "d=\(signature.domain ?? "?") s=\(signature.selector ?? "?")"
            try Output.line(
                "dkim: \(signature.result) \(name)\(signature.reason.isEmpty ? "" : " \(signature.reason)")")
        }
        if report.dkim.isEmpty { try Output.line("dkim: none") }
        try Output.line("arc: \(report.arc)")
        let policy = report.dmarc.policy.map { ", policy \($0)" } ?? ""
        try Output.line("dmarc: \(report.dmarc.result) \(report.dmarc.domain ?? "")\(policy)")
        try Output.line(report.header)
    }
}
