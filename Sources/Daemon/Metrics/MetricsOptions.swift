package import Mail

/// Where figures are shown to programs of this machine. There is no password: whoever may open the address or the
/// socket may read who writes to whom.
package struct MetricsOptions: Options, OptionValue {
    package var listen: [Endpoint] = []
    package var socket: String?

    package init() {}

    package static let summary =
        "Figures for Prometheus, health, status and queue over HTTP: `/metrics`, `/health`, `/status.json` and "
        + "`/queue.json`. What figures there are is in METRICS.md."

    package static let fields: [OptionField<Self>] = [
        .init(
            "listen", \.listen,
            "Where it is answered. Only addresses of the loopback are allowed, and every user of the machine may "
                + "connect there. Port 0 takes a free one. Changed by a restart."),
        .init(
            "socket", \.socket,
            "A unix socket, such as /run/postern/metrics, which only the daemon's user and group may open. Changed by "
                + "a restart."),
    ]

    package func validate() throws(OptionProblem) {
        for endpoint in self.listen where !endpoint.address.isLoopback {
            throw OptionProblem(
                "metrics.listen: \(endpoint.optionText) is not an address of the loopback; to show figures to other "
                    + "machines, put a web server with a password or TLS in front")
        }
        if let socket, !socket.hasPrefix("/") {
            throw OptionProblem("metrics.socket: '\(socket)' is not an absolute path")
        }
    }
}
