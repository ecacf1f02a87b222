import Mail
import SMTP
import Testing

@testable import Screener

/// The way of one connection to its greeting and its first line, SEMANTICS §1.
struct ScreeningTests {
    // MARK: - Waiting

    @Test func `a client that waits is greeted in the end, and handed on with its first line`() {
        var driver = ScreeningDriver { _ in }
        driver.admit()
        #expect(driver.said == ["220-"] && driver.waits == [.seconds(6)] && !driver.hasAsked)
        driver.handle(.timedOut)
        #expect(driver.said == ["220-", "220"])
        #expect(driver.outcome?.result == .passed && driver.outcome?.isNew == true)
        #expect(driver.passed(.pregreet) == .seconds(86_400))
        driver.send("EHLO cli")
        #expect(!driver.isHandedOn, "its line is not complete")
        driver.send("EHLO client.example\r\n")
        #expect(driver.isHandedOn && driver.verdict == nil)
    }

    @Test func `a line that never ends is handed on when it is as long as a line may be`() {
        var driver = ScreeningDriver { _ in }
        driver.admit(PassRecord(.pregreet))
        driver.send(String(repeating: "x", count: 2047))
        #expect(!driver.isHandedOn)
        driver.send(String(repeating: "x", count: 2048))
        #expect(driver.isHandedOn)
    }

    @Test func `under stress the wait is shorter, and so is the time for the first command`() {
        var driver = ScreeningDriver { _ in }
        driver.admit(isUnderStress: true)
        driver.handle(.timedOut)
        #expect(driver.waits == [.seconds(2), .seconds(10)])
    }

    @Test func `a client that hangs up before the greeting has neither passed nor failed`() {
        var driver = ScreeningDriver { _ in }
        driver.admit()
        driver.handle(.input(.end))
        #expect(driver.outcome?.result == .hangup && driver.isClosed)
        #expect(driver.credit == nil && !driver.isForgotten)
    }

    @Test func `a client that is greeted and says nothing is told so after its time`() {
        var driver = ScreeningDriver { _ in }
        driver.admit()
        driver.handle(.timedOut)
        #expect(driver.waits.last == .seconds(300))
        driver.handle(.timedOut)
        #expect(driver.said.last == "421 4.4.2 Timeout exceeded" && driver.isClosed)
    }

    @Test func `what comes late finds nobody`() {
        var driver = ScreeningDriver { _ in }
        driver.admit()
        driver.handle(.timedOut)
        driver.answer(0, "127.0.0.2")
        driver.admit()
        #expect(driver.said == ["220-", "220"])
        driver.send("QUIT\r\n")
        driver.handle(.timedOut)
        driver.handle(.shutdown)
        #expect(driver.said == ["220-", "220"])
    }

    // MARK: - Speaking too early

