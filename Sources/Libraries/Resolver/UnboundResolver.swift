internal import Glibc
package import NIOCore
internal import Synchronization

/// Names through libunbound, which validates, on a thread of its own.
///
/// An answer that was given lately costs neither a thread nor a system call: it comes from a small cache in front.
package final class UnboundResolver: NameService {
    private let table: QueryTable
    private let end = ThreadEnd()
    /// The thread, until somebody takes it to wait for its end.
    private let thread: Mutex<pthread_t?>

    /// Reads the files of the options and starts the thread.
    ///
    /// - Parameter clock: for the age of answers in the cache in front.
    package init(
        _ options: ResolverOptions, clock: @escaping @Sendable () -> NIODeadline = { .now() }
    ) throws(ResolverError) {
        self.table = try QueryTable(options, clock: clock)
        let thread = try UnboundThread(options, self.table, self.end)
        self.thread = Mutex(try thread.start())
    }

    deinit {
        self.table.close()
        if let thread = self.thread.withLock({ $0.take() }) { pthread_detach(thread) }
    }

    @discardableResult
    package func resolve(
        _ question: DNSQuestion, on loop: any EventLoop, _ completion: @escaping DNSQuery.Completion
    ) -> DNSQuery {
        let query = DNSQuery(on: loop, completion)
        self.table.ask(question, query)
        return query
    }

    package func known(_ question: DNSQuestion) -> DNSResult? { self.table.known(question) }

    /// Completes every query with ``DNSFailure/closed``, ends the thread and frees what it had.
    package func shutdown() async {
        self.table.close()
        await self.end.wait()
        // The thread has nothing left to do but return, so this does not block.
        if let thread = self.thread.withLock({ $0.take() }) { pthread_join(thread, nil) }
    }
}
