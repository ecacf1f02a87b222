import Mail

/// What a request is answered with.
package enum MetricsRoute: Equatable, Sendable {
    case metrics, health, status
    case queue(QueueFilter)
    /// - Parameter code: of HTTP.
    case refused(Int, String)

    /// - Parameters:
    ///   - target: path and query as they stand in the request.
    ///   - host: the field `Host`; nil where it does not matter, on a socket that no browser can reach.
    package init(method: String, target: String, host: String?) {
        if let host, !Self.isLocal(host) {
            // A page of the web whose name was made to lead here must not read what is said here.
            self = .refused(403, "this is answered only under a name or an address of this machine's loopback")
            return
        }
        guard target.hasPrefix("/") else {
            self = .refused(400, "a request names a path")
            return
        }
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let route = Self.route(of: parts[0], query: parts.count == 2 ? parts[1] : "")
        guard case .refused = route else {
            self = ["GET", "HEAD"].contains(method) ? route : .refused(405, "only GET and HEAD are answered")
            return
        }
        self = route
    }

    private static func route(of path: Substring, query: Substring) -> MetricsRoute {
        switch path {
        case "/metrics": return .metrics
        case "/health": return .health
        case "/status.json": return .status
        case "/queue.json":
            do throws(OptionProblem) { return .queue(try QueueQuery.filter(query)) } catch {
                return .refused(400, error.message)
            }
        default: return .refused(404, "there are /metrics, /health, /status.json and /queue.json")
        }
    }

    /// `localhost`, or an address, with or without a port. Who asks by an address was not led here by the DNS.
    private static func isLocal(_ host: String) -> Bool {
        if host.isEmpty || Endpoint(host, defaultPort: 80) != nil { return true }
        let name = host.prefix { $0 != ":" }.lowercased()
        return name == "localhost" || name.hasSuffix(".localhost")
    }
}
