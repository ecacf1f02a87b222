import ArgumentParser
import Daemon
import Foundation
import Mail
import MailLog

/// Where log lines are read from. Each reading begins anew.
enum LogSource {
    /// The journal of the service, from a time on and up to one.
    case journal(JournalSource)
    /// A file; `isCopy` if it is what standard input said.
    case file(FileHandle, name: String)

    /// - Parameter file: a name, `-` for standard input, or nil for the journal.
    init(file: String?, since: Timestamp?, until: Timestamp?) throws {
        guard let file else {
            self = .journal(JournalSource(since: since, until: until))
            return
        }
        if file == "-" {
            self = .file(try Self.spooled(), name: "standard input")
        } else {
            guard let handle = FileHandle(forReadingAtPath: file) else {
                throw CommandFailure(2, "\(file): \(String(cString: strerror(errno)))")
            }
            self = .file(handle, name: file)
        }
    }

    /// Standard input as a file without a name: it is read more than once.
    private static func spooled() throws -> FileHandle {
        let file = try FileHandle.withoutName()
        while true {
            let piece = FileHandle.standardInput.availableData
            guard !piece.isEmpty else { return file }
            try file.write(contentsOf: piece)
        }
    }

    /// Gives each line that is one to a closure, from the beginning, until it returns `false`.
    ///
    /// - Parameters:
    ///   - scope: other lines need not be given.
    ///   - sieve: of each line, not taken apart yet, whether it is wanted at all.
    func forEach(
        in scope: LogScope = .everything, where sieve: (ArraySlice<UInt8>) -> Bool = { _ in true },
        _ body: (LogLine) throws -> Bool
    ) throws {
        switch self {
        case .journal(let source): try source.forEach(isFollowing: false, in: scope, where: sieve, body)
        case .file(let handle, let name):
            try handle.seek(toOffset: 0)
            var input = LineInput(descriptor: handle.fileDescriptor, name: name)
            while let bytes = try input.next() {
                if sieve(bytes), let line = LogLine(bytes), try !body(line) { return }
            }
        }
    }

    /// Lines that are written from now on, until the closure returns `false`.
    ///
    /// - Parameter isRead: whether what is there was read before; of a file nothing is left out then.
    func follow(isRead: Bool, _ body: (LogLine) throws -> Bool) throws {
        switch self {
        case .journal(let source):
            try source.forEach(isFollowing: true, in: .everything, where: { _ in true }, body)
        case .file(let handle, let name):
            if !isRead { try handle.seekToEnd() }
            try FollowedFile(descriptor: handle.fileDescriptor, name: name).forEach(body)
        }
    }
}

/// Lines of a file or pipe.
struct LineInput {
    private let descriptor: Int32
    private let name: String
    private var buffer: [UInt8] = []
    private var position = 0
    private var piece = [UInt8](repeating: 0, count: 1 << 16)

    /// A line that is longer is read over; ours have a bound far below.
    private static let maximumBytes = 1 << 20

    init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    /// Without the line end; nil at the end of the file. What follows the last line end is a line too.
    mutating func next() throws -> ArraySlice<UInt8>? {
        while true {
            if let line = self.buffered() { return line }
            guard try self.fill() else {
                defer { self.position = self.buffer.count }
                return self.position < self.buffer.count ? self.buffer[self.position...] : nil
            }
        }
    }

    /// A whole line that has been read already.
    mutating func buffered() -> ArraySlice<UInt8>? {
        guard let end = self.buffer[self.position...].firstIndex(of: ASCII.lineFeed) else { return nil }
        defer { self.position = end + 1 }
        return self.buffer[self.position..<end]
    }

    /// - Returns: whether there was more.
    mutating func fill() throws -> Bool {
        self.buffer.removeSubrange(..<self.position)
        self.position = 0
        if self.buffer.count > Self.maximumBytes { self.buffer = [] }
        while true {
            let count = read(self.descriptor, &self.piece, self.piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw CommandFailure(2, "\(self.name): \(String(cString: strerror(errno)))") }
            self.buffer += self.piece[..<count]
            return count > 0
        }
    }
}

/// A file that grows, and may be replaced by a new one of the same name.
private struct FollowedFile {
    let descriptor: Int32
    let name: String

    /// Between two looks at a file that has nothing new.
    private static let pauseMicroseconds: UInt32 = 200_000

