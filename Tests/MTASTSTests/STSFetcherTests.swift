import HTTPS
import Harness
import MTASTS
import Mail
import NIOPosix
import TLS
import Testing
import ZoneFiles

struct STSFetcherTests {
    private static let text = "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 86400\r\n"

    private static let zone =
        "$ORIGIN test.\n@ SOA ns admin 1 1h 1h 1d 60\nmta-sts.a A 127.0.0.1\nmta-sts.b CNAME mta-sts.a\n"

    private func fetch(
        _ domain: String, _ world: HTTPSWorld, zone: String = Self.zone, _ change: (inout STSOptions) -> Void = { _ in }
    ) async throws -> Result<STSPolicy, STSFault> {
        var options = STSOptions()
        options.port = world.server.port
        options.allowLoopback = true
        change(&options)
        let fetcher = STSFetcher(client: world.client, names: try ZoneService(zone), options: options)
        do { return .success(try await fetcher.fetch(domain, on: world.loop).get()) } catch {
            return .failure(try #require(error as? STSFault))
        }
    }

    /// A world in which the policy of `a.test` is answered so.
    private func world(_ response: String, then: HTTPSServer.Then = .close) throws -> HTTPSWorld {
        try HTTPSWorld { authority in
            ["mta-sts.a.test": .init(try authority.certificate(for: "mta-sts.a.test"), response, then: then)]
        }
    }

    @Test func `A policy comes from where it should`() async throws {
        let world = try HTTPSWorld { authority in
            let certificate = try authority.certificate(for: "mta-sts.a.test", "mta-sts.b.test")
            let host = HTTPSServer.Host.policy(certificate, Self.text)
            return ["mta-sts.a.test": host, "mta-sts.b.test": host]
        }
        let policy = try STSPolicy(published: Array(Self.text.utf8))
        #expect(try await self.fetch("a.test", world) == .success(policy))
        // The name that is asked for counts, not where its alias leads.
        #expect(try await self.fetch("b.test", world) == .success(policy))
        #expect(world.server.requests.map(\.path) == Array(repeating: "/.well-known/mta-sts.txt", count: 2))
        #expect(world.server.requests.map { $0.header["host"] }.last == "mta-sts.b.test:\(world.server.port)")
    }

    @Test(arguments: [
        (HTTPSServer.response("", status: "301 Moved", extra: "Location: /\r\n"), "HTTP status 301", false),
        (HTTPSServer.response("no", status: "404 Not Found"), "HTTP status 404", false),
        (HTTPSServer.response(Self.text, status: "203 Other"), "HTTP status 203", false),
        (HTTPSServer.response(String(repeating: "x", count: 65_537)), "answer too large", false),
        (HTTPSServer.response(Self.text, type: "text/html"), "the media type is not text/plain", true),
        (HTTPSServer.response("<html></html>"), "a line is no field", true),
        (HTTPSServer.response(""), "no version", true),
    ])
    func `What is no policy is told as it should be`(response: String, reason: String, isInvalid: Bool) async throws {
        let fault = STSFault(isInvalid ? .stsPolicyInvalid : .stsPolicyFetchError, reason)
        #expect(try await self.fetch("a.test", self.world(response)) == .failure(fault))
    }

    @Test func `The media type may have parameters`() async throws {
        let world = try self.world(HTTPSServer.response(Self.text, type: "Text/Plain ; charset=utf-8"))
        #expect(try await self.fetch("a.test", world).get().mode == .enforce)
    }

    @Test func `A certificate that is not good is told as such`() async throws {
        let folder = try TemporaryFolder()
        for kind in ["expired", "wrong", "self"] {
            let world = try HTTPSWorld { authority in
                let name = "mta-sts.a.test"
                let certificate =
                    switch kind {
                    case "expired": try authority.certificate(for: name, validity: .expired)
                    case "wrong": try authority.certificate(for: "a.test", commonName: name)
                    default: try CertificateAuthority.selfSigned(name, in: folder)
                    }
                return [name: .policy(certificate, Self.text)]
            }
            let answer = try await self.fetch("a.test", world)
            guard case .failure(let fault) = answer else {
                Issue.record("\(kind) is trusted")
                continue
            }
            #expect(fault.failure == .stsWebPKIInvalid)
            #expect(world.server.requests.isEmpty)
        }
    }

    @Test func `Neither a silent server nor silent DNS is waited for longer than allowed`() async throws {
        let world = try self.world(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nv", then: .silence)
        let late = STSFault(.stsPolicyFetchError, "timeout")
        #expect(try await self.fetch("a.test", world) { $0.timeout = .milliseconds(300) } == .failure(late))
        let names = try ZoneService(Self.zone)
        try names.fail("mta-sts.a.test", with: .silence)
        var options = STSOptions()
        options.timeout = .milliseconds(50)
        let fetcher = STSFetcher(client: world.client, names: names, options: options)
        await #expect(throws: late) { try await fetcher.fetch("a.test", on: world.loop).get() }
    }

    @Test func `A server has an address, and not one of this host`() async throws {
        let world = try self.world(HTTPSServer.response(Self.text))
        let none = STSFault(.stsPolicyFetchError, "no address")
        #expect(try await self.fetch("c.test", world) == .failure(none))
        #expect(try await self.fetch("a.test", world) { $0.allowLoopback = false } == .failure(none))
        #expect(world.server.requests.isEmpty)
    }

    @Test(arguments: [
        ("127.0.0.1", false), ("0.0.0.0", false), ("169.254.169.254", false), ("224.0.0.1", false),
        ("255.255.255.255", false), ("192.0.2.1", true), ("10.0.0.1", true), ("223.255.255.255", true), ("::", false),
        ("::1", false), ("::127.0.0.1", false), ("::ffff:127.0.0.1", false), ("fe80::1", false), ("febf::1", false),
        ("ff02::1", false), ("2001:db8::1", true), ("fec0::1", true), ("::ffff:192.0.2.1", true),
    ])
    func `Addresses of this host and its link are left out`(address: String, isTaken: Bool) async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let type = address.contains(":") ? "AAAA" : "A"
        let names = try ZoneService("$ORIGIN test.\n@ SOA ns admin 1 1h 1h 1d 60\nx \(type) \(address)\n")
        let found = try await ServerAddresses(names: names).find("x.test", on: loop).get()
        #expect(found == (isTaken ? [try #require(IPAddress(address))] : []))
    }

    @Test func `Addresses of both kinds take turns`() async throws {
        let names = try ZoneService(
            "$ORIGIN test.\n@ SOA ns admin 1 1h 1h 1d 60\nx A 192.0.2.1\nx AAAA 2001:db8::1\nx AAAA 2001:db8::2\n"
                + "x AAAA 2001:db8::3\nx A 192.0.2.2\n")
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let found = try await ServerAddresses(names: names).find("x.test", on: loop).get()
        let expected = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]
        #expect(found.map(\.description) == expected)
    }

    @Test func `Options that RFC 8461 forbids are refused`() throws {
        var options = STSOptions()
        try options.validate()
        options.retry = .seconds(299)
        #expect(throws: OptionProblem.self) { try options.validate() }
    }
}
