import Authentication
import Harness
import Mail
import NIOCore
import NIOPosix
import Resolver
import Rules
import Synchronization
import Testing

@testable import Receiver

/// What SPF is asked, for whom, and when it is given up.
struct SenderCheckTests {
    /// A resolver that never answers, or for which no name exists; it knows what was asked.
    private final class Names: NameService {
        private let answers: Bool
        private let list = Mutex<[DNSQuery]>([])

        init(answers: Bool) { self.answers = answers }

        var asked: Int { self.list.withLock { $0.count } }
        var waiting: Int { self.list.withLock { $0.count(where: \.isWaiting) } }

        func resolve(
            _ question: DNSQuestion, on loop: any EventLoop, _ completion: @escaping DNSQuery.Completion
        ) -> DNSQuery {
            let query = DNSQuery(on: loop, completion)
            self.list.withLock { $0.append(query) }
            guard self.answers else { return query }
            let negative = DNSNegative(ttl: .zero, canonicalName: question.name, security: .insecure)
            query.deliver(.failure(.noSuchName(negative)))
            return query
        }
    }

    private let loop = MultiThreadedEventLoopGroup.singleton.any()

    private func question(_ sender: String = "a@client.example") throws -> SPFQuestion {
        SPFQuestion(
            client: try #require(IPAddress("192.0.2.1")), helo: "mail.client.example",
            reversePath: .mailbox(try #require(Mailbox(sender))))
    }

    private func finding(_ names: Names) throws -> @Sendable () async -> SPFFinding {
        let (client, loop) = (AuthenticatedClient(try self.question()), self.loop)
        return {
            await SPFPolicy(SPFOptions(), receiver: "mx.example.test").finding(
                on: client, names: NameSource(names, on: loop), at: Timestamp(seconds: 0))
        }
    }

    private static let none = SPFFinding(
        helo: nil, mailFrom: SPFResult(.none, domain: "client.example", identity: .mailFrom))

    @Test func `a sender is looked at once in a transaction, and anew in the next`() async throws {
        let (checks, question) = (SenderChecks(), try self.question())
        let count = Mutex(0)
        let check = { @Sendable () async -> SPFFinding in
            count.withLock { $0 += 1 }
            return Self.none
        }
        for _ in 0..<3 { #expect(await checks.finding(on: question, check) == Self.none) }
        #expect(count.withLock { $0 } == 1)
        checks.begin()
        #expect(await checks.finding(on: question, check) == Self.none)
        #expect(count.withLock { $0 } == 2)
        #expect(await checks.finding(on: try self.question("b@client.example"), check) == Self.none)
        #expect(count.withLock { $0 } == 3)
        checks.end()
        #expect(await checks.finding(on: question, check) == nil)
        #expect(count.withLock { $0 } == 3)
    }

    @Test(arguments: ["begin", "end"]) func `who waits is told when a check is given up, and its questions end`(
        _ way: String
    ) async throws {
        let (checks, question, names) = (SenderChecks(), try self.question(), Names(answers: false))
        let check = try self.finding(names)
        let (ends, hasEnded) = AsyncStream.makeStream(of: SPFFinding.self)
        let waiting = Task {
            await checks.finding(on: question) {
                let finding = await check()
                hasEnded.yield(finding)
                return finding
            }
        }
        try await onOwnThread { try eventually("two questions") { names.waiting == 2 } }
        way == "begin" ? checks.begin() : checks.end()
        #expect(await waiting.value == nil)
        let given = await ends.first { _ in true }
        #expect(given?.mailFrom.result == .temperror)
        #expect(names.asked == 2 && names.waiting == 0)
    }

    @Test func `who is cancelled waits no longer, and the others do`() async throws {
        let (checks, question) = (SenderChecks(), try self.question())
        let (answers, answer) = AsyncStream.makeStream(of: SPFFinding.self)
        let (begun, hasBegun) = AsyncStream.makeStream(of: Void.self)
        let check = { @Sendable () async -> SPFFinding in
            hasBegun.yield()
            return await answers.first { _ in true } ?? Self.none
        }
        let (impatient, patient) = (
            Task { await checks.finding(on: question, check) }, Task { await checks.finding(on: question, check) }
        )
        _ = await begun.first { true }
        impatient.cancel()
        #expect(await impatient.value == nil)
        answer.yield(Self.none)
        #expect(await patient.value == Self.none)
    }

    @Test func `a task that was cancelled asks nothing`() async throws {
        let names = Names(answers: true)
        let source = NameSource(names, on: self.loop)
        let (starts, start) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            for await _ in starts {}  // Ends when the task is cancelled.
            return await source.ask(NameQuery("a.test", .txt))
        }
        task.cancel()
        #expect(await task.value == .failed("cancelled"))
        #expect(names.asked == 0)
        withExtendedLifetime(start) {}
    }

    // MARK: Sessions

    private func judged(_ names: Names) -> JudgedBy {
        var options = AuthenticationOptions()
        options.enabled = true
        let policy = AuthenticationPolicy(
            options: options, authservID: "mx.example.test", spf: SPFPolicy(options.spf, receiver: "mx.example.test"),
            discovery: .treeWalk)
        return JudgedBy(resolver: names, authentication: policy, restriction: "check_spf")
    }

    @Test func `a client that leaves takes its check with it`() async throws {
        let names = Names(answers: false)
        try await withServer(greylist: self.judged(names)) { server in
            try await onOwnThread {
                let client = try server.client()
                #expect(try client.command("MAIL FROM:<a@client.example>").code == 250)
                // It has a reply to read still, so that closing is a reset and not the end of what it has to say.
                try client.send("NOOP\r\nRCPT TO:<user@example.test>\r\n")
                try eventually("the check") { names.waiting > 0 }
                client.close()
                try eventually("the end of the check", within: .seconds(10)) { names.waiting == 0 }
            }
        }
    }

    @Test func `the next transaction of a session asks anew`() async throws {
        let names = Names(answers: true)
        try await withServer(greylist: self.judged(names)) { server in
            try await onOwnThread {
                let client = try server.client()
                for count in 1...3 {
                    #expect(try client.command("MAIL FROM:<a@client.example>").code == 250)
                    #expect(try client.command("RCPT TO:<user@example.test>").code == 250)
                    #expect(names.asked == 2 * count)
                    #expect(try client.command("RSET").code == 250)
                }
            }
        }
    }
}