    func forEach(_ body: (LogLine) throws -> Bool) throws {
        var current = self.descriptor
        var ownsCurrent = false
        defer { if ownsCurrent { close(current) } }
        var input = LineInput(descriptor: current, name: self.name)
        while true {
            while let bytes = input.buffered() {
                if let line = LogLine(bytes), try !body(line) { return }
            }
            if try input.fill() { continue }
            if let next = self.replacement(of: current) {
                if ownsCurrent { close(current) }
                (current, ownsCurrent) = (next, true)
                input = LineInput(descriptor: current, name: self.name)
            } else {
                usleep(Self.pauseMicroseconds)
            }
        }
    }

    /// The file that has the name now; nil if it is still the same, or cut, which is begun anew.
    private func replacement(of current: Int32) -> Int32? {
        var (old, new) = (stat(), stat())
        guard stat(self.name, &new) == 0, fstat(current, &old) == 0 else { return nil }
        if new.st_ino == old.st_ino, new.st_dev == old.st_dev {
            if old.st_size < lseek(current, 0, SEEK_CUR) { lseek(current, 0, SEEK_SET) }
            return nil
        }
        let descriptor = open(self.name, O_RDONLY | O_CLOEXEC)
        return descriptor >= 0 ? descriptor : nil
    }
}

/// The journal, read by `journalctl`.
struct JournalSource {
    let since: Timestamp?
    let until: Timestamp?

    /// Gives each record to a closure until it returns `false`, or the journal ends.
    func forEach(
        isFollowing: Bool, in scope: LogScope, where sieve: (ArraySlice<UInt8>) -> Bool,
        _ body: (LogLine) throws -> Bool
    ) throws {
        guard let program = Self.find("journalctl") else {
            throw CommandFailure(2, "journalctl is not installed: name the log with --file")
        }
        let complaints = try FileHandle.withoutName()
        let process = try ReadingProcess(
            program, self.arguments(isFollowing: isFollowing) + Self.matches(scope),
            complaints: complaints.fileDescriptor)
        var isEnough = false
        let reading = Result {
            var input = LineInput(descriptor: process.output, name: "journalctl")
            while !isEnough, let bytes = try input.next() {
                if sieve(bytes), let line = LogLine(bytes), try !body(line) { isEnough = true }
            }
        }
        let isFailed = if case .failure = reading { true } else { false }
        let status = process.end(early: isEnough || isFailed)
        try reading.get()
        if !isEnough { try Self.check(status, complaints) }
    }

    /// Seconds are enough: lines are looked at again.
    private func arguments(isFollowing: Bool) -> [String] {
        var arguments = [
            "--unit=postern", "--output=json", "--no-pager", "--all", "--output-fields=MESSAGE,POSTERN_TIME",
        ]
        if isFollowing { return arguments + ["--follow", "--lines=0"] }
        if let since { arguments.append("--since=@\(since.seconds)") }
        if let until { arguments.append("--until=@\(until.seconds + 1)") }
        return arguments
    }

    /// Which records are read at all; none of these is all. What was written as a text, or was too long for its fields,
    /// is always among them.
    private static func matches(_ scope: LogScope) -> [String] {
        guard case .pairs(let pairs) = scope else { return [] }
        let fields = pairs.map { "\(JournalEntry.field(of: $0.key))=\($0.value)" }.sorted()
        let others = ["_TRANSPORT=stdout", "\(JournalEntry.cutField)=1"]
        return (fields + others).flatMap { ["+", $0] }.dropFirst().map(\.self)
    }

    /// Who may not read the journal gets an empty one, and a hint on standard error.
    private static func check(_ status: Int32, _ complaints: FileHandle) throws {
        try complaints.seek(toOffset: 0)
        let data = try complaints.read(upToCount: 4096) ?? Data()
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        if text.contains("insufficient permissions") || text.contains("not seeing messages from other users") {
            throw CommandFailure(
                2, "the journal is not yours to read: add yourself to the group systemd-journal, or name a --file")
        }
        guard status == 0 else {
            throw CommandFailure(2, "journalctl: \(text.isEmpty ? "exit status \(status)" : text)")
        }
    }

    private static func find(_ name: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}

extension FileHandle {
    /// A file that is gone when it is closed.
    fileprivate static func withoutName() throws(CommandFailure) -> FileHandle {
        var template = Array("\(NSTemporaryDirectory())/postern-log-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw CommandFailure(2, "\(NSTemporaryDirectory()): \(String(cString: strerror(errno)))")
        }
        unlink(&template)
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
}

extension LogZone {
    /// Where this machine is.
    static let local = LogZone { time in
        var (seconds, parts) = (time_t(time.seconds), tm())
        return localtime_r(&seconds, &parts) == nil ? 0 : parts.tm_gmtoff
    }
}
