import Glibc
import Harness
import Mail
import Resolver
import SMTP
import Screener
import Testing
import ZoneFiles

/// The gate with real sockets. What is waited for is what the other side sees, never a time.
@Suite(.serialized) struct GateTests {
    private static let teaser = "220-mx.example.test ESMTP Postern\r\n"
    private static let greeting = "220 mx.example.test ESMTP Postern\r\n"

    @Test func `a client hears the first line at once and the last when it has waited`() async throws {
        try await withGate {
            $0.greetWait = .milliseconds(50)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                #expect(try client.line() == Self.teaser)
                #expect(try client.line() == Self.greeting)
                #expect(gate.gate.status.counts["passed"] == 1 || gate.screened.first?.result == "passed")
                try eventually("the pass") {
                    gate.passes.record(of: IPAddress.v4(0x7F00_0001).network(prefixLength: 32)) != nil
                }
                // The next time it need not wait.
                let again = try SMTPClient(gate.address)
                #expect(try again.line() == Self.greeting)
            }
        }
    }

    @Test func `a connection is handed on with its first line unread, and only when that is complete`() async throws {
        try await withGate {
            $0.greetWait = .milliseconds(20)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                for _ in 0..<2 { _ = try client.line() }
                for octet in "EHLO client.example" {
                    try client.send(String(octet))
                    #expect(gate.handedOn.isEmpty)
                }
                try client.send("\r\n")
                try eventually("the connection") { gate.handedOn.count == 1 }
                var buffer = [UInt8](repeating: 0, count: 100)
                let count = recv(gate.handedOn[0].descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
                #expect(String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self) == "EHLO client.example\r\n")
                #expect(gate.gate.status.silent == 0)
                #expect(gate.clients.openConnections == 1, "its place is taken as long as somebody has it")
            }
        }
    }

    @Test func `who speaks before the greeting fails, however soon`() async throws {
        try await withGate {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                try client.send("EHLO bot\r\n")
                #expect(try client.line() == Self.teaser)
                #expect(try client.line() == Self.greeting, "nobody waits for what is decided")
                try eventually("the connection") { gate.handedOn.count == 1 }
                #expect(gate.handedOn[0].screening.refusal?.code == 550)
                let screened = try #require(gate.screened.first)
                #expect(screened.result == "failed" && screened.tests == ["pregreet:enforce"])
                #expect(screened.pregreeting == "EHLO bot\\r\\n")
            }
        }
    }

    @Test func `a client that leaves while it waits, by any way, leaves nothing behind`() async throws {
        try await withGate {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let ways: [(SMTPClient) throws -> Void] = [
                    { $0.close() }, { $0.finishSending() }, { try $0.abort() },
                ]
                for (index, leave) in ways.enumerated() {
                    let client = try SMTPClient(gate.address)
                    _ = try client.line()
                    try leave(client)
                    try eventually("the end") { gate.clients.openConnections == 0 }
                    try eventually("the count") { gate.gate.status.counts["hangup"] == index + 1 }
                }
                #expect(gate.gate.status.waiting == 0)
            }
        }
    }

    @Test func `a failed client of which another connection waits gets no pass by that`() async throws {
        try await withGate {
            $0.greetWait = .milliseconds(300)
            $0.pregreet = .drop
        } _: { gate in
            try await onOwnThread {
                let good = try SMTPClient(gate.address)
                _ = try good.line()
                let bad = try SMTPClient(gate.address)
                try bad.send("EHLO bot\r\n")
                _ = try bad.line()
                #expect(try bad.line().hasPrefix("521 "))
                #expect(try good.line() == Self.greeting)
                #expect(gate.passes.record(of: IPAddress.v4(0x7F00_0001).network(prefixLength: 32)) == nil)
            }
        }
    }

    @Test func `when all places are taken the oldest silent client has to go, and a known one never`() async throws {
        let known: @Sendable (IPAddress) -> ScreenerPolicy.Access = { $0 == .v4(0x7F00_0009) ? .permit : .dunno }
        try await withGate(access: [.table(known)], capacity: GateCapacity(known: 2, unknown: 3)) {
            $0.greetWait = .seconds(600)
            $0.greetWaitStress = .seconds(500)
        } _: { gate in
            try await onOwnThread {
                let friends = try (0..<2).map { _ in try SMTPClient(gate.address, from: "127.0.0.9") }
                for friend in friends { #expect(try friend.line() == Self.greeting) }
                let strangers = try (1...4).map { number in
                    let client = try SMTPClient(gate.address, from: "127.0.1.\(number)")
                    #expect(try client.line() == Self.teaser)
                    return client
                }
                #expect(try strangers[0].line() == "421 4.3.2 All server ports are busy, try again later\r\n")
                try eventually("stress") { gate.gate.status.isUnderStress }
                #expect(gate.clients.openConnections(.unknown) == 3 && gate.clients.openConnections(.known) == 2)
                for friend in friends { try friend.send("EHLO friend\r\n") }
                try eventually("both friends") { gate.handedOn.count == 2 }
                // A third has no place: the two are speaking.
                let third = try SMTPClient(gate.address, from: "127.0.0.9")
                #expect(try third.line() == "421 4.3.2 All server ports are busy, try again later\r\n")
            }
        }
    }

    @Test func `connections of one client are limited`() async throws {
        var limits = SessionLimits()
        limits.connectionsPerClient = 2
        try await withGate(limits: limits) {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let first = try (0..<2).map { _ in try SMTPClient(gate.address) }
                for client in first { #expect(try client.line() == Self.teaser) }
                let third = try SMTPClient(gate.address)
                #expect(try third.line() == "421 4.7.0 Too many connections from your network\r\n")
                let other = try SMTPClient(gate.address, from: "127.0.0.2")
                #expect(try other.line() == Self.teaser)
            }
        }
    }

    @Test func `at the end everybody is told`() async throws {
        try await withGate {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                _ = try client.line()
                gate.gate.shutDown()
                #expect(try client.line() == "421 4.3.2 Service is going down, try again later\r\n")
                #expect(gate.clients.openConnections == 0)
            }
        }
    }

    // MARK: - Proxies

    private func proxied(_ networks: String) throws -> ProxyOptions {
        var proxy = ProxyOptions()
        proxy.networks = [try IPNetwork(networks)]
        return proxy
    }

    @Test func `a proxy's header says who the client is, in whatever pieces it comes`() async throws {
        try await withGate(proxy: self.proxied("127.0.0.0/8"), isProxied: true) {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let header = "PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\n"
                for split in [0, 1, 20, header.utf8.count - 1] {
                    let client = try SMTPClient(gate.address)
                    try client.send(String(header.prefix(split)))
                    try client.send(String(header.dropFirst(split)))
                    #expect(try client.line() == Self.teaser)
                    client.close()
                }
                try eventually("the log") { gate.screened.count == 4 }
                #expect(gate.screened.allSatisfy { $0.client.description == "192.0.2.7:4000" })
                #expect(gate.screened.allSatisfy { $0.local?.description == "192.0.2.1:25" })
            }
        }
    }

    @Test func `what comes behind the header before the greeting is too early`() async throws {
        try await withGate(proxy: self.proxied("127.0.0.0/8"), isProxied: true) {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                try client.send("PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\nEHLO bot\r\n")
                #expect(try client.line() == Self.teaser)
                #expect(try client.line() == Self.greeting)
                #expect(gate.screened.first?.tests == ["pregreet:enforce"])
            }
        }
    }

    @Test func `a header that ends anywhere leaves nothing behind`() async throws {
        try await withGate(proxy: self.proxied("127.0.0.0/8"), isProxied: true) {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let header = Array("PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\n".utf8)
                for end in 0...header.count {
                    let client = try SMTPClient(gate.address)
                    try client.send(Array(header.prefix(end)))
                    client.finishSending()
                    let answer = String(decoding: try client.readToEnd().bytes, as: UTF8.self)
                    #expect(answer == (end < header.count ? "" : Self.teaser))
                }
                try eventually("everybody's place") { gate.clients.openConnections == 0 }
                #expect(gate.screened.map(\.result) == ["hangup"])
            }
        }
    }

    @Test func `a proxy that looks whether we are well is greeted at once`() async throws {
        try await withGate(proxy: self.proxied("127.0.0.0/8"), isProxied: true) {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                try client.send("PROXY UNKNOWN\r\n")
                #expect(try client.line() == Self.greeting)
            }
        }
    }

    @Test func `nobody else may say who they are`() async throws {
        try await withGate(proxy: self.proxied("127.0.0.0/24"), isProxied: true) { _ in
        } _: { gate in
            try await onOwnThread {
                let stranger = try SMTPClient(gate.address, from: "127.0.1.1")
                #expect(try stranger.line().hasPrefix("421 4.7.0 "))
                let silent = try SMTPClient(gate.address)
                try silent.send("EHLO client.example\r\n")
                #expect(try silent.readToEnd().bytes.isEmpty, "a proxy without header gets no answer")
                #expect(gate.complaints.all.count == 1)
            }
        }
    }

    // MARK: - Lists

    @Test func `lists are asked over the DNS, IPv4 in octets, and each zone once`() async throws {
        let names = try ZoneService("$ORIGIN bl.example.\n@ SOA ns admin 1 1h 1h 1d 60\n1.0.0.127 A 127.0.0.4\n")
        try await withGate(names: names) {
            $0.dnsbl = [try DNSBLSite("bl.example=127.0.0.[2..11]*2"), try DNSBLSite("bl.example=127.0.0.4")]
            $0.dnsblThreshold = Score(3)
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                for _ in 0..<2 { _ = try client.line() }
                let screened = try #require(gate.screened.first)
                #expect(screened.tests == ["dnsbl:enforce"] && screened.score == 3)
                #expect(names.questions.filter { $0.name.text == "1.0.0.127.bl.example" }.count == 1)
            }
        }
    }

    @Test func `a client that leaves takes its questions along`() async throws {
        let names = try ZoneService("$ORIGIN bl.example.\n@ SOA ns admin 1 1h 1h 1d 60\n")
        try names.fail("1.0.0.127.bl.example", with: .silence)
        try await withGate(names: names) {
            $0.dnsbl = [try DNSBLSite("bl.example=127.0.0.2")]
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                _ = try client.line()
                client.close()
                try eventually("the log") { gate.screened.count == 1 }
                #expect(gate.screened.first?.result == "hangup" && gate.screened.first?.isPartial == true)
                try eventually("its place") { gate.clients.openConnections == 0 }
            }
        }
    }
}
