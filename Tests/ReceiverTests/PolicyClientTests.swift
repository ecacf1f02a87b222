import Harness
import NIOPosix
import Receiver
import Testing

/// Asking a policy service that behaves in every way (SEMANTICS §18).
@Suite(.serialized) struct PolicyClientTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    private static func service(
        _ server: PolicyServer, timeout: Duration = .seconds(30), idleLimit: Duration = .seconds(300)
    ) -> PolicyService {
        PolicyService(
            address: .host(server.address.host, port: server.address.port), timeout: timeout, idleLimit: idleLimit)
    }

    private static func reason(_ answer: PolicyAnswer) -> String? {
        switch answer {
        case .action: nil
        case .unavailable(let reason): reason
        }
    }

    private static let ok = PolicyServer.Answer.bytes(Array("action=OK\n\n".utf8))

    @Test func `a question is lines of name=value that nothing in a value ends`() async throws {
        let server = try PolicyServer(always: "action=DUNNO\n\n")
        defer { server.end() }
        let client = PolicyClient(group: Self.group)
        defer { client.close() }
        let service = PolicyService(
            address: .host(server.address.host, port: server.address.port), context: "incoming")
        let answer = await client.ask(service, [("helo_name", "a\nb\0c"), ("sender", ""), ("size", "1=2")])
        #expect(answer == .action("DUNNO"))
        #expect(
            server.questions == [
                ["request=smtpd_access_policy", "helo_name=a?b?c", "sender=", "size=1=2", "policy_context=incoming"]
            ])
    }

    @Test func `a connection is kept for the next question, however the answer came`() async throws {
        let server = try PolicyServer { _, question, _ in
            question == 0 ? .slowly("x=1\naction=450 4.7.1 Later\naction=OK\n\n") : Self.ok
        }
        defer { server.end() }
        let client = PolicyClient(group: Self.group)
        defer { client.close() }
        #expect(await client.ask(Self.service(server), []) == .action("450 4.7.1 Later"))
        for _ in 0..<5 { #expect(await client.ask(Self.service(server), []) == .action("OK")) }
        #expect(server.connections == 1)
    }

    @Test func `a kept connection that is closed under a question costs nothing`() async throws {
        let server = try PolicyServer { connection, question, _ in
            connection == 0 && question == 1 ? .close(after: "action=") : Self.ok
        }
        defer { server.end() }
        let client = PolicyClient(group: Self.group)
        defer { client.close() }
        #expect(await client.ask(Self.service(server), []) == .action("OK"))
        #expect(await client.ask(Self.service(server), [("n", "2")]) == .action("OK"))
        #expect(server.connections == 2)
        #expect(server.questions.filter { $0.contains("n=2") }.count == 2)
    }

    @Test func `a new connection that is closed is no answer, and is not tried again`() async throws {
        for answer in [PolicyServer.Answer.close(after: ""), .close(after: "action=OK\n")] {
            let server = try PolicyServer { _, _, _ in answer }
            defer { server.end() }
            let client = PolicyClient(group: Self.group)
            defer { client.close() }
            let reason = Self.reason(await client.ask(Self.service(server), []))
            #expect(reason == "the connection was closed instead of an answer")
            #expect(server.connections == 1)
        }
    }

    @Test(arguments: [
        "action\n\n", "\n", "reply=OK\n\n", "action=OK\r\n\r\n", "action=O\0K\n\n", "HTTP/1.1 400 Bad Request\n\n",
        "action=" + String(repeating: "x", count: 10_000), String(repeating: "x=1\n", count: 10_000),
    ])
    func `what is no answer ends the connection`(text: String) async throws {
        let server = try PolicyServer(always: text)
        defer { server.end() }
        let client = PolicyClient(group: Self.group)
        defer { client.close() }
        for _ in 0..<2 {
            let reason = Self.reason(await client.ask(Self.service(server), []))
            #expect(reason?.hasPrefix("an answer ") == true, "\(reason ?? "")")
        }
        #expect(server.connections == 2)
    }

    @Test func `what is said unasked is not taken for the next answer`() async throws {
        let server = try PolicyServer(always: "action=OK\n\naction=REJECT\n\n")
        defer { server.end() }
        let client = PolicyClient(group: Self.group)
        defer { client.close() }
        for _ in 0..<3 { #expect(await client.ask(Self.service(server), []) == .action("OK")) }
    }

    @Test func `a service that says nothing is given up in time, and so are those who wait behind`() async throws {
        let server = try PolicyServer { _, _, _ in .silence }
        defer { server.end() }
        let client = PolicyClient(group: Self.group, connectionLimit: 1)
        defer { client.close() }
        let service = Self.service(server, timeout: .milliseconds(200))
        async let first = client.ask(service, [])
        async let second = client.ask(service, [])
        let reasons = [Self.reason(await first), Self.reason(await second)]
        #expect(reasons == Array(repeating: "no answer within 0.2 seconds", count: 2))
        #expect(server.connections <= 2)
    }

    @Test func `many questions share few connections`() async throws {
        let server = try PolicyServer { _, _, lines in
            .bytes(Array("action=OK \(lines.first { $0.hasPrefix("n=") } ?? "")\n\n".utf8))
        }
        defer { server.end() }
        let client = PolicyClient(group: Self.group, connectionLimit: 3)
        defer { client.close() }
        let service = Self.service(server)
        let wrong = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask {
                    let answer = await client.ask(service, [("n", "\(number)")])
                    return answer != .action("OK n=\(number)")
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(wrong == 0)
        #expect((1...3).contains(server.connections))
    }

    @Test func `after a restart of the service all kept connections are replaced`() async throws {
        let server = try PolicyServer(always: "action=OK\n\n")
        defer { server.end() }
        let client = PolicyClient(group: Self.group, connectionLimit: 4)
        defer { client.close() }
        let service = Self.service(server)
        for _ in 0..<3 {
            let answers = await withTaskGroup(of: PolicyAnswer.self) { group in
                for _ in 0..<40 { group.addTask { await client.ask(service, []) } }
                return await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(answers == [.action("OK")])
            server.closeConnections()
        }
    }

    @Test func `an unused connection is closed after its time`() async throws {
        let server = try PolicyServer(always: "action=OK\n\n")
        defer { server.end() }
        let client = PolicyClient(group: Self.group)
        defer { client.close() }
        _ = await client.ask(Self.service(server, idleLimit: .milliseconds(10)), [])
        try await onOwnThread { try eventually("the end of the connection") { server.openConnections == 0 } }
        #expect(server.connections == 1)
    }

    @Test func `who asks and goes away waits no longer, and takes nobody's answer`() async throws {
        let server = try PolicyServer { connection, _, lines in
            lines.contains("n=1")
                ? .silence : .bytes(Array("action=OK \(lines.first { $0.hasPrefix("n=") } ?? "")\n\n".utf8))
        }
        defer { server.end() }
        let client = PolicyClient(group: Self.group, connectionLimit: 1)
        defer { client.close() }
        let service = Self.service(server)
        let task = Task { await client.ask(service, [("n", "1")]) }
        try await onOwnThread { try eventually("the question") { !server.questions.isEmpty } }
        task.cancel()
        #expect(Self.reason(await task.value) == "the session has ended")
        #expect(await client.ask(service, [("n", "2")]) == .action("OK n=2"))
    }

    @Test func `a service that is not there is known at once`() async throws {
        let client = PolicyClient(group: Self.group)
        defer { client.close() }
        let nobody = try Harness.Endpoint.free()
        let services = [
            PolicyService(address: .host(nobody.host, port: nobody.port)),
            PolicyService(address: .path("/nonexistent/policy")),
        ]
        for service in services {
            let reason = Self.reason(await client.ask(service, []))
            #expect(reason?.hasPrefix("cannot connect: ") == true, "\(reason ?? "")")
        }
        client.close()
        #expect(Self.reason(await client.ask(services[0], [])) == "the server ends")
    }
}
