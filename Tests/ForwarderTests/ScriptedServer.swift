import Foundation
import Harness
import Synchronization

/// An SMTP server that does what a test says, at each step of each connection.
final class ScriptedServer: Sendable {
    /// What a client has done.
    enum Step: Hashable, Sendable {
        case connect, ehlo, helo, mail, rcpt(String), data, content, rset, quit, other
    }

    /// What the server does about it.
    enum Answer: Sendable {
        /// A reply, without its last line end.
        case reply(String)
        /// Octet by octet.
        case slowly(String)
        /// A reply, after which the connection is closed.
        case lastReply(String)
        case close
        /// Nothing more comes.
        case silence
    }

    /// A message that was taken, whether its client heard of it or not.
    struct Message: Sendable {
        let mail: String
        let recipients: [String]
        let content: String
    }

    /// - Parameters:
    ///   - step: with the forward-path, for RCPT.
    ///   - connection: counted from 0.
    /// - Returns: nil for what an honest server says.
    typealias Script = @Sendable (_ step: Step, _ connection: Int) -> Answer?

    let address: Endpoint
    private let socket: ListeningSocket
    private let extensions: [String]
    private let name: String
    private let script: Script
    private let shared = Mutex(Shared())

    private struct Shared {
        var connections = 0
        var open: Set<Int32> = []
        var messages: [Message] = []
        var commands: [[String]] = []
        var hasPipelined = false
        var isEnding = false
    }

    static let everything = ["PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING"]

    init(
        host: String = "127.0.0.1", name: String = "primary.example.test", extensions: [String] = ["PIPELINING"],
        script: @escaping Script = { _, _ in nil }
    ) throws {
        self.socket = try ListeningSocket(.free(host))
        self.address = self.socket.address
        self.name = name
        self.extensions = extensions
        self.script = script
        Thread.detachNewThread { [socket] in
            // The object may go while the thread waits.
            while true {
                let connection = accept(socket.descriptor, nil, nil)
                guard connection >= 0 else { break }
                guard let number = self.begin(connection) else {
                    close(connection)
                    break
                }
                Thread.detachNewThread { self.serve(connection, number) }
            }
        }
    }

