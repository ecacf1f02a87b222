import Foundation

/// A program to start.
package struct Program: Sendable {
    /// Where the program writes; it can be read while the program runs.
    package enum Output: Sendable {
        /// A file without a name, which goes with the ``Subprocess``.
        case unnamed
        /// Added to a file.
        case file(String)
    }

    package var path: String
    package var arguments: [String]
    /// Over that of the tests.
    package var environment: [String: String] = [:]
    package var folder: String?
    /// What it reads from standard input.
    package var input: [UInt8] = []
    /// Become its descriptors 3, 4 and so on, and are announced as in sd_listen_fds(3). They stay open here too.
    package var listeners: [Int32] = []
    package var output = Output.unnamed
    /// Standard error, if apart from standard output.
    package var errors: Output?
    /// Whether it is `unshare`, which waits for the first process of a namespace and cannot be told to end it.
    var isNamespace = false

    package init(_ path: String, _ arguments: [String] = []) {
        self.path = path
        self.arguments = arguments
    }

    /// Runs the program to its end.
    ///
    /// - Throws: when it does not end in time; it is killed then.
    package func run(within limit: Duration = .seconds(60)) throws -> Finished {
        let process = try Subprocess(self)
        let ending = try process.wait(within: limit)
        return Finished(ending: ending, output: process.output, errors: process.errors)
    }

    /// The same, and it is an error when it does not succeed.
    @discardableResult
    package func runOrThrow(within limit: Duration = .seconds(60)) throws -> Finished {
        let finished = try self.run(within: limit)
        guard finished.ending == .exited(0) else {
            throw HarnessError(
                "\(self.path) \(self.arguments) \(finished.ending): \(finished.output)\(finished.errors)")
        }
        return finished
    }
}

/// How a program ended.
package enum Ending: Hashable, Sendable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    package var description: String {
        switch self {
        case .exited(let code): "ended with code \(code)"
        case .signalled(let signal): "was ended by signal \(signal)"
        }
    }
}

/// A program that ran to its end.
package struct Finished: Sendable {
    package let ending: Ending
    /// Standard output, and standard error unless it was kept apart.
    package let output: String
    package let errors: String
}

