import Harness
import Resolver
import Testing

struct ResolverOptionsTests {
    @Test func `a folder is no trust anchor`() {
        var options = ResolverOptions()
        options.trustAnchorFile = "/tmp"
        #expect(throws: ResolverError.unreadableFile(path: "/tmp", code: 21)) { try UnboundResolver(options) }
    }

    @Test(
        arguments: [
            ("192.0.2.1", "192.0.2.1", 53), ("192.0.2.1:5353", "192.0.2.1", 5353), ("2001:db8::1", "2001:db8::1", 53),
            ("[2001:db8::1]", "2001:db8::1", 53), ("[::1]:853", "::1", 853),
        ] as [(String, String, UInt16)])
    func `A name server is an address with or without a port`(text: String, address: String, port: UInt16) throws {
        let server = try NameServer(text)
        #expect(server.address == address && server.port == port)
        #expect(try NameServer("\(server)") == server)
    }

    @Test(arguments: [
        "", "dns.example", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:70000", "[::1", "[::1]53", "1.2.3", "::1:x",
    ])
    func `What is no address is refused`(text: String) {
        #expect(throws: ResolverError.invalidServer(text)) { try NameServer(text) }
    }

    @Test func `Files that cannot be read are named`() {
        let missing = "/nonexistent/file"
        for change in [
            { $0.upstream = .system(path: missing) }, { $0.upstream = .recursion(rootHints: missing) },
            { $0.trustAnchorFile = missing },
        ] as [(inout ResolverOptions) -> Void] {
            var options = ResolverOptions()
            change(&options)
            #expect(throws: ResolverError.unreadableFile(path: missing, code: 2)) { try UnboundResolver(options) }
        }
    }

    @Test func `No forwarders are no forwarding`() {
        var options = ResolverOptions()
        options.upstream = .forwarders([])
        #expect(throws: ResolverError.noServers) { try UnboundResolver(options) }
    }

    @Test func `What libunbound refuses is an error with its own words`() throws {
        let folder = try TemporaryFolder()
        var options = ResolverOptions()
        options.upstream = .forwarders([try NameServer("127.0.0.1")])
        options.trustAnchorFile = try folder.write("anchor", "example. DS what\n")
        // libunbound's log belongs to the process: another context of the tests may just have taken it.
        let words = (0..<20).map { _ in
            #expect(throws: ResolverError.self) { try UnboundResolver(options) }.map { "\($0)" } ?? ""
        }
        #expect(words.contains { $0.contains("anchor") })
        options.trustAnchorFile = nil
        options.upstream = .system(path: try folder.write("resolv.conf", "nameserver dns.example\n"))
        #expect(throws: ResolverError.self) { try UnboundResolver(options) }
    }

    @Test func `All kinds of upstream start`() async throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("resolv.conf", "search example\nnameserver 127.0.0.1\nnameserver ::1\n")
        for upstream in [ResolverOptions.Upstream.system(path: path), .recursion()] {
            var options = ResolverOptions()
            options.upstream = upstream
            await (try UnboundResolver(options)).shutdown()
        }
    }
}
