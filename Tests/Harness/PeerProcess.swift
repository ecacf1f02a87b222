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

    /// Tells it to end, and ends it if it does not: Postfix 3.7 sometimes stays when it is told while its first
    /// processes start.
    func stop() throws {
        do { _ = try self.current.withLock { $0 }?.stop(within: .seconds(10)) } catch { self.kill() }
    }

    func kill() {
        self.current.withLock { $0 }?.kill()
    }
}
