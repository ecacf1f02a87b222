import Foundation
import Harness
import Testing

/// What connections cost on which nothing happens.
@Suite(.serialized) struct IdleTests {
    private static let count = 2000

    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["POSTERN_SANITIZER"] == nil, "a sanitizer takes memory for itself"))
    func `thousands of idle connections cost little memory each, and end together`() throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, rlim_t(Self.count * 2 + 1000)))
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        try #require(limit.rlim_cur > rlim_t(Self.count + 500), "so many connections are not allowed here")

        let postern = try PosternProcess()
        // What the first connections make is there for all.
        let first = try (0..<50).map { _ in try self.greeted(postern) }
        let before = try self.residentBytes(postern)
        let clients = try (0..<Self.count).map { _ in try self.greeted(postern) }
        let each = (try self.residentBytes(postern) - before) / Self.count
        print("an idle connection costs \(each) octets")
        #expect(each < 20_000)
        // They are alive.
        #expect(try clients.last?.command("NOOP").code == 250)
        #expect(try postern.send().code == 250)
        for client in first + clients { client.close() }
        try eventually("the end of the sessions") { try postern.json("status")["sessions"] as? Int == 0 }
        #expect(try postern.stop() == .exited(0))
    }

    private func greeted(_ postern: PosternProcess) throws -> SMTPClient {
        let client = try SMTPClient(postern.address)
        _ = try client.reply()
        try client.command("EHLO client.example")
        return client
    }

    /// Octets in memory now.
    private func residentBytes(_ postern: PosternProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(postern.processID)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return 1024 * (try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }))
    }
}
