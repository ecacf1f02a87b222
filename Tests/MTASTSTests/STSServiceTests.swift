import Harness
import MTASTS
import Mail
import NIOCore
import Testing
import ZoneFiles

struct STSServiceTests {
    private let enforced = STSFixture.policy(.enforce, "mx.a.test")
    private let other = STSFixture.policy(.enforce, "new.a.test")
    private let fault = STSFault(.stsPolicyFetchError, "nothing there")
    private let busy = STSFinding.unknown("too many policies are being fetched")

    @Test func `A domain without a record has no policy, and none is fetched`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: nil)
        fixture.fetcher.set("a.test", .success(self.enforced))
        try await fixture.with { (service, _) async throws in
            for domain in ["a.test", "b.test", "", "no name", "[192.0.2.1]", String(repeating: "a.", count: 120) + "b"]
            {
                #expect(try await service.finding(of: domain).get() == .none)
            }
        }
        #expect(fixture.fetcher.asked.isEmpty)
    }

    @Test func `A policy is fetched once, and again when its record changes`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.enforced))
        try await fixture.with { (service, _) async throws in
            for domain in ["a.test", "A.Test"] {
                #expect(try await service.finding(of: domain).get() == .policy(self.enforced, fault: nil))
            }
            #expect(fixture.fetcher.asked == ["a.test"])
            try fixture.publish("a.test", id: "2")
            fixture.fetcher.set("a.test", .success(self.other))
            #expect(try await service.finding(of: "a.test").get() == .policy(self.other, fault: nil))
            #expect(fixture.fetcher.asked.count == 2)
            #expect(service.statistics.fetched == 2)
        }
    }

    @Test func `What was fetched counts until it expires, without record or DNS`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.enforced))
        try await fixture.with { (service, _) async throws in
            _ = try await service.finding(of: "a.test").get()
            try fixture.publish("a.test", id: nil)
            #expect(try await service.finding(of: "a.test").get() == .policy(self.enforced, fault: nil))
            for fault in [.serverFailure, .timeout, .bogus] as [ZoneService.Fault] {
                try fixture.names.fail("_mta-sts.a.test", with: fault)
                #expect(try await service.finding(of: "a.test").get() == .policy(self.enforced, fault: nil))
            }
            fixture.clock.advance(.seconds(604_799))
            #expect(try await service.finding(of: "a.test").get() == .policy(self.enforced, fault: nil))
            fixture.clock.advance(.seconds(1))
            try fixture.names.fail("_mta-sts.a.test", with: nil)
            #expect(try await service.finding(of: "a.test").get() == .none)
        }
        #expect(fixture.fetcher.asked.count == 1)
    }

    @Test func `A record that DNS does not tell is no record that is not there`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(STSFixture.policy(.none)))
        try await fixture.with { (service, _) async throws in
            for _ in 0..<2 {
                for fault in [.serverFailure, .timeout, .bogus] as [ZoneService.Fault] {
                    try fixture.names.fail("_mta-sts.a.test", with: fault)
                    let finding = try await service.finding(of: "a.test").get()
                    guard case .unknown(let why) = finding else {
                        Issue.record("\(fault) gives \(finding)")
                        continue
                    }
                    #expect(why.hasPrefix("its MTA-STS record is not known: "))
                }
                // Nor does a policy of mode none tell: the next one may be another.
                try fixture.names.fail("_mta-sts.a.test", with: nil)
                #expect(try await service.finding(of: "a.test").get() == .none)
            }
        }
    }

    @Test func `A policy that cannot be had is told, and not tried again for a while`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        try await fixture.with { (service, _) async throws in
            for _ in 0..<3 { #expect(try await service.finding(of: "a.test").get() == .unavailable(self.fault)) }
            #expect(fixture.fetcher.asked.count == 1)
            #expect(fixture.log.all == ["policy of a.test: nothing there"])
            // Another version is another try.
            try fixture.publish("a.test", id: "2")
            #expect(try await service.finding(of: "a.test").get() == .unavailable(self.fault))
            #expect(fixture.fetcher.asked.count == 2)
            fixture.fetcher.set("a.test", .success(self.enforced))
            #expect(try await service.finding(of: "a.test").get() == .unavailable(self.fault))
            fixture.clock.advance(.seconds(300))
            #expect(try await service.finding(of: "a.test").get() == .policy(self.enforced, fault: nil))
        }
    }

    @Test func `If a new version cannot be had the old one stays in force, with the fault`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.enforced))
        try await fixture.with { (service, _) async throws in
            _ = try await service.finding(of: "a.test").get()
            try fixture.publish("a.test", id: "2")
            fixture.fetcher.set("a.test", .failure(self.fault))
            for _ in 0..<2 {
                #expect(try await service.finding(of: "a.test").get() == .policy(self.enforced, fault: self.fault))
            }
            #expect(fixture.fetcher.asked.count == 2)
            #expect(fixture.log.all == ["policy of a.test: nothing there; the one before stays in force"])
            fixture.clock.advance(.seconds(604_800))
            #expect(try await service.finding(of: "a.test").get() == .unavailable(self.fault))
        }
    }

    @Test func `Mode none ends a policy, and is not fetched for every mail`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.enforced))
        try await fixture.with { (service, _) async throws in
            _ = try await service.finding(of: "a.test").get()
            try fixture.publish("a.test", id: "2")
            fixture.fetcher.set("a.test", .success(STSFixture.policy(.none)))
            for _ in 0..<3 { #expect(try await service.finding(of: "a.test").get() == .none) }
            try fixture.publish("a.test", id: nil)
            #expect(try await service.finding(of: "a.test").get() == .none)
        }
        #expect(fixture.fetcher.asked.count == 2)
    }

    @Test func `An old policy is used at once and renewed behind`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.enforced))
        try await fixture.with { (service, _) async throws in
            _ = try await service.finding(of: "a.test").get()
            fixture.clock.advance(.seconds(86_400))
            fixture.fetcher.set("a.test", .success(self.other))
            fixture.fetcher.hold()
            for _ in 0..<2 {
                #expect(try await service.finding(of: "a.test").get() == .policy(self.enforced, fault: nil))
            }
            #expect(fixture.fetcher.asked.count == 2)
            fixture.fetcher.releaseOne()
            try await fixture.loop.submit {}.get()
            #expect(try await service.finding(of: "a.test").get() == .policy(self.other, fault: nil))
            #expect(fixture.fetcher.asked.count == 2)
        }
    }

    @Test func `Whoever asks meanwhile waits for the same`() async throws {
        let fixture = try STSFixture()
        try fixture.publish("a.test", id: "1")
        fixture.fetcher.set("a.test", .success(self.enforced))
        fixture.fetcher.hold()
        try await fixture.with { (service, _) async throws in
            let findings = (0..<50).map { _ in service.finding(of: "a.test") }
            try await fixture.fetcher.whenAsked(1, on: fixture.loop).get()
            fixture.fetcher.releaseOne()
            for finding in findings { #expect(try await finding.get() == .policy(self.enforced, fault: nil)) }
        }
        #expect(fixture.fetcher.asked.count == 1)
    }

    @Test func `Only so many are fetched at once, and only so many wait`() async throws {
        let fixture = try STSFixture()
        var options = STSOptions()
        options.concurrency = 2
        fixture.fetcher.hold()
        try await fixture.with(options) { (service, _) async throws in
            var findings: [EventLoopFuture<STSFinding>] = []
            for number in 0..<103 {
                try fixture.publish("a\(number).test", id: "1")
                fixture.fetcher.set("a\(number).test", .success(self.enforced))
                findings.append(service.finding(of: "a\(number).test"))
            }
            #expect(try await findings[102].get() == self.busy)
            #expect(fixture.fetcher.asked == ["a0.test", "a1.test"])
            for count in 1...102 {
                try await fixture.fetcher.whenAsked(min(count + 1, 102), on: fixture.loop).get()
                fixture.fetcher.releaseOne()
            }
            for finding in findings.dropLast() {
                #expect(try await finding.get() == .policy(self.enforced, fault: nil))
            }
        }
    }

    @Test(arguments: [("tarpit.test", "other.test"), ("tarpit.co.uk", "other.co.uk")])
    func `Of one organization only so many are fetched, and others have their places`(
        organization: String, other: String
    ) async throws {
        let fixture = try STSFixture()
        fixture.fetcher.set("a4.\(organization)", .success(self.enforced))
        fixture.fetcher.set("b.\(other)", .success(self.enforced))
        try await fixture.with { (service, _) async throws in
            let names = (0..<6).map { "a\($0).\(organization)" } + ["b.\(other)"]
            for name in names { try fixture.publish(name, id: "1") }
            // One with a policy that is in force.
            _ = try await service.finding(of: names[4]).get()
            try fixture.publish(names[4], id: "2")
            fixture.fetcher.hold()
            let findings = names.map { service.finding(of: $0) }
            #expect(try await findings[4].get() == .policy(self.enforced, fault: nil))
            #expect(try await findings[5].get() == self.busy)
            try await fixture.fetcher.whenAsked(6, on: fixture.loop).get()
            #expect(fixture.fetcher.asked == [names[4]] + names[0..<4] + [names[6]])
            for _ in 0..<5 { fixture.fetcher.releaseOne() }
            for finding in findings[0..<4] { #expect(try await finding.get() == .unavailable(self.fault)) }
            #expect(try await findings[6].get() == .policy(self.enforced, fault: nil))
            // There is room again, and that there was none is not remembered.
            fixture.fetcher.hold()
            let next = service.finding(of: names[5])
            try await fixture.fetcher.whenAsked(7, on: fixture.loop).get()
            fixture.fetcher.releaseOne()
            #expect(try await next.get() == .unavailable(self.fault))
            #expect(service.statistics.failed == 5)
        }
    }
}
