import Mail
import Resolver
import Testing

@testable import Screener

/// What lists do to a client, with answers in any order.
struct DNSBLScoreTests {
    private func driver(
        _ sites: String..., threshold: Int = 1, allow: Int = 0, action: ScreeningAction = .enforce,
        names: [String: String] = [:]
    ) throws -> ScreeningDriver {
        let sites = try sites.map { try DNSBLSite($0) }
        var driver = ScreeningDriver {
            $0.dnsbl = sites
            $0.dnsblThreshold = Score(threshold)
            $0.dnsblAllowThreshold = Score(allow)
            $0.dnsblAction = action
            $0.dnsblNames.values = names
        }
        driver.admit()
        return driver
    }

    private func refusal(_ driver: ScreeningDriver) -> String? {
        var driver = driver
        driver.send("EHLO x\r\n")
        return driver.verdict?.screening.refusal?.oneLine
    }

    @Test func `a listed client fails as soon as that is certain`() throws {
        var driver = try self.driver("a.example=127.0.0.2*2", "b.example", threshold: 2)
        driver.answer(0, "127.0.0.2")
        #expect(driver.outcome?.result == .failed && driver.outcome?.score == 2)
        #expect(driver.outcome?.isPartial == true, "the other list was not waited for")
        #expect(
            self.refusal(driver) == "550 5.7.1 Service unavailable; client [192.0.2.7] blocked using a.example")
    }

    @Test func `a list that could still lower the score is waited for`() throws {
        var driver = try self.driver("a.example*3", "good.example*-3", threshold: 2)
        driver.answer(0, "127.0.0.2")
        #expect(driver.outcome == nil)
        driver.answer(1, "127.0.0.5")
        #expect(driver.outcome == nil, "the client has still to wait for its greeting")
        driver.handle(.timedOut)
        #expect(driver.outcome?.result == .passed && driver.outcome?.score == 0)
        #expect(driver.outcome?.lists == ["a.example:3", "good.example:-3"])
    }

    @Test func `dropping is immediate`() throws {
        var driver = try self.driver("a.example", action: .drop)
        driver.answer(0, "127.0.0.2")
        #expect(
            driver.said == ["220-", "521 5.7.1 Service unavailable; client [192.0.2.7] blocked using a.example"])
    }

    @Test func `ignoring lets the other tests go on`() throws {
        var driver = try self.driver("a.example", action: .ignore)
        driver.answer(0, "127.0.0.2")
        #expect(driver.said == ["220-"])
        driver.handle(.timedOut)
        #expect(driver.outcome?.result == .passed && driver.outcome?.failures.map(\.test) == [.dnsbl])
        #expect(driver.passed(.dnsbl) == nil && driver.passed(.pregreet) != nil)
    }

    @Test func `each entry counts once, whatever number of addresses match, and each that matches counts`() throws {
        var driver = try self.driver("a.example=127.0.0.[2..11]*2", "a.example=127.0.0.4*5", threshold: 100)
        driver.answer(0, "127.0.0.3", "127.0.0.4", "127.0.0.9")
        driver.handle(.timedOut)
        #expect(driver.outcome?.score == 7)
        #expect(driver.policy.dnsbl.zones.count == 1, "a zone is asked once")
    }

    @Test func `an answer that no filter has is none`() throws {
        var driver = try self.driver("a.example=127.0.0.2")
        driver.answer(0, "127.0.0.10")
        driver.handle(.timedOut)
        #expect(driver.outcome?.result == .passed && driver.outcome?.score == 0)
    }

    @Test func `the refusal names the list with the largest single weight, by the name that may be seen`() throws {
        var driver = try self.driver(
            "a.example=127.0.0.2*2", "a.example=127.0.0.3*2", "key.b.example*3", threshold: 7,
            names: ["KEY.b.example": "b.example"])
        driver.answer(0, "127.0.0.2", "127.0.0.3")
        driver.answer(1, "127.0.0.2")
        #expect(self.refusal(driver)?.hasSuffix("blocked using b.example") == true)
        #expect(driver.outcome?.lists == ["a.example:4", "b.example:3"])
    }

    // MARK: - Allow lists

    @Test func `a client that an allow list knows passes everything at once, also what is not tested`() throws {
        var driver = try self.driver("good.example*-2", "bad.example=127.0.0.2", allow: -1)
        driver.answer(0, "127.0.9.3", ttl: .seconds(300))
        #expect(driver.outcome?.result == .allowed, "the other list cannot undo it")
        #expect(driver.said == ["220-", "220"])
        #expect(driver.passed(.pipelining) == .seconds(60), "an answer is missing, so it holds for the shortest time")
    }

    @Test func `lists that speak for a client are remembered longer than its pass`() throws {
        var driver = try self.driver("good.example*-2", "bad.example=127.0.0.2")
        driver.answer(0, "127.0.9.3")
        #expect(!driver.isAllowlisted, "it may still be listed elsewhere")
        driver.answer(1)
        driver.handle(.timedOut)
        #expect(driver.outcome?.result == .passed && driver.isAllowlisted)
        let record = try #require(driver.credit)
        #expect(record.allowlistedUntil == ScreeningDriver.now + .seconds(86_400))
        // A client that is known is not asked about.
        var known = ScreeningDriver { _ in }
        known.admit(record)
        #expect(known.outcome?.result == .known && known.isAllowlisted)
        var old = record
        old.allowlistedUntil = ScreeningDriver.now
        known = ScreeningDriver { _ in }
        known.admit(old)
        #expect(!known.isAllowlisted)
    }

    @Test func `lists that say nothing more for a client count as long as all have answered`() throws {
        let sites = try DNSBLSite.list("good.example*-2", "bad.example=127.0.0.2")
        var before = PassRecord(.pregreet)
        before.allowlistedUntil = ScreeningDriver.now + .seconds(60)
        for isAnswered in [false, true] {
            var driver = ScreeningDriver { $0.dnsbl = sites }
            driver.admit(before)
            if isAnswered { driver.answer(0) }
            driver.answer(1)
            #expect(driver.outcome?.result == .passed)
            #expect(driver.isAllowlisted != isAnswered)
            #expect(driver.credit?.allowlistedUntil == (isAnswered ? nil : before.allowlistedUntil))
        }
    }

    @Test func `an allow list allows and speaks for the client`() throws {
        var driver = try self.driver("good.example*-2", allow: -1)
        driver.answer(0, "127.0.9.3")
        #expect(driver.outcome?.result == .allowed && driver.isAllowlisted)
        #expect(driver.credit?.allowlistedUntil != nil)
        var even = try self.driver("good.example*-1", "bad.example=127.0.0.2*1", threshold: 2)
        even.answer(0, "127.0.9.3")
        even.answer(1, "127.0.0.2")
        even.handle(.timedOut)
        #expect(even.outcome?.result == .passed && !even.isAllowlisted, "another list speaks against it")
    }

    @Test func `a list that could still raise the score is waited for`() throws {
        var driver = try self.driver("good.example*-2", "bad.example=127.0.0.2*2", allow: -1)
        driver.answer(0, "127.0.9.3", ttl: .seconds(300))
        #expect(driver.outcome == nil)
        driver.answer(1)
        #expect(driver.outcome?.result == .allowed && driver.passed(.bareNewline) == .seconds(300))
    }

    @Test func `a client that spoke too early is not allowed any more`() throws {
        var driver = try self.driver("good.example*-2", allow: -1)
        driver.send("EHLO x\r\n")
        #expect(driver.outcome?.result == .failed)
        driver.answer(0, "127.0.9.3")
        #expect(self.refusal(driver)?.hasPrefix("550 5.5.1") == true)
    }

    // MARK: - Lists that fail

    @Test func `a list that does not answer is not waited for longer than for the greeting`() throws {
        var driver = try self.driver("a.example", "b.example*2", threshold: 2)
        driver.answer(0, "127.0.0.2", ttl: .seconds(3600))
        driver.handle(.timedOut)
        #expect(driver.outcome?.result == .passed && driver.outcome?.isPartial == true)
        #expect(driver.passed(.dnsbl) == .seconds(60), "it is asked again soon")
    }

    @Test func `an unavailable list counts for nothing, and the result holds for the shortest time`() throws {
        var driver = try self.driver("a.example")
        driver.handle(.answered(zone: 0, .unavailable("SERVFAIL"), .trusted))
        driver.handle(.timedOut)
        #expect(driver.outcome?.result == .passed && driver.outcome?.isPartial == true)
        #expect(driver.passed(.dnsbl) == .seconds(60))
    }

    @Test func `a suspect list only defers`() throws {
        var driver = try self.driver("a.example", "b.example")
        driver.answer(0, "127.0.0.2", standing: .suspect)
        #expect(driver.outcome == nil, "the other list might refuse for good")
        driver.answer(1)
        #expect(driver.outcome?.result == .failed && !driver.isForgotten, "it may come again as who it was")
        #expect(
            self.refusal(driver)
                == "450 4.7.1 Service temporarily unavailable; client [192.0.2.7] blocked using a.example")
        var dropped = try self.driver("a.example", action: .drop)
        dropped.answer(0, "127.0.0.2", standing: .suspect)
        #expect(dropped.said.last?.hasPrefix("421 4.7.1") == true)
    }

    @Test func `what other lists say against a client stands without the suspect one`() throws {
        var driver = try self.driver("a.example", "b.example")
        driver.answer(0, "127.0.0.2", standing: .suspect)
        driver.answer(1, "127.0.0.2")
        #expect(
            self.refusal(driver)?.hasSuffix("550 5.7.1 Service unavailable; client [192.0.2.7] blocked using b.example")
                == true)
    }

    @Test func `a demoted list counts for nothing, nor does a suspect one for a client`() throws {
        var driver = try self.driver("a.example", "good.example*-5", allow: -1)
        driver.answer(0, "127.0.0.2", standing: .demoted)
        driver.answer(1, "127.0.0.2", standing: .suspect)
        driver.handle(.timedOut)
        #expect(driver.outcome?.result == .passed && driver.outcome?.score == 0)
    }

    @Test(arguments: [(10, 60), (600, 600), (86_400, 3600)])
    func `the result holds as long as the answers, within bounds`(
        ttl: Int, holds: Int
    ) throws {
        var driver = try self.driver("a.example", "b.example")
        driver.answer(0, ttl: .seconds(ttl))
        driver.answer(1, ttl: .seconds(100_000))
        driver.handle(.timedOut)
        #expect(driver.passed(.dnsbl) == .seconds(holds))
    }

    @Test func `an answer that comes twice counts once`() throws {
        var driver = try self.driver("a.example", threshold: 2)
        driver.answer(0, "127.0.0.2")
        driver.answer(0, "127.0.0.2")
        driver.handle(.timedOut)
        #expect(driver.outcome?.score == 1)
    }

    // MARK: - Answers

    @Test func `answers that are none are told from lists`() throws {
        let zone = try #require(DNSName("bl.example"))
        func outcome(_ values: String...) throws -> DNSBLOutcome {
            let records = try values.map { text in
                guard case .v4(let value)? = IPAddress(text) else { throw DNSFailure.invalidName }
                return DNSRecord.a(value)
            }
            return DNSBLOutcome(
                .success(DNSAnswer(records: records, ttl: .seconds(60), canonicalName: zone, security: .insecure)),
                zone: zone)
        }
        #expect(try outcome("127.0.0.2") == .listed([0x7F00_0002], ttl: .seconds(60)))
        for text in [
            "127.255.255.252", "127.255.255.254", "127.255.255.255", "127.255.255.1", "192.0.2.1", "127.0.0.1",
        ] {
            guard case .unavailable = try outcome("127.0.0.2", text) else {
                Issue.record("\(text) is taken for a listing")
                continue
            }
        }
        #expect(
            DNSBLOutcome(
                .failure(.noSuchName(DNSNegative(ttl: .seconds(5), canonicalName: zone, security: .insecure))),
                zone: zone) == .notListed(ttl: .seconds(5)))
        for failure in [DNSFailure.timeout, .serverFailure("x"), .bogus("x"), .tooManyQueries, .closed] {
            guard case .unavailable = DNSBLOutcome(.failure(failure), zone: zone) else {
                Issue.record("\(failure) says something about a client")
                continue
            }
        }
    }
}
