import Foundation
package import Mail

/// What a command asks the daemon, over the control socket: one JSON object and a line end.
package struct ControlRequest: Codable, Sendable {
    package enum Command: String, Codable, Sendable {
        case status, reload, rollback, explain, list, show, content, operate, flush, shape, backup, submit
    }

    package var command: Command
    package var filter: QueueFilter?
    package var ids: [String]?
    /// `hold`, `release`, `delete` or `retry`.
    package var operation: String?
    package var destination: String?
    package var path: String?
    package var explain: ExplainRequest?
    package var submit: SubmitRequest?

    package init(_ command: Command) {
        self.command = command
    }
}

/// Which messages are meant; what is nil does not restrict them.
package struct QueueFilter: Codable, Sendable, Equatable {
    /// Reverse-path, forward-path: an address, with `*` for any text; `<>` is the null reverse-path.
    package var from: String?
    package var to: String?
    /// Domain of a recipient.
    package var domain: String?
    package var olderSeconds: Int?
    package var state: QueueEntry.State?
    /// Text in the reason why it waits.
    package var reason: String?
    /// Address or network of the client that brought it.
    package var client: String?
    package var limit: Int?

    package init() {}

    package var isEmpty: Bool { self == QueueFilter() }

    /// - Parameter name: as in `postern queue list` without its dashes, and in what is asked over HTTP.
    package mutating func set(_ name: String, to value: String) throws(OptionProblem) {
        let shown = value.printable(maximumBytes: 80)
        switch name {
        case "from": self.from = value
        case "to": self.to = value
        case "domain": self.domain = value
        case "reason": self.reason = value
        case "older":
            guard let age = Duration(optionText: value) else {
                throw OptionProblem("older: '\(shown)' is not \(Duration.optionSyntax)")
            }
            self.olderSeconds = Int(age.inSeconds)
        case "state":
            guard let state = QueueEntry.State(rawValue: value) else {
                throw OptionProblem("state: '\(shown)' is not waiting, deferred or held")
            }
            self.state = state
        case "client":
            guard (try? IPNetwork(value)) != nil else {  // Whatever is wrong with it.
                throw OptionProblem("client: '\(shown)' is neither an address nor a network")
            }
            self.client = value
        case "limit":
            guard let limit = Int(value), limit >= 0 else {
                throw OptionProblem("limit: '\(shown)' is not a number from 0")
            }
            self.limit = limit
        default: throw OptionProblem("there is no filter '\(name.printable(maximumBytes: 80))'")
        }
    }
}

/// A message as commands show it.
package struct QueueEntry: Codable, Sendable {
    package enum State: String, Codable, Sendable, CaseIterable {
        /// Waits for its turn or its destination.
        case waiting
        /// A next hop deferred it; it is tried again when it is due.
        case deferred
        case held
    }

    package struct Recipient: Codable, Sendable {
        package var address: String
        /// `waiting`, `delivered` or `failed`.
        package var status: String
        package var attempts: Int
        package var lastAttempt: String?
        package var lastReply: String?
        package var remote: String?
        package var due: String?
        package var notify: String?
        package var originalRecipient: String?
    }

    package var id: String
    package var state: State
    package var arrival: String
    package var ageSeconds: Int
    package var bytes: Int
    /// Empty for the null reverse-path.
    package var from: String
    package var client: String?
    package var helo: String?
    /// The message that a notice is about.
    package var about: String?
    package var due: String?
    package var reason: String?
    package var recipients: [Recipient]
}

package struct QueueShape: Codable, Sendable {
    /// Upper bounds of the columns in minutes; the last column has what is older.
    package static let minutes = [5, 10, 20, 40, 80, 160, 320, 640, 1280]

    package struct Row: Codable, Sendable {
        package var domain: String
        package var total: Int
        package var counts: [Int]
    }

    package var minutes = Self.minutes
    package var rows: [Row]
}

