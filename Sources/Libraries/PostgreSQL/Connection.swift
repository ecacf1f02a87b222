internal import CPostgreSQL
internal import Glibc

/// A connection to a server, for one thread. Everything it does has a deadline, and after an error other than
/// ``DatabaseError/refused(state:message:)`` it is of no more use.
///
/// Statements are prepared once and their values go beside them: nothing is ever put into a statement's text.
final class Connection {
    private let connection: OpaquePointer
    private let name: String
    /// Names of prepared statements by their text.
    private var prepared: [String: String] = [:]

    /// - Parameter deadline: of the monotonic clock, in nanoseconds.
    init(_ target: DatabaseTarget, statementTimeout: Duration, deadline: UInt64) throws(DatabaseError) {
        let handle = withCStrings(target.parameters.map(\.keyword)) { keywords in
            withCStrings(target.parameters.map(\.value)) { values in PQconnectStartParams(keywords, values, 1) }
        }
        guard let handle else { throw .unreachable("out of memory") }
        self.connection = handle
        self.name = target.name
        // The library would print what servers have to say.
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        try self.establish(deadline)
        let (seconds, attoseconds) = statementTimeout.components
        let milliseconds = max(seconds * 1000 + attoseconds / 1_000_000_000_000_000, 1)
        _ = try self.result(of: PQsendQuery(handle, "SET statement_timeout = \(milliseconds)"), deadline)
    }

    deinit { PQfinish(self.connection) }

    private func establish(_ deadline: UInt64) throws(DatabaseError) {
        var wanted = PGRES_POLLING_WRITING
        while PQstatus(self.connection) != CONNECTION_BAD {
            switch wanted {
            case PGRES_POLLING_OK: return
            case PGRES_POLLING_READING: try self.wait(Int16(POLLIN), deadline, "connecting to \(self.name)")
            case PGRES_POLLING_WRITING: try self.wait(Int16(POLLOUT), deadline, "connecting to \(self.name)")
            default: throw self.broken
            }
            wanted = PQconnectPoll(self.connection)
        }
        throw self.broken
    }

    /// Runs a statement, preparing it the first time.
    func query(_ statement: String, _ parameters: [String], deadline: UInt64) throws(DatabaseError) -> DatabaseRows {
        let name: String
        if let known = self.prepared[statement] {
            name = known
        } else {
            name = "s\(self.prepared.count)"
            _ = try self.result(of: PQsendPrepare(self.connection, name, statement, 0, nil), deadline)
            self.prepared[statement] = name
        }
        let sent = withCStrings(parameters) { values in
            PQsendQueryPrepared(self.connection, name, Int32(parameters.count), values, nil, nil, 0)
        }
        return try self.result(of: sent, deadline)
    }

    /// Waits for the end of what was sent.
    private func result(of sent: Int32, _ deadline: UInt64) throws(DatabaseError) -> DatabaseRows {
        guard sent == 1 else { throw self.broken }
        var rows: DatabaseRows = []
        var refusal: DatabaseError?
        while true {
            while PQisBusy(self.connection) == 1 {
                try self.wait(Int16(POLLIN), deadline, "an answer of \(self.name)")
                guard PQconsumeInput(self.connection) == 1 else { throw self.broken }
            }
            guard let result = PQgetResult(self.connection) else { break }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK: rows += Self.rows(result)
            case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: break
            default: refusal = self.refusal(result)
            }
        }
        if let refusal { throw refusal }
        return rows
    }

    private static func rows(_ result: OpaquePointer) -> DatabaseRows {
        let columns = 0..<PQnfields(result)
        return (0..<PQntuples(result)).map { row in
            columns.map { column in
                guard PQgetisnull(result, row, column) == 0, let value = PQgetvalue(result, row, column) else {
                    return nil
                }
                return String(cString: value)
            }
        }
    }

    /// The server's refusal, or the end of the connection.
    private func refusal(_ result: OpaquePointer) -> DatabaseError {
        guard PQstatus(self.connection) == CONNECTION_OK, let state = postgresql_state(result) else {
            return self.broken
        }
        let text = String(cString: state)
        let message = Self.oneLine(PQresultErrorMessage(result))
        // 57P: the server goes down; 08: the connection is broken.
        guard !text.hasPrefix("57P"), !text.hasPrefix("08") else { return .unreachable("\(self.name): \(message)") }
        return .refused(state: text, message: "\(self.name): \(message)")
    }

    private var broken: DatabaseError {
        .unreachable("\(self.name): \(Self.oneLine(PQerrorMessage(self.connection)))")
    }

    private static func oneLine(_ text: UnsafePointer<CChar>?) -> String {
        guard let text else { return "no reason given" }
        return String(cString: text).split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private func wait(_ events: Int16, _ deadline: UInt64, _ what: String) throws(DatabaseError) {
        while true {
            let now = MonotonicTime.now
            guard now < deadline else { throw .timedOut(what) }
            var descriptor = pollfd(fd: PQsocket(self.connection), events: events, revents: 0)
            guard descriptor.fd >= 0 else { throw self.broken }
            let milliseconds = Int32(clamping: (deadline - now) / 1_000_000 + 1)
            if poll(&descriptor, 1, milliseconds) > 0 { return }
        }
    }

    /// Whether the server has closed it, or said something, while it was idle.
    var isStale: Bool {
        var descriptor = pollfd(fd: PQsocket(self.connection), events: Int16(POLLIN), revents: 0)
        return descriptor.fd < 0 || poll(&descriptor, 1, 0) != 0
    }
}

enum MonotonicTime {
    /// In nanoseconds.
    static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// Calls with the strings as C has them, and a nil behind the last; valid only there.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
    let copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    let pointers = copies.map { $0.map { UnsafePointer($0) } } + [nil]
    return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
}