/// A running program. It and all it started in its process group are killed when the last reference goes.
///
/// A `let` in a test keeps it to the end of the scope, whether the test returns or throws: Swift does not move the
/// end of an object with a `deinit` over the calls that follow. If the tests themselves crash, ``Watchdog``
/// kills the program.
package final class Subprocess: Sendable {
    package let name: String
    /// Stays taken until this object goes, so that a late signal meets no stranger.
    package let processID: Int32
    private let isNamespace: Bool
    private let outputFile: CaptureFile
    private let errorFile: CaptureFile?

    package init(_ program: Program) throws {
        guard access(program.path, X_OK) == 0 else { throw HarnessError("cannot run \(program.path)", code: errno) }
        let input = try CaptureFile(.unnamed)
        try input.fill(program.input)
        self.name = (program.path as NSString).lastPathComponent
        self.isNamespace = program.isNamespace
        self.outputFile = try CaptureFile(program.output)
        self.errorFile = try program.errors.map { try CaptureFile($0) }
        var command: [String] = []
        if let folder = program.folder { command += ["/usr/bin/env", "-C", folder] }
        if !program.listeners.isEmpty {
            // Only the child knows its process ID; it stays the same over exec.
            command += ["/bin/sh", "-c", "LISTEN_FDS=\(program.listeners.count) LISTEN_PID=$$ exec \"$0\" \"$@\""]
        }
        let standard = [input, self.outputFile, self.errorFile ?? self.outputFile].map(\.descriptor)
        self.processID = try spawn(
            command + [program.path] + program.arguments,
            environment: ProcessInfo.processInfo.environment.merging(program.environment) { $1 },
            descriptors: standard + program.listeners)
        try Watchdog.shared.get().started(process: self.processID)
    }

    deinit {
        self.kill()
        // Before its number is free for another process. Without a watchdog, none was started.
        try? Watchdog.shared.get().ended(process: self.processID)
        var status: Int32 = 0
        while waitpid(self.processID, &status, 0) == -1, errno == EINTR {}
    }

    // MARK: Output

    /// What it wrote so far.
    package var output: String { self.outputFile.text }
    /// The last of what it wrote so far.
    func outputTail(bytes: Int) -> String { self.outputFile.text(fromEnd: bytes) }
    /// What it wrote to standard error so far, where that is kept apart.
    package var errors: String { self.errorFile?.text ?? "" }

    /// The first line of the output that contains the text.
    @discardableResult
    package func waitForOutput(_ text: String, within limit: Duration = .seconds(30)) throws -> String {
        try eventually("'\(text)' from \(self.name)", within: limit) {
            let ending = self.ending  // Before reading: what it wrote last is in the output then.
            let line = self.output.split(whereSeparator: \.isNewline).first { $0.contains(text) }
            if line == nil, let ending {
                throw HarnessError("\(self.name) \(ending) without writing '\(text)': \(self.output)")
            }
            return line.map(String.init)
        }
    }

    // MARK: Ending

    /// How it ended; nil while it runs.
    package var ending: Ending? {
        var info = siginfo_t()
        // WNOWAIT leaves the ended process, and with it its number, until this object goes.
        guard waitid(P_PID, id_t(self.processID), &info, WEXITED | WNOHANG | WNOWAIT) == 0, info.si_signo == SIGCHLD
        else { return nil }
        let status = info._sifields._sigchld.si_status
        return info.si_code == Int32(CLD_EXITED) ? .exited(status) : .signalled(status)
    }

    /// - Throws: when it still runs then.
    @discardableResult
    package func wait(within limit: Duration = .seconds(30)) throws -> Ending {
        do {
            return try eventually("the end of \(self.name)", within: limit) { self.ending }
        } catch {
            throw HarnessError("\(error); its output: \(self.output)")
        }
    }

    /// Sends a signal to the program alone.
    package func signal(_ number: Int32) {
        _ = Glibc.kill(self.processID, number)
    }

    /// Asks the program to end (SIGTERM to its process group), and waits until it has.
    @discardableResult
    package func stop(within limit: Duration = .seconds(30)) throws -> Ending {
        _ = Glibc.kill(-self.processID, SIGTERM)
        return try self.wait(within: limit)
    }

    /// Ends the program and its process group without asking, and waits until the program has ended.
    package func kill() {
        if self.isNamespace {
            // `unshare` ends after its namespace, so that nothing holds a port or a file any more. A namespace
            // that is still being made is caught by `--kill-child`.
            let children = "/proc/\(self.processID)/task/\(self.processID)/children"
            // Gone with the process, or not there yet.
            let first = (try? String(contentsOfFile: children, encoding: .utf8)) ?? ""
            for child in first.split(separator: " ").compactMap({ Int32($0) }) { _ = Glibc.kill(child, SIGKILL) }
            if !first.isEmpty { self.awaitEnd() }
        }
        _ = Glibc.kill(-self.processID, SIGKILL)
        _ = Glibc.kill(self.processID, SIGKILL)  // If it left its group.
        self.awaitEnd()
    }

    private func awaitEnd() {
        // A process that the kernel cannot end now is not waited for: nobody can do more.
        try? eventually("the end of \(self.name)", within: .seconds(5)) { self.ending != nil }
    }
}

/// Where a program reads or writes: a file without readers, so that neither side ever waits for the other.
private final class CaptureFile: Sendable {
    let descriptor: Int32

    init(_ output: Program.Output) throws {
        let flags = O_RDWR | O_CREAT | O_CLOEXEC
        switch output {
        case .unnamed:
            let path = "\(TemporaryFolder.parent)/postern-test.\(UUID().uuidString)"
            self.descriptor = open(path, flags | O_EXCL, 0o600)
            unlink(path)
        case .file(let path):
            self.descriptor = open(path, flags | O_APPEND, 0o644)
        }
        guard self.descriptor >= 0 else { throw HarnessError("cannot make a file for output", code: errno) }
    }

    deinit { close(self.descriptor) }

    /// Writes what a program shall read, and goes back to the beginning.
    func fill(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(self.descriptor, $0.baseAddress, $0.count) }
            guard written > 0 else { throw HarnessError("cannot keep the input", code: errno) }
            rest = rest.dropFirst(written)
        }
        lseek(self.descriptor, 0, SEEK_SET)
    }

    /// All of it. It does not move the place where the program writes next.
    var text: String { self.text(from: 0) }

    func text(fromEnd count: Int) -> String {
        var facts = stat()
        fstat(self.descriptor, &facts)
        return self.text(from: max(0, Int(facts.st_size) - count))
    }

    private func text(from start: Int) -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = pread(self.descriptor, &buffer, buffer.count, off_t(start + bytes.count))
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
