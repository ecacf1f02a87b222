import Synchronization

/// The process of a peer, which can end and start again.
final class PeerProcess: Sendable {
    private let current = Mutex<Subprocess?>(nil)

    /// What it wrote since it was last started.
    var output: String { self.current.withLock { $0 }?.output ?? "" }

    /// - Parameter log: what it wrote elsewhere, for the report of a failure.
    func start(_ program: Program, _ address: Endpoint, log: () -> String = { "" }) throws {
        self.kill()
        let process = try Subprocess(program)
        self.current.withLock { $0 = process }
        do {
            try waitForPort(address, of: process)
        } catch {
            throw HarnessError("\(error)\n\(log())")
        }
    }

    func stop() throws {
        try self.current.withLock { $0 }?.stop()
    }

    func kill() {
        self.current.withLock { $0 }?.kill()
    }
}
