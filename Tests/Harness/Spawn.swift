import Foundation

/// Starts a program in a process group of its own, with its process ID.
///
/// - Parameter descriptors: become 0, 1, 2, 3 and so on in the child, which gets no others.
func spawn(_ command: [String], environment: [String: String], descriptors: [Int32]) throws -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // First out of the way, so that giving a descriptor its number does not close one that is still to come.
    let sources = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
    defer { for source in sources where source >= 0 { close(source) } }
    for (number, source) in sources.enumerated() {
        guard source >= 0 else { throw HarnessError("cannot pass on a file descriptor", code: EBADF) }
        posix_spawn_file_actions_adddup2(&actions, source, Int32(number))
    }
    try closeAll(from: Int32(descriptors.count), &actions)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
    posix_spawnattr_setflags(&attributes, Int16(flags))

    let arguments = command.map { strdup($0) } + [nil]
    let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, command[0], &actions, &attributes, arguments, variables)
    guard code == 0 else { throw HarnessError("cannot start \(command[0])", code: code) }
    return process
}

/// The descriptors of the tests are not the child's, whoever opened them: a socket it holds is not closed.
private func closeAll(from first: Int32, _ actions: inout posix_spawn_file_actions_t) throws {
    // The header shows this function only to _GNU_SOURCE, which Swift does not define.
    typealias AddCloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
    guard let function = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else {
        throw HarnessError("this C library cannot close all descriptors of a child")
    }
    let code = unsafeBitCast(function, to: AddCloseFrom.self)(&actions, first)
    guard code == 0 else { throw HarnessError("cannot close the descriptors of a child", code: code) }
}
