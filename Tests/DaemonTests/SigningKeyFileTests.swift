import Crypto
import Daemon
import Foundation
import Harness
import Mail
import Synchronization
import Testing

/// Private keys in files, and who else could read them.
struct SigningKeyFileTests {
    private let folder: TemporaryFolder

    init() throws {
        self.folder = try TemporaryFolder()
    }

    @Test func `a new key is for its owner alone, and never takes the place of another`() throws {
        let path = self.folder.path("key.pem")
        let key = try PrivateKey.generateEd25519()
        try SigningKeyFile.create(path, key)
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o600)
        let loaded = try SigningKeyFile.load(path)
        #expect(try loaded.publicBytes() == key.publicBytes())
        let error = try #require(throws: FileError.self) { try SigningKeyFile.create(path, key) }
        #expect(error.message == "File exists")
        #expect(try SigningKeyFile.load(path).publicBytes() == key.publicBytes())
    }

    @Test func `a key that others can read is refused`() throws {
        let path = self.folder.path("key.pem")
        try SigningKeyFile.create(path, try PrivateKey.generateEd25519())
        #expect(chmod(path, 0o644) == 0)
        let error = try #require(throws: FileError.self) { try SigningKeyFile.load(path) }
        #expect(error.message == "the secret in it is not safe: others can read or change it; chmod 0600 it")
        #expect(chmod(path, 0o400) == 0)
        _ = try SigningKeyFile.load(path)
    }

    @Test func `files that are missing, no file or no key are told apart`() throws {
        #expect(throws: FileError(file: self.folder.path("x"), message: "No such file or directory")) {
            try SigningKeyFile.load(self.folder.path("x"))
        }
        #expect(throws: FileError(file: self.folder.path, message: "not a file")) {
            try SigningKeyFile.load(self.folder.path)
        }
        let path = try self.folder.write("empty", "")
        #expect(chmod(path, 0o600) == 0)
        let error = try #require(throws: FileError.self) { try SigningKeyFile.load(path) }
        #expect(error.message.hasPrefix("no key: "))
    }

    @Test(arguments: [(512, "the RSA key has 512 bits, not 1024 to 8192"), (1024, nil)] as [(Int, String?)])
    func `an RSA key that nobody would accept is refused`(bits: Int, problem: String?) throws {
        let path = self.folder.path("key.pem")
        try SigningKeyFile.create(path, try PrivateKey.generateRSA(bits: bits))
        var message: String?
        do throws(FileError) { _ = try SigningKeyFile.load(path) } catch { message = error.message }
        #expect(message == problem)
    }

    @Test func `a pipe that nobody writes to is no file, and nobody waits for it`() throws {
        let path = self.folder.path("pipe")
        #expect(mkfifo(path, 0o600) == 0)
        let finished = DispatchSemaphore(value: 0)
        let problem = Mutex<FileError?>(nil)
        Thread.detachNewThread {
            do throws(FileError) { _ = try SigningKeyFile.load(path) } catch { problem.withLock { $0 = error } }
            finished.signal()
        }
        let isInTime = finished.wait(timeout: .now() + 20) == .success
        // A writer sets the thread free that waits for one.
        if !isInTime { close(open(path, O_WRONLY | O_NONBLOCK)) }
        #expect(isInTime)
        #expect(problem.withLock { $0 } == FileError(file: path, message: "not a file"))
    }

    @Test(
        arguments: [
            (0o600, 7, 8, nil), (0o400, 0, 0, nil), (0o640, 7, 0, nil), (0o640, 0, 8, nil), (0o640, 0, 9, nil),
            (0o640, 0, 10, "a group that is not ours can read it; chmod 0600 it"),
            (0o660, 7, 8, "its group can change it; chmod 0640 it"),
            (0o604, 7, 8, "others can read or change it; chmod 0600 it"),
            (0o602, 7, 8, "others can read or change it; chmod 0600 it"),
            (0o600, 6, 8, "it belongs to somebody else"),
        ] as [(UInt32, UInt32, UInt32, String?)])
    func `who else could read or change a key`(mode: UInt32, owner: UInt32, group: UInt32, problem: String?) {
        #expect(
            PrivateFile.problem(mode: mode, owner: owner, group: group, user: 7, groups: [8, 9]) == problem)
    }

    @Test func `root uses keys that are meant for the group of a daemon`() {
        #expect(PrivateFile.problem(mode: 0o640, owner: 7, group: 8, user: 0, groups: [0]) == nil)
        #expect(PrivateFile.problem(mode: 0o644, owner: 0, group: 0, user: 0, groups: [0]) != nil)
    }
}
