import Harness
import Testing

/// What happens when there are too many, of one client or of all.
@Suite(.serialized) struct ScreenerLoadTests {
    private func isGreeted(_ client: SMTPClient) throws -> Bool { try client.line().hasPrefix("220 ") }

    @Test func `a flood of strangers turns away its own oldest, and never a client that is known`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(
            primary: sink.address,
            // Who comes under stress, from the 18th on, is not greeted in this test.
            screener: "{connections: 20, greet_wait: 1s, greet_wait_stress: 3600s, access: [\"cidr:clients\"]}",
            starts: false)
        try postern.rewrite("rules/clients", "127.73.1.0/24 permit\n")
        try postern.start()
        let strangers = try (1...20).map { try SMTPClient(postern.address, from: "127.73.0.\($0)") }
        for stranger in strangers { #expect(try stranger.line().hasPrefix("220-")) }
        for stranger in strangers.prefix(17) { #expect(try self.isGreeted(stranger)) }
        #expect(try postern.screenerStatus()["isUnderStress"] as? Bool == true)
        #expect(postern.log.contains("18 of 20 connections of unknown clients are open: they get less time now"))
        let alarms = try #require(try postern.json("status")["alarms"] as? [String])
        #expect(alarms.contains("too many connections of unknown clients: they get less time"))

        // Nobody has to go for those who are known.
        let known = try (1...5).map { try SMTPClient(postern.address, from: "127.73.1.\($0)") }
        for client in known { #expect(try self.isGreeted(client)) }
        #expect(try postern.send(client: "127.73.1.6").code == 250)
        try sink.wait(for: 1)
        #expect(try postern.screenerStatus()["unknown"] as? Int == 20)

        // For strangers those go first who were greeted and said nothing, and of them the oldest; then who waits. One
        // is in the middle of its dialog.
        try strangers[0].command("EHLO client.example")
        var newcomers: [SMTPClient] = []
        for oldest in strangers[1...18] {
            let newcomer = try SMTPClient(postern.address, from: "127.73.2.\(newcomers.count + 1)")
            newcomers.append(newcomer)
            #expect(try newcomer.line().hasPrefix("220-"))
            #expect(try oldest.reply().description == "421 4.3.2 All server ports are busy, try again later")
            #expect(try oldest.readToEnd().bytes == [])
        }
        let status = try postern.screenerStatus()
        #expect(status["unknown"] as? Int == 20 && (status["results"] as? [String: Int])?["shed"] == 18)
        #expect(try strangers[0].command("NOOP").code == 250)
        for client in known { #expect(try client.command("NOOP").code == 250) }

        for client in strangers + newcomers + known { client.close() }
        try postern.waitUntilDeserted()
        #expect(try postern.screenerStatus()["isUnderStress"] as? Bool == false)
        #expect(postern.log.contains("they get their time again"))
        #expect(try postern.stop() == .exited(0))
    }

    @Test func `a client has so many connections at once and not more`() throws {
        let postern = try PosternProcess(
            networks: "[127.74.1.0/24]", screener: "{greet_wait: 3600s}", limits: "{connections_per_client: 2}")
        let clients = try (1...2).map { _ in try SMTPClient(postern.address, from: "127.74.0.1") }
        for client in clients { #expect(try client.line().hasPrefix("220-")) }
        let third = try SMTPClient(postern.address, from: "127.74.0.1")
        #expect(try third.reply().description == "421 4.7.0 Too many connections from your network")
        #expect(try third.readToEnd().bytes == [])
        try postern.event("refused") { $0.clientAddress == "127.74.0.1" && $0["command"] == "CONNECT" }
        #expect(try SMTPClient(postern.address, from: "127.74.0.2").line().hasPrefix("220-"))
        let trusted = try (1...4).map { _ in try SMTPClient(postern.address, from: "127.74.1.1") }
        for client in trusted { #expect(try self.isGreeted(client)) }
        for client in clients + trusted { client.close() }
        try postern.waitUntilDeserted()
        #expect(try SMTPClient(postern.address, from: "127.74.0.1").line().hasPrefix("220-"))
    }

    @Test func `a client comes so often in a minute and not more`() throws {
        let postern = try PosternProcess(
            screener: "{greet_wait: 3600s}", limits: "{connections_per_client: 0, connection_rate_per_client: 3}")
        for _ in 1...3 {
            #expect(try SMTPClient(postern.address, from: "127.75.0.1").line().hasPrefix("220-"))
            try postern.waitUntilDeserted()
        }
        let fourth = try SMTPClient(postern.address, from: "127.75.0.1")
        #expect(
            try fourth.reply().description == "421 4.7.0 Too many new connections from your network, try again later")
        #expect(try SMTPClient(postern.address, from: "127.75.0.2").line().hasPrefix("220-"))
    }
}