    /// Ends it and all its connections; nobody gets in after this.
    func end() {
        let open = self.shared.withLock { shared in
            shared.isEnding = true
            return shared.open
        }
        shutdown(self.socket.descriptor, Int32(SHUT_RDWR))
        for connection in open { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    var messages: [Message] { self.shared.withLock { $0.messages } }

    var connections: Int { self.shared.withLock { $0.connections } }

    /// The command lines of each connection.
    var commands: [[String]] { self.shared.withLock { $0.commands } }

    /// A command came before the one in front of it was answered.
    var hasPipelined: Bool { self.shared.withLock { $0.hasPipelined } }

    private func begin(_ connection: Int32) -> Int? {
        self.shared.withLock { shared in
            guard !shared.isEnding else { return nil }
            shared.open.insert(connection)
            shared.connections += 1
            shared.commands.append([])
            return shared.connections - 1
        }
    }

    private func serve(_ connection: Int32, _ number: Int) {
        var dialog = Dialog(server: self, connection: connection, number: number)
        dialog.run()
        _ = self.shared.withLock { $0.open.remove(connection) }
        close(connection)
    }

    // MARK: A connection

    private struct Dialog {
        let server: ScriptedServer
        let connection: Int32
        let number: Int
        private var unread: [UInt8] = []
        private var mail = ""
        private var recipients: [String] = []
        private var content: [UInt8] = []

        init(server: ScriptedServer, connection: Int32, number: Int) {
            self.server = server
            self.connection = connection
            self.number = number
        }

        mutating func run() {
            guard self.answer(.connect) != nil else { return }
            while let line = self.line() {
                self.server.shared.withLock { shared in
                    shared.commands[self.number].append(line)
                    if !self.unread.isEmpty { shared.hasPipelined = true }
                }
                guard self.obey(line) else { return }
            }
        }

        /// - Returns: whether the connection goes on.
        private mutating func obey(_ line: String) -> Bool {
            let words = line.split(separator: " ")
            switch words.first?.uppercased() ?? "" {
            case "EHLO": return self.answer(.ehlo) != nil
            case "HELO": return self.answer(.helo) != nil
            case "MAIL":
                (self.mail, self.recipients) = (line, [])
                return self.answer(.mail) != nil
            case "RCPT":
                let path = String(line.drop { $0 != "<" }.dropFirst().prefix { $0 != ">" })
                guard let code = self.answer(.rcpt(path)) else { return false }
                if code == 250 { self.recipients.append(path) }
                return true
            case "DATA":
                guard let code = self.answer(.data) else { return false }
                return code != 354 || self.readData()
            case "BDAT":
                guard words.count > 1, let count = Int(words[1]) else { return false }
                while self.unread.count < count { guard self.receive() else { return false } }
                self.content = Array(self.unread.prefix(count))
                self.unread.removeFirst(count)
                return self.take()
            case "RSET": return self.answer(.rset) != nil
            case "QUIT":
                _ = self.answer(.quit)
                return false
            default: return self.answer(.other) != nil
            }
        }

        private mutating func readData() -> Bool {
            self.content = []
            while let line = self.line() {
                if line == "." { return self.take() }
                self.content += (line.hasPrefix(".") ? String(line.dropFirst()) : line).utf8
                self.content += "\r\n".utf8
            }
            return false
        }

        /// A message is taken if the answer says so, or if there is none.
        private mutating func take() -> Bool {
            let message = Message(
                mail: self.mail, recipients: self.recipients, content: String(decoding: self.content, as: UTF8.self))
            let isTaken =
                switch self.server.script(.content, self.number) {
                case nil, .close, .silence: true
                case .reply(let text), .slowly(let text), .lastReply(let text): text.hasPrefix("2")
                }
            // Before the answer: a test may look as soon as the client knows.
            if isTaken, !self.recipients.isEmpty { self.server.shared.withLock { $0.messages.append(message) } }
            return self.answer(.content) != nil
        }

        /// - Returns: the code; nil if that was the end.
        private mutating func answer(_ step: Step) -> Int? {
            switch self.server.script(step, self.number) ?? .reply(self.server.honestReply(to: step)) {
            case .reply(let text):
                return self.send(Array((text + "\r\n").utf8)) ? Int(text.prefix(3)) ?? 0 : nil
            case .slowly(let text):
                for byte in text.utf8 + Array("\r\n".utf8) { guard self.send([byte]) else { return nil } }
                return Int(text.prefix(3)) ?? 0
            case .lastReply(let text):
                _ = self.send(Array((text + "\r\n").utf8))
                return nil
            case .close: return nil
            case .silence:
                while self.receive() { self.unread = [] }
                return nil
            }
        }

        private func send(_ bytes: [UInt8]) -> Bool {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Glibc.send(self.connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }

        private mutating func line() -> String? {
            while true {
                if let end = self.unread.firstIndex(of: 10) {
                    var line = self.unread[..<end]
                    if line.last == 13 { line.removeLast() }
                    self.unread.removeSubrange(...end)
                    return String(decoding: line, as: UTF8.self)
                }
                guard self.receive() else { return nil }
            }
        }

        private mutating func receive() -> Bool {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(self.connection, &buffer, buffer.count, 0)
            guard count > 0 else { return false }
            self.unread += buffer[..<count]
            return true
        }
    }

    private func honestReply(to step: Step) -> String {
        switch step {
        case .connect: "220 \(self.name) ESMTP"
        case .ehlo:
            ([self.name] + self.extensions).enumerated().map { index, line in
                "250\(index == self.extensions.count ? " " : "-")\(line)"
            }.joined(separator: "\r\n")
        case .helo: "250 \(self.name)"
        case .mail, .rset: "250 2.0.0 Ok"
        case .rcpt: "250 2.1.5 Ok"
        case .data: "354 Go on"
        case .content: "250 2.0.0 Taken"
        case .quit: "221 2.0.0 Bye"
        case .other: "500 5.5.2 What?"
        }
    }
}