package struct StatusReport: Codable, Sendable {
    package struct Queue: Codable, Sendable {
        package var messages: Int
        package var damaged: Int
        package var receiving: Int
        package var usedBytes: Int
        package var fileBytes: Int
        package var maximumBytes: Int
        package var diskFreeBytes: Int
        package var roomBytes: Int
        package var commits: Int
    }

    package struct Destination: Codable, Sendable {
        package var destination: String
        package var state: String
        package var waiting: Int
        package var connections: Int
        package var downSince: String?
        package var nextAttempt: String?
        package var lastReply: String?
        package var deliveredPerSecond: Double
        package var drainSeconds: Int?
        package var oldest: String?
    }

    package struct Screener: Codable, Sendable {
        package struct List: Codable, Sendable {
            package var list: String
            /// `trusted`, `suspect` (who fails by it is told 4yz) or `demoted` (it does not count).
            package var standing: String
            package var queries: Int
            package var hits: Int
            package var unavailable: Int
            package var lastProblem: String?
        }

        /// Connections that wait for the greeting, that were greeted and are silent, and that clients known to be good
        /// and others have open, sessions included.
        package var waiting: Int
        package var silent: Int
        package var known: Int
        package var unknown: Int
        package var isUnderStress: Bool
        /// Since the start, by the result in the log.
        package var results: [String: Int]
        /// Clients remembered; who has just passed again may be counted twice.
        package var passes: Int
        package var lists: [List]
    }

    package struct Greylist: Codable, Sendable {
        /// Records of who came when.
        package var entries: Int
        /// Since the start: mails that passed, and those that had to come again.
        package var passed: Int
        package var delayed: Int
    }

    package struct Certificate: Codable, Sendable {
        /// `ECDSA`, `RSA` or `other`.
        package var key: String
        package var names: [String]
        /// RFC 3339.
        package var expires: String
    }

    /// The cage around the daemon.
    package struct Confinement: Codable, Sendable {
        /// What there is not, in words.
        package var missing: [String]
    }

    /// Policies of other domains (MTA-STS).
    package struct Policies: Codable, Sendable {
        package var kept: Int
        /// Since the start.
        package var fetched: Int
        package var failed: Int
    }

    package var hostname: String
    package var generation: Int
    package var uptimeSeconds: Int
    package var sessions: Int
    package var screener: Screener
    package var greylist: Greylist
    package var confinement: Confinement
    /// Those that are shown; empty if TLS is not offered.
    package var certificates: [Certificate]
    package var policies: Policies
    package var queue: Queue
    package var destinations: [Destination]
    package var alarms: [String]
}

package struct ReloadReport: Codable, Sendable {
    package var generation: Int
    package var errors: [String]
    package var warnings: [String]
}

/// How an answer ends.
package struct ControlEnd: Codable, Sendable {
    /// The exit status of the command.
    package var status: Int32
    package var message: String?
    /// Messages that were changed.
    package var count: Int?

    package init(status: Int32, message: String? = nil, count: Int? = nil) {
        self.status = status
        self.message = message
        self.count = count
    }
}

/// The daemon's answer is a row of frames: a letter, a blank, a count, a line end, and so many octets.
package enum ControlFrame {
    /// A JSON document.
    package static let document = UInt8(ascii: "D")
    package static let bytes = UInt8(ascii: "B")
    /// ``ControlEnd``; nothing follows.
    package static let end = UInt8(ascii: "E")

    package static func encode(_ kind: UInt8, _ payload: some Collection<UInt8>) -> [UInt8] {
        [kind] + Array(" \(payload.count)\n".utf8) + payload
    }

    /// Largest payload; documents and pieces of content are far smaller.
    private static let maximumBytes = 1 << 30

    /// Reads the line in front of a payload, without its line end: what follows, and how many octets of it; nil if it
    /// is none.
    package static func header(_ line: some Collection<UInt8>) -> (kind: UInt8, count: Int)? {
        guard let kind = line.first, line.dropFirst().first == ASCII.space,
            let count = Int(String(decoding: line.dropFirst(2), as: UTF8.self)), (0...Self.maximumBytes).contains(count)
        else { return nil }
        return (kind, count)
    }
}

package enum ControlJSON {
    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    package static func decode<Value: Decodable>(_ type: Value.Type, from bytes: some Sequence<UInt8>) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}
