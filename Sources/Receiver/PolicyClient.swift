package import NIOCore
import Synchronization

/// Asks policy services (Postfix's SMTPD_POLICY_README) over connections that are kept and shared by all sessions.
package final class PolicyClient: Sendable {
    private let group: any EventLoopGroup
    private let connectionLimit: Int
    private let shared = Mutex(Shared())

    private struct Shared {
        /// Services of former generations stay, without connections.
        var pools: [PolicyService: PolicyPool] = [:]
        var questions: UInt64 = 0
        var isClosed = false
    }

    /// - Parameter connectionLimit: to one service. A service in Perl has a process for each, or does one thing at a time.
    package init(group: any EventLoopGroup, connectionLimit: Int = 20) {
        self.group = group
        self.connectionLimit = connectionLimit
    }

    /// Asks within the time limit of the service. A task that is cancelled gets no answer, at once.
    ///
    /// - Parameter attributes: in the order in which they are sent. `request` and `policy_context` are added.
    package func ask(
        _ service: PolicyService, _ attributes: [(name: String, value: String)]
    ) async -> PolicyAnswer {
        let found = self.shared.withLock { shared in
            shared.questions += 1
            return shared.isClosed ? nil : (self.pool(for: service, &shared), shared.questions)
        }
        guard let (pool, number) = found else { return .unavailable("the server ends") }
        let request = ByteBuffer(bytes: PolicyRequest.bytes(attributes, context: service.context))
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if Task.isCancelled { return continuation.resume(returning: .unavailable(PolicyPool.cancelled)) }
                pool.ask(number, request) { continuation.resume(returning: $0) }
            }
        } onCancel: {
            pool.cancel(number)
        }
    }

    /// Closes all connections; what is asked now or later gets no answer.
    package func close() {
        let pools = self.shared.withLock { shared in
            shared.isClosed = true
            return Array(shared.pools.values)
        }
        for pool in pools { pool.close() }
    }

    private func pool(for service: PolicyService, _ shared: inout Shared) -> PolicyPool {
        if let pool = shared.pools[service] { return pool }
        let pool = PolicyPool(service, loop: self.group.next(), connectionLimit: self.connectionLimit)
        shared.pools[service] = pool
        return pool
    }
}
