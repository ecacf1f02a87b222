import Receiver
import Testing

/// How a policy service is named.
@Suite struct PolicyServiceTests {
    private func read(_ text: String) throws -> PolicyService { try PolicyService(text, relativeTo: "/spool") }

    @Test func `an address is a port of a host or a socket in a folder`() throws {
        #expect(try self.read("inet:127.0.0.1:10023") == PolicyService(address: .host("127.0.0.1", port: 10023)))
        #expect(try self.read(" inet:[::1]:10023 ").address == .host("::1", port: 10023))
        #expect(try self.read("inet:10023").address == .host("localhost", port: 10023))
        #expect(try self.read("unix:/run/policy").address == .path("/run/policy"))
        #expect(try self.read("unix:private/policy").address == .path("/spool/private/policy"))
        #expect(try self.read("local:policy").address == .path("/spool/policy"))
    }

    @Test func `without settings those of Postfix hold`() throws {
        let service = try self.read("{inet:localhost:1}")
        #expect(service == PolicyService(address: .host("localhost", port: 1)))
        #expect(service.timeout == .seconds(100) && service.idleLimit == .seconds(300))
        #expect(service.defaultAction == "451 4.3.5 Server configuration problem")
    }

    @Test func `settings stand behind the address, with blanks in braces of their own`() throws {
        let service = try self.read(
            "{ inet:host:1, timeout=10s, max_idle=60\n { default_action = 451 4.3.5 See {this}, later } policy_context=in}"
        )
        #expect(
            service
                == PolicyService(
                    address: .host("host", port: 1), timeout: .seconds(10), idleLimit: .seconds(60),
                    defaultAction: "451 4.3.5 See {this}, later", context: "in"))
    }

    @Test(arguments: [
        "", "inet", "inet:", "inet:host:", "inet:host:0", "inet:host:65536", "inet:host:smtp", "inet:::1:10023",
        "inet:[]:1", "inet::1", "tcp:host:1", "unix:", "unix:/" + String(repeating: "x", count: 107), "{", "{}",
        "{inet:host:1", "{inet:host:1} x", "inet:host:1 timeout=1s", "{inet:host:1 timeout}", "{inet:host:1 timeout=0}",
        "{inet:host:1 timeout=x}", "{inet:host:1 default_action=}", "{inet:host:1 try_limit=1}", "inet:ho st:1",
    ])
    func `what cannot be asked is refused`(text: String) {
        #expect(throws: PolicyService.SyntaxError.self) { () throws in try self.read(text) }
    }
}
