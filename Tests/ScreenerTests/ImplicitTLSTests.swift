import Glibc
import Harness
import Mail
import SMTP
import Testing
import ZoneFiles

@testable import Screener

/// Where TLS comes before the greeting: the client speaks first, and the gate says nothing.
struct ImplicitTLSScreeningTests {
    private static let hello = "\u{16}\u{3}\u{1}"

    @Test func `nobody waits for a greeting that comes later, and whoever speaks is handed on`() {
        var driver = ScreeningDriver(isTLS: true) { _ in }
        driver.admit()
        #expect(driver.said.isEmpty && !driver.isHandedOn)
        #expect(driver.outcome?.result == .passed)
        driver.send(Self.hello)
        #expect(driver.isHandedOn && driver.verdict == nil)
        #expect(driver.passed(.pregreet) == nil, "it was not tested for that")
    }

    @Test func `a handshake that comes while lists are asked waits for them`() throws {
        var driver = try ScreeningDriver(isTLS: true) { $0.dnsbl = try DNSBLSite.list("bl.example") }
        driver.admit()
        #expect(driver.hasAsked && driver.waits == [.seconds(6)])
        driver.send(Self.hello)
        #expect(!driver.isHandedOn && driver.outcome == nil)
        driver.answer(0)
        #expect(driver.outcome?.result == .passed && driver.outcome?.pregreeting == nil)
        #expect(driver.looks == 1, "what came meanwhile is not reported again")
        driver.send(Self.hello)
        #expect(driver.isHandedOn && driver.said.isEmpty)
        #expect(driver.passed(.dnsbl) == .seconds(600))
    }

    @Test func `a list that does not answer in time is not waited for longer`() throws {
        var driver = try ScreeningDriver(isTLS: true) { $0.dnsbl = try DNSBLSite.list("bl.example") }
        driver.admit()
        driver.handle(.timedOut)
        driver.send(Self.hello)
        #expect(driver.isHandedOn && driver.said.isEmpty)
    }

    @Test(arguments: [ScreeningAction.enforce, .drop])
    func `who is listed is told inside of TLS, or goes without a word`(action: ScreeningAction) throws {
        var driver = try ScreeningDriver(isTLS: true) {
            $0.dnsbl = try DNSBLSite.list("bl.example")
            $0.dnsblAction = action
        }
        driver.admit()
        driver.answer(0, "127.0.0.2")
        #expect(driver.said.isEmpty && driver.isForgotten && driver.outcome?.result == .failed)
        #expect(driver.isClosed == (action == .drop))
        driver.send(Self.hello)
        #expect(driver.verdict?.screening.refusal?.code == (action == .drop ? nil : 550))
    }

    @Test func `a pass is earned at one door and holds at the other, except for what was not tested`() throws {
        let known = PassRecord(.dnsbl)
        var driver = try ScreeningDriver(isTLS: true) { $0.dnsbl = try DNSBLSite.list("bl.example") }
        driver.admit(known)
        #expect(driver.outcome?.result == .known)
        var plain = try ScreeningDriver { $0.dnsbl = try DNSBLSite.list("bl.example") }
        plain.admit(known)
        #expect(plain.said == ["220-"])
    }

    @Test func `limits, the end of time and of the service are not told but logged`() {
        let reply = Reply.tooManyConnections
        var limited = ScreeningDriver(isTLS: true) { _ in }
        limited.admit(access: .refused(reply))
        #expect(limited.said.isEmpty && limited.unsaid == [reply.oneLine] && limited.isClosed)
        for event in [Screening.Event.timedOut, .shutdown, .shed(.serverBusy)] {
            var driver = ScreeningDriver(isTLS: true) { _ in }
            driver.admit()
            driver.handle(event)
            #expect(driver.said.isEmpty && driver.unsaid.count == 1 && driver.isClosed)
        }
    }

    @Test func `who is trusted is handed on at once, and who is rejected when it speaks`() {
        var trusted = ScreeningDriver(isTLS: true) { _ in }
        trusted.admit(access: .exempt(isLogged: true))
        #expect(trusted.isHandedOn && trusted.said.isEmpty)
        var rejected = ScreeningDriver(isTLS: true) { _ in }
        rejected.admit(access: .rejected)
        rejected.send(Self.hello)
        #expect(rejected.verdict?.screening.refusal?.code == 550 && rejected.said.isEmpty)
        var dropped = ScreeningDriver(isTLS: true) { $0.accessAction = .drop }
        dropped.admit(access: .rejected)
        #expect(dropped.isClosed && dropped.said.isEmpty && dropped.outcome?.result == .rejected)
    }

    @Test func `a proxy's header comes before TLS`() {
        var driver = ScreeningDriver(isProxied: true, isTLS: true) { _ in }
        driver.send("PROXY TCP4 192.0.2.9 192.0.2.1 4000 465\r\n" + Self.hello)
        #expect(driver.source != nil && !driver.isHandedOn)
        driver.admit()
        driver.send(Self.hello)
        #expect(driver.isHandedOn && driver.said.isEmpty)
    }
}

/// The same with sockets.
@Suite(.serialized) struct ImplicitTLSGateTests {
    @Test func `the gate says nothing, and hands the handshake on unread`() async throws {
        try await withGate(isTLS: true) {
            $0.greetWait = .seconds(600)
        } _: { gate in
            try await onOwnThread {
                let client = try SMTPClient(gate.address)
                #expect(try client.staysSilent(for: .milliseconds(50)))
                #expect(gate.handedOn.isEmpty, "it costs no session as long as it is silent")
                try client.send([0x16])
                try eventually("the connection") { gate.handedOn.count == 1 }
                #expect(gate.handedOn[0].isTLS)
                var octet: UInt8 = 0
                #expect(recv(gate.handedOn[0].descriptor, &octet, 1, CInt(MSG_DONTWAIT)) == 1 && octet == 0x16)
                #expect(gate.screened.first?.result == "passed")
            }
        }
    }

    @Test func `a client that is listed is closed upon without a word, or handed on with its refusal`() async throws {
        for action in [ScreeningAction.drop, .enforce] {
            let names = try ZoneService("$ORIGIN bl.example.\n@ SOA ns admin 1 1h 1h 1d 60\n1.0.0.127 A 127.0.0.4\n")
            try await withGate(names: names, isTLS: true) {
                $0.dnsbl = [try DNSBLSite("bl.example")]
                $0.dnsblAction = action
                $0.greetWait = .seconds(600)
            } _: { gate in
                try await onOwnThread {
                    let client = try SMTPClient(gate.address)
                    try client.send([0x16, 3, 1])
                    if action == .drop {
                        #expect(try client.readToEnd().bytes.isEmpty)
                    } else {
                        try eventually("the connection") { gate.handedOn.count == 1 }
                        #expect(gate.handedOn[0].screening.refusal?.code == 550)
                    }
                    #expect(gate.screened.first?.tests == ["dnsbl:\(action.rawValue)"])
                }
            }
        }
    }
}