    @Test func `a client that speaks first is heard out and its recipients refused`() {
        var driver = ScreeningDriver { _ in }
        driver.admit()
        driver.send("EHLO bot\r\n")
        #expect(driver.said == ["220-", "220"], "the outcome is known, nobody waits any more")
        #expect(driver.outcome?.result == .failed && driver.outcome?.pregreeting == Array("EHLO bot\r\n".utf8))
        #expect(driver.isForgotten && driver.credit == nil)
        #expect(driver.looks == 1, "what is there already is not reported again")
        driver.send("EHLO bot\r\n")
        #expect(
            driver.verdict?.screening.refusal?.oneLine == "550 5.5.1 Protocol error: you spoke before the greeting")
    }

    @Test func `or it is dropped`() {
        var driver = ScreeningDriver { $0.pregreet = .drop }
        driver.admit()
        driver.send("EHLO bot\r\n")
        #expect(driver.said == ["220-", "521 5.5.1 Protocol error: you spoke before the greeting"])
        #expect(!driver.isClosed, "closing on unread input would reset the connection")
        driver.handle(.input(.end))
        #expect(driver.isClosed)
    }

    @Test func `or nothing happens, but it is logged and the test is not passed`() {
        var driver = ScreeningDriver { $0.pregreet = .ignore }
        driver.admit()
        driver.send("EHLO bot\r\n")
        #expect(driver.said == ["220-", "220"])
        #expect(driver.outcome?.result == .passed && driver.outcome?.failures.first?.test == .pregreet)
        #expect(driver.passed(.pregreet) == nil)
        driver.send("EHLO bot\r\n")
        #expect(driver.isHandedOn && driver.verdict == nil)
    }

    @Test func `no more of it is kept than is logged`() {
        var driver = ScreeningDriver { _ in }
        driver.admit()
        driver.send(String(repeating: "x", count: 2000))
        #expect(driver.outcome?.pregreeting?.count == 100)
    }

    // MARK: - Known clients

    @Test func `a client with an unexpired pass does not wait at all`() {
        var driver = ScreeningDriver { _ in }
        driver.admit(PassRecord(.pregreet))
        #expect(driver.said == ["220"])
        #expect(driver.outcome?.result == .known)
    }

    @Test func `an expired test is made again, and the client is not new`() {
        var driver = ScreeningDriver { _ in }
        driver.admit(PassRecord(.pregreet, in: .zero))
        driver.handle(.timedOut)
        #expect(driver.said == ["220-", "220"])
        #expect(driver.outcome?.result == .passed && driver.outcome?.isNew == false)
    }

    @Test func `with only the lists to ask, a client waits for them and no longer`() throws {
        var driver = try ScreeningDriver { $0.dnsbl = try DNSBLSite.list("bl.example") }
        driver.admit(PassRecord(.pregreet))
        #expect(driver.said == ["220-"] && driver.hasAsked)
        driver.answer(0)
        #expect(driver.said == ["220-", "220"])
        #expect(driver.passed(.dnsbl) == .seconds(600))
        #expect(driver.passed(.pregreet) == .seconds(60), "what it had passed stays")
    }

    @Test func `a test that was off when the record was written makes nobody new`() {
        var driver = ScreeningDriver { _ in }
        driver.admit()
        driver.handle(.timedOut)
        #expect(driver.credit?[.bareNewline] == .disabled)
        var later = ScreeningDriver { $0.bareNewline = .enforce }
        later.admit(driver.credit)
        #expect(later.outcome?.isNew == false)
        #expect(later.said == ["220"], "the test is one of the session")
    }

    // MARK: - Access list

    @Test func `who is permitted is not tested, and need not speak to be let in`() {
        var driver = ScreeningDriver { _ in }
        driver.admit(access: .exempt(isLogged: true))
        #expect(driver.said == ["220"] && driver.outcome?.result == .permitted && driver.credit == nil)
        #expect(driver.isHandedOn)
    }

    private static let rejections: [(ScreeningAction, [String], String?)] = [
        (.enforce, ["220"], "550 5.3.2 Service currently unavailable"),
        (.drop, ["521 5.3.2 Service currently unavailable"], nil), (.ignore, ["220-"], nil),
    ]

    @Test(arguments: Self.rejections) func `who is rejected is treated as configured`(
        action: ScreeningAction, said: [String], refusal: String?
    ) {
        var driver = ScreeningDriver { $0.accessAction = action }
        driver.admit(access: .rejected)
        #expect(driver.said == said)
        driver.send("EHLO x\r\n")
        #expect(driver.verdict?.screening.refusal?.oneLine == refusal)
    }

    @Test func `the first step that decides has the last word`() {
        let seven: @Sendable (IPAddress) -> ScreenerPolicy.Access = { $0 == ScreeningDriver.client ? .permit : .dunno }
        func access(_ steps: ScreenerPolicy.AccessStep...) -> String {
            "\(ScreeningDriver(access: steps) { _ in }.policy.access(ScreeningDriver.client))"
        }
        #expect(access(.relayNetworks, .reject) == "rejected", "it is not in relay_networks")
        #expect(access(.table(seven), .reject) == "exempt(isLogged: true)")
        #expect(access(.table { _ in .dunno }, .table(seven)) == "exempt(isLogged: true)", "dunno of a table goes on")
        #expect(access(.dunno, .reject) == "tested", "dunno of the list ends it")
        #expect(access() == "tested")
    }

    // MARK: - The veto

    @Test func `where nobody can earn a pass a stranger is deferred, and a known client is not`() {
        var stranger = ScreeningDriver { _ in }
        stranger.admit(isVetoed: true)
        stranger.handle(.timedOut)
        stranger.send("EHLO x\r\n")
        #expect(stranger.credit == nil && stranger.outcome?.result == .vetoed)
        #expect(stranger.verdict?.screening.refusal?.code == 450)
        var known = ScreeningDriver { _ in }
        known.admit(PassRecord(.pregreet), isVetoed: true)
        known.send("EHLO x\r\n")
        #expect(known.isHandedOn && known.verdict == nil)
    }

    // MARK: - Tests in the session

    @Test func `tests of the session go along with the connection, with what the client has passed`() {
        var driver = ScreeningDriver {
            $0.pipelining = .enforce
            $0.bareNewline = .ignore
        }
        driver.admit()
        driver.handle(.timedOut)
        #expect(driver.passed(.pregreet) != nil && driver.passed(.pipelining) == nil)
        #expect(driver.outcome?.result == .greeted)
        driver.send("EHLO x\r\n")
        #expect(driver.verdict?.screening.actions == [.pipelining: .enforce, .bareNewline: .ignore])
        #expect(driver.verdict?.credit?.isUnexpired(.pregreet, at: ScreeningDriver.now) == true)
        #expect(driver.verdict?.credit?[.pipelining] == .new)
    }

    @Test func `a client that has passed some of them is tested for the others`() {
        var driver = ScreeningDriver {
            $0.pipelining = .enforce
            $0.nonSMTP = .drop
        }
        driver.admit(PassRecord(.pregreet, .pipelining))
        #expect(driver.said == ["220"])
        driver.send("EHLO x\r\n")
        #expect(driver.verdict?.screening.actions == [.nonSMTP: .drop])
    }

    // MARK: - Going

    @Test func `who has to make room is told to come again`() {
        for isGreeted in [false, true] {
            var driver = ScreeningDriver { _ in }
            driver.admit()
            if isGreeted { driver.handle(.timedOut) }
            driver.handle(.shed(.serverBusy))
            #expect(driver.said.last == "421 4.3.2 All server ports are busy, try again later" && driver.isClosed)
        }
    }

    @Test func `a proxy says who the client is before anything else happens`() {
        var driver = ScreeningDriver(isProxied: true) { _ in }
        driver.send("PROXY TCP4 192.0.2.9 192.0.2.1 4000")
        #expect(driver.source == nil)
        driver.send("PROXY TCP4 192.0.2.9 192.0.2.1 4000 25\r\n")
        guard case .proxied(let client, let local)? = driver.source else {
            Issue.record("no source")
            return
        }
        #expect(client.description == "192.0.2.9:4000" && local.description == "192.0.2.1:25")
        driver.admit()
        #expect(driver.said == ["220-"])
    }

    @Test func `a connection without a proxy's header is closed without a word`() {
        for late in [true, false] {
            var driver = ScreeningDriver(isProxied: true) { _ in }
            if late { driver.handle(.timedOut) } else { driver.send("EHLO x\r\n") }
            #expect(driver.isClosed && driver.said.isEmpty)
        }
    }
}
