import ArgumentParser
import Daemon
import Foundation
import Mail

@main
struct Postern: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postern",
        abstract: "An edge filtering relay and backup MX.",
        version: Version.text,
        subcommands: [
            Run.self, Check.self, Reload.self, Rollback.self, Explain.self, Status.self, QueueCommand.self,
            MessageCommand.self, AuthCommand.self, SPFCommand.self, DKIMCommand.self, ARCCommand.self,
            RecipientsCommand.self, DNS.self, TLSCommand.self, LogCommand.self, ReportCommand.self,
            TableCommand.self, ImportCommand.self, Reference.self,
        ])

    static func main() async {
        // A reader that goes away, such as `head`, is no reason to be killed.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try self.parseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch {
            self.end(with: error)
        }
    }

    /// Prints what is to be said, and ends with the status that CLI users rely on: 2 for wrong usage and bad input.
    private static func end(with error: any Error) -> Never {
        switch error {
        case let errors as FileErrors:
            for error in errors.list { Output.complain("\(error)") }
            Foundation.exit(2)
        case ControlClient.Failure.unreachable(let reason):
            Output.complain("the daemon cannot be reached: \(reason)")
            Foundation.exit(3)
        case ControlClient.Failure.broken(let reason):
            Output.complain("the daemon did not answer: \(reason)")
            Foundation.exit(3)
        case let failure as CommandFailure:
            if let message = failure.message { Output.complain(message) }
            Foundation.exit(failure.status)
        default:
            let code = self.exitCode(for: error)
            if code == .success {
                print(self.fullMessage(for: error))
                Foundation.exit(0)
            }
            let isUsage = error is ValidationError || code == .validationFailure
            Output.complain(isUsage ? self.fullMessage(for: error) : "\(error)")
            Foundation.exit(isUsage ? 2 : 1)
        }
    }
}

/// The end of a command that did not succeed.
struct CommandFailure: Error {
    let status: Int32
    let message: String?

    init(_ status: Int32, _ message: String? = nil) {
        self.status = status
        self.message = message
    }
}

enum Output {
    static func complain(_ text: String) {
        // Nobody is left to complain to if that fails.
        _ = self.write(Array("\(text)\n".utf8), to: STDERR_FILENO)
    }

    /// Writes to standard output; ends quietly if nobody reads any more.
    static func write(_ bytes: [UInt8]) throws {
        guard !Self.write(bytes, to: STDOUT_FILENO) else { return }
        throw CommandFailure(1, errno == EPIPE ? nil : "standard output: \(String(cString: strerror(errno)))")
    }

    /// - Returns: whether all of it was written.
    fileprivate static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    static func line(_ text: String) throws { try self.write(Array("\(text)\n".utf8)) }
}

/// A file that a command writes, in place of an older one. It may hold somebody's mail.
struct OutputFile: ~Copyable {
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(CommandFailure) {
        self.path = path
        self.descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard self.descriptor >= 0 else { throw Self.failure(path) }
    }

    deinit { close(self.descriptor) }

    borrowing func write(_ bytes: [UInt8]) throws(CommandFailure) {
        guard Output.write(bytes, to: self.descriptor) else { throw Self.failure(self.path) }
    }

    private static func failure(_ path: String) -> CommandFailure {
        CommandFailure(1, "\(path): \(String(cString: strerror(errno)))")
    }
}

/// Options of every command that needs the configuration.
struct ConfigurationOption: ParsableArguments {
    static let standardFile = "/etc/postern/postern.yaml"

    @Option(name: .customLong("config"), help: "The configuration file.")
    var file = Self.standardFile

    /// The configuration alone; tables are not read.
    func load() throws -> Configuration {
        try Configuration(file: self.file)
    }

    /// Nil where nobody has set Postern up, and none is named.
    func loadIfSetUp() throws -> Configuration? {
        self.file != Self.standardFile || access(self.file, F_OK) == 0 ? try self.load() : nil
    }

    /// A connection to the daemon that the configuration names.
    func connect() throws -> ControlClient {
        try ControlClient(path: try self.load().control)
    }
}

extension ControlClient {
    /// Runs a request that must succeed; a status other than 0 becomes a failure with the daemon's message.
    borrowing func require(_ request: ControlRequest, _ body: (UInt8, [UInt8]) throws -> Void) throws {
        let end = try self.run(request, body)
        guard end.status == 0 else { throw CommandFailure(end.status, end.message) }
    }

    /// Runs a request that changes messages, and prints how many it changed.
    borrowing func change(_ request: ControlRequest) throws {
        let end = try self.run(request) { _, _ in }
        if let count = end.count { try Output.line("\(count)") }
        guard end.status == 0 else { throw CommandFailure(end.status, end.message) }
    }

    /// The only document of an answer.
    borrowing func document<Value: Decodable>(_ request: ControlRequest, as type: Value.Type) throws -> (
        Value, json: [UInt8]
    ) {
        var found: [UInt8] = []
        let end = try self.run(request) { _, payload in found = payload }
        guard !found.isEmpty else { throw CommandFailure(end.status == 0 ? 1 : end.status, end.message) }
        return (try ControlJSON.decode(type, from: found), found)
    }
}
