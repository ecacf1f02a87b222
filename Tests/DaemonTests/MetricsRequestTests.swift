import Daemon
import Mail
import Testing

/// What is asked for, and what the options allow.
struct MetricsRequestTests {
    private func filter(_ change: (inout QueueFilter) -> Void) -> QueueFilter {
        var filter = QueueFilter()
        filter.limit = QueueQuery.defaultLimit
        change(&filter)
        return filter
    }

    private func route(_ target: String, method: String = "GET", host: String? = "127.0.0.1:9") -> MetricsRoute {
        MetricsRoute(method: method, target: target, host: host)
    }

    private func code(_ route: MetricsRoute) -> Int? {
        if case .refused(let code, _) = route { return code }
        return nil
    }

    @Test func `there are four things to ask for`() {
        #expect(self.route("/metrics") == .metrics)
        #expect(self.route("/metrics?x=y") == .metrics)
        #expect(self.route("/health", method: "HEAD") == .health)
        #expect(self.route("/status.json") == .status)
        #expect(self.route("/queue.json") == .queue(self.filter { _ in }))
        for target in ["/", "/Metrics", "/metrics/", "//metrics", "/queue", "/../metrics"] {
            #expect(self.code(self.route(target)) == 404, "\(target)")
        }
        for target in ["", "*", "http://localhost/metrics"] {
            #expect(self.code(self.route(target)) == 400, "\(target)")
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
            #expect(self.code(self.route("/metrics", method: method)) == 405, "\(method)")
        }
    }

    @Test func `pages of the web with names that lead here get nothing`() {
        for host in [
            "evil.example", "evil.example:9125", "localhost.evil.example", "127.0.0.1.evil.example", "x@localhost",
        ] {
            #expect(self.code(self.route("/metrics", host: host)) == 403, "\(host)")
        }
        for host in [
            "", "localhost", "LOCALHOST:9125", "mx.localhost", "127.0.0.1", "127.0.0.1:9125", "[::1]:9125", "[::1]",
        ] {
            #expect(self.route("/metrics", host: host) == .metrics, "\(host)")
        }
        #expect(self.route("/metrics", host: nil) == .metrics)
    }

    @Test func `filters of the queue are those of the command`() throws {
        #expect(
            try QueueQuery.filter("from=%3C%3E&to=*%40example.test&older=4h&state=held&limit=7")
                == self.filter {
                    ($0.from, $0.to, $0.olderSeconds, $0.state, $0.limit) = ("<>", "*@example.test", 14_400, .held, 7)
                })
        #expect(
            try QueueQuery.filter("reason=Connection+refused&client=192.0.2.0/24&domain=example.test")
                == self.filter {
                    ($0.reason, $0.client, $0.domain) = ("Connection refused", "192.0.2.0/24", "example.test")
                })
        #expect(try QueueQuery.filter("limit=0").limit == 0)
        #expect(try QueueQuery.filter("").limit == 1000)
    }

    static let wrong = [
        "limit", "limit=", "limit=-1", "limit=100001", "limit=1&limit=1", "limt=1", "=1", "state=x", "older=4",
        "older=%",
        "from=%4", "from=%zz", "from=%00", "from=%0A", "from=%ff", "client=x", "client=192.0.2.1/24", "from=a&from=b",
    ]

    @Test(arguments: Self.wrong) func `a filter with a mistake shows nothing`(_ query: String) {
        #expect(self.code(self.route("/queue.json?\(query)")) == 400)
    }

    @Test func `only the loopback is listened on`() throws {
        #expect(try Self.options("127.0.0.1:9125", "[::1]:9125", "127.8.9.1:0").isAllowed)
        for address in ["0.0.0.0:9125", "[::]:9125", "192.0.2.1:9125", "[2001:db8::1]:9125"] {
            #expect(try !Self.options(address).isAllowed, "\(address)")
        }
        var options = MetricsOptions()
        options.socket = "metrics"
        #expect(!options.isAllowed)
        options.socket = "/run/metrics"
        #expect(options.isAllowed)
    }

    private static func options(_ addresses: String...) throws -> MetricsOptions {
        var options = MetricsOptions()
        options.listen = try addresses.map { try #require(Endpoint($0)) }
        return options
    }
}

extension MetricsOptions {
    fileprivate var isAllowed: Bool {
        do {
            try self.validate()
            return true
        } catch {
            return false
        }
    }
}
