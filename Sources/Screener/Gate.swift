package import Mail
package import NIOCore
package import Polling
package import Resolver
package import SMTP
import Synchronization

/// What the gate works with.
package struct GateContext: Sendable {
    let hostname: String
    let clients: ClientLimits
    let passes: PassCache
    let lists: ListMonitor
    let names: any NameService
    let loop: any EventLoop
    let events: EventSink
    let clock: WallClock
    let complain: @Sendable (String) -> Void
    let hurry: @Sendable () -> Void

    /// - Parameters:
    ///   - loop: where answers of the DNS arrive on their way to the gate.
    ///   - hurry: told that stress begins: unknown clients that have a session already get less time from now on.
    ///   - complain: told what is wrong and is no client's fault.
    package init(
        hostname: String, clients: ClientLimits, passes: PassCache, lists: ListMonitor, names: any NameService,
        loop: any EventLoop, events: EventSink, clock: WallClock, complain: @escaping @Sendable (String) -> Void,
        hurry: @escaping @Sendable () -> Void
    ) {
        self.hostname = hostname
        self.clients = clients
        self.passes = passes
        self.lists = lists
        self.names = names
        self.loop = loop
        self.events = events
        self.clock = clock
        self.complain = complain
        self.hurry = hurry
    }
}

/// The gate: every connection comes in here, and leaves when its client has waited, been judged and greeted, and has
/// said its first line.
///
/// It has a thread of its own that waits on bare sockets. A client that says nothing costs a socket, a deadline and an
/// entry in a table, about half a kilobyte, and not a channel with its pipeline and handlers, which take five times as
/// much; and a flood at the gate takes no turn from those who are sending mail. The price is that accepting, peeking
/// and closing are written out here.
package final class Gate: Sendable {
    private let mailbox: Mailbox
    private let thread: Mutex<JoinableThread?>

    /// What other threads have for the gate's.
    final class Mailbox: Sendable {
        enum Letter: Sendable {
            case listen(ListeningSocket, Screening.Door)
            case use(ScreenerPolicy)
            case answer(connection: UInt64, zone: Int, DNSResult)
            case shutDown
            /// Whether the thread still works: it calls this.
            case question(@Sendable () -> Void)
        }

        let wakeup: Wakeup
        private let letters = Mutex<[Letter]>([])
        private let figures = Mutex(GateStatus())

        init() throws(SystemError) { self.wakeup = try Wakeup() }

        func post(_ letter: Letter) {
            let wasEmpty = self.letters.withLock { letters in
                letters.append(letter)
                return letters.count == 1
            }
            if wasEmpty { self.wakeup.signal() }
        }

        func take() -> [Letter] {
            self.letters.withLock { letters in
                defer { letters = [] }
                return letters
            }
        }

        var status: GateStatus {
            get { self.figures.withLock { $0 } }
            set { self.figures.withLock { $0 = newValue } }
        }
    }

    /// Starts the thread. Nobody is let in before ``listen(on:isProxied:isTLS:)``.
    ///
    /// - Parameters:
    ///   - capacity: connections of clients that are known, and of others.
    ///   - handOn: gets each connection that is let in, with its socket. Called on the gate's thread.
    package init(
        _ context: GateContext, policy: ScreenerPolicy, capacity: GateCapacity,
        handOn: @escaping @Sendable (ScreenedConnection) -> Void
    ) throws(SystemError) {
        let mailbox = try Mailbox()
        let keeper = try GateKeeper(context, policy: policy, capacity: capacity, mailbox: mailbox, handOn: handOn)
        let box = UnsafeTransfer(keeper)
        self.mailbox = mailbox
        self.thread = Mutex(try JoinableThread("gate") { box.value.run() })
    }

    /// - Parameters:
    ///   - isProxied: connections come from proxies, and begin with their header (`proxy.networks`).
    ///   - isTLS: TLS comes before the greeting. Whom the gate does not let in hears nothing there, and what it cannot
    ///     say to others the receiver says.
    package func listen(on socket: ListeningSocket, isProxied: Bool, isTLS: Bool = false) {
        self.mailbox.post(.listen(socket, Screening.Door(isProxied: isProxied, isTLS: isTLS)))
    }

    /// Clients that come from now on are judged by this policy.
    package func use(_ policy: ScreenerPolicy) { self.mailbox.post(.use(policy)) }

    package var status: GateStatus { self.mailbox.status }

    /// Has the gate's thread call this, if it still works.
    package func ask(_ answer: @escaping @Sendable () -> Void) { self.mailbox.post(.question(answer)) }

    /// Stops listening, tells everybody who is still here 421, and waits for the thread's end, which takes no time to
    /// speak of.
    package func shutDown() {
        self.mailbox.post(.shutDown)
        self.thread.withLock { $0.take() }?.join()
    }
}

/// How many connections there may be at once.
package struct GateCapacity: Sendable {
    package let known: Int
    package let unknown: Int

    package init(known: Int, unknown: Int) {
        self.known = known
        self.unknown = unknown
    }
}

/// The gate's figures.
package struct GateStatus: Sendable {
    /// Connections that wait for their greeting, and those that were greeted and are silent.
    package let waiting: Int
    package let silent: Int
    package let isUnderStress: Bool
    /// Since the start, by ``ScreeningOutcome/Result``.
    let results: [ScreeningOutcome.Result: Int]

    init(
        waiting: Int = 0, silent: Int = 0, isUnderStress: Bool = false, results: [ScreeningOutcome.Result: Int] = [:]
    ) {
        self.waiting = waiting
        self.silent = silent
        self.isUnderStress = isUnderStress
        self.results = results
    }

    /// Since the start, by the result's name in the log.
    package var counts: [String: Int] {
        Dictionary(uniqueKeysWithValues: self.results.map { ($0.key.rawValue, $0.value) })
    }
}

/// Hands an object to the one thread that uses it from then on.
private struct UnsafeTransfer<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
