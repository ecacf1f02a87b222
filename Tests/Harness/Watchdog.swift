import Foundation

/// Kills what the tests left running and removes their temporary folders when they end, however they end.
///
/// It is a shell that reads what there is from a pipe. The kernel closes the pipe with the tests.
/// (The kernel's own PR_SET_PDEATHSIG does not last: it is cleared when a program changes its user, as servers do.)
final class Watchdog: Sendable {
    static let shared = Result { try Watchdog() }

    /// With a namespace's first process, which is a child of `unshare`, go all others in it.
    private static let script = """
        processes=' ' folders=' '
        while read -r change what; do
            case $change in
            started) processes="$processes$what " ;;
            ended) processes="${processes%% $what *} ${processes#* $what }" ;;
            made) folders="$folders$what " ;;
            removed) folders="${folders%% $what *} ${folders#* $what }" ;;
            esac
        done
        for process in $processes; do
            children=
            read -r children </proc/$process/task/$process/children
            for child in $children; do kill -s KILL $child; done
            kill -s KILL -- -$process
            kill -s KILL $process
        done
        for folder in $folders; do rm -rf $folder; done
        """
    private let pipe: Int32

    private init() throws {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw HarnessError("cannot make a pipe", code: errno) }
        self.pipe = ends[1]
        let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { for descriptor in [ends[0], nothing] { close(descriptor) } }
        // Whoever else starts programs from the tests must not keep it open.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = try spawn(["/bin/sh", "-c", Self.script], environment: [:], descriptors: [ends[0], nothing, nothing])
    }

    func started(process: Int32) throws { try self.write("started \(process)\n") }
    func ended(process: Int32) throws { try self.write("ended \(process)\n") }
    /// - Parameter folder: a path without spaces.
    func made(folder: String) throws { try self.write("made \(folder)\n") }
    func removed(folder: String) throws { try self.write("removed \(folder)\n") }

    /// A line this short is written whole, whatever other threads write.
    private func write(_ line: String) throws {
        guard Glibc.write(self.pipe, line, line.utf8.count) == line.utf8.count else {
            throw HarnessError("the watchdog is gone", code: errno)
        }
    }
}
