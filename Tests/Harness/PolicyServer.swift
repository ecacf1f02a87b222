import Foundation
import Synchronization

/// A policy service that does what a test says about each question of each connection.
package final class PolicyServer: Sendable {
    package enum Answer: Sendable {
        case bytes([UInt8])
        /// Octet by octet.
        case slowly(String)
        /// The answer, after which the connection is closed.
        case last(String)
        /// So much, and then nothing more.
        case close(after: String)
        case silence
    }

    /// - Parameters:
    ///   - connection: counted from 0.
    ///   - question: counted from 0 on each connection.
    package typealias Script = @Sendable (_ connection: Int, _ question: Int, _ lines: [String]) -> Answer

    package let address: Endpoint
    private let socket: ListeningSocket
    private let script: Script
    private let shared = Mutex(Shared())

    private struct Shared {
        var connections = 0
        var open: Set<Int32> = []
        var questions: [[String]] = []
    }

    package init(_ script: @escaping Script) throws {
        self.socket = try .init(.free())
        self.address = self.socket.address
        self.script = script
        Thread.detachNewThread { [socket] in
            while true {
                let connection = accept(socket.descriptor, nil, nil)
                guard connection >= 0 else { break }
                let number = self.shared.withLock { shared in
                    shared.open.insert(connection)
                    shared.connections += 1
                    return shared.connections - 1
                }
                Thread.detachNewThread { self.serve(connection, number) }
            }
        }
    }

    /// The same answer to everything.
    package convenience init(always answer: String) throws {
        try self.init { _, _, _ in .bytes(Array(answer.utf8)) }
    }

    package func end() {
        shutdown(self.socket.descriptor, Int32(SHUT_RDWR))
        self.closeConnections()
    }

    package func closeConnections() {
        for connection in self.shared.withLock({ $0.open }) { shutdown(connection, Int32(SHUT_RDWR)) }
    }

    package var connections: Int { self.shared.withLock { $0.connections } }
    package var openConnections: Int { self.shared.withLock { $0.open.count } }
    /// All that was asked, each the lines of a question.
    package var questions: [[String]] { self.shared.withLock { $0.questions } }

    private func serve(_ connection: Int32, _ number: Int) {
        var unread: [UInt8] = []
        var count = 0
        while let lines = Self.question(connection, &unread) {
            self.shared.withLock { $0.questions.append(lines) }
            guard self.perform(self.script(number, count, lines), connection) else { break }
            count += 1
        }
        _ = self.shared.withLock { $0.open.remove(connection) }
        close(connection)
    }

    /// - Returns: whether the connection goes on.
    private func perform(_ answer: Answer, _ connection: Int32) -> Bool {
        switch answer {
        case .bytes(let bytes): return Self.send(bytes, connection)
        case .slowly(let text): return text.utf8.allSatisfy { Self.send([$0], connection) }
        case .last(let text), .close(let text):
            _ = Self.send(Array(text.utf8), connection)
            return false
        case .silence:
            var byte: UInt8 = 0
            while recv(connection, &byte, 1, 0) > 0 {}
            return false
        }
    }

    private static func send(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// The lines up to an empty one.
    private static func question(_ connection: Int32, _ unread: inout [UInt8]) -> [String]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let text = String(decoding: unread, as: UTF8.self)
            if let end = text.range(of: "\n\n") {
                unread = Array(text[end.upperBound...].utf8)
                return text[..<end.lowerBound].split(separator: "\n").map(String.init)
            }
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            unread += buffer[..<count]
        }
    }
}
