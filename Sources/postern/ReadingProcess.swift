import Foundation

/// A program whose standard output is read; its standard input is empty.
///
/// Not Foundation's `Process`, whose run loop wants a socket of its own: it complains where sockets are restricted, as in
/// the service that makes the daily report.
struct ReadingProcess: ~Copyable {
    private let identifier: pid_t
    /// Of the end that is read here.
    let output: Int32

    /// - Parameter complaints: a descriptor for its standard error.
    init(_ program: String, _ arguments: [String], complaints: Int32) throws(CommandFailure) {
        let (input, output) = (try Self.pipe(), try Self.pipe())
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (own, its) in [(input.read, STDIN_FILENO), (output.write, STDOUT_FILENO), (complaints, STDERR_FILENO)] {
            posix_spawn_file_actions_adddup2(&actions, own, its)
        }
        var words = ([program] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var identifier: pid_t = 0
        let status = posix_spawn(&identifier, program, &actions, nil, &words, environ)
        for descriptor in [input.read, input.write, output.write] { close(descriptor) }
        guard status == 0 else {
            close(output.read)
            throw CommandFailure(2, "\(program): \(String(cString: strerror(status)))")
        }
        self.identifier = identifier
        self.output = output.read
    }

    private static func pipe() throws(CommandFailure) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw CommandFailure(2, String(cString: strerror(errno))) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// - Parameter early: whether it is to end although it has more to say.
    /// - Returns: its exit status; that of a signal is 128 and more, as with a shell.
    consuming func end(early: Bool) -> Int32 {
        close(self.output)
        if early { kill(self.identifier, SIGTERM) }
        var status: Int32 = 0
        while waitpid(self.identifier, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    }
}
