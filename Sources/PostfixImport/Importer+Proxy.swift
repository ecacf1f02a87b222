/// Load balancers in front.
extension Importer {
    private var proxyProtocol: Value {
        self.services.postscreen.map { self.value("postscreen_upstream_proxy_protocol", in: $0) }
            ?? self.value("smtpd_upstream_proxy_protocol", in: self.services.smtpd)
    }

    /// Whether all clients come through load balancers.
    var hasProxy: Bool { self.proxyProtocol.text.lowercased() == "haproxy" }

    /// - Parameter listen: where clients connect.
    mutating func convertProxy(listen: [String]) {
        let value = self.proxyProtocol
        guard !value.isEmpty else { return }
        guard self.hasProxy else {
            self.warn(
                value, "\(value.name) = \(value.text): there is no such protocol; clients connect themselves here")
            return self.mark(value, .unsupported, why: "there is no such protocol")
        }
        let listen = listen.isEmpty ? ["0.0.0.0:25", "[::]:25"] : listen
        self.set("proxy.listen", .list(listen.map { .init(text: $0) }), from: value)
        self.yaml.set("listen", .list([]), comments: ["All clients come through a load balancer: proxy.listen."])
        self.yaml.set(
            "proxy.networks", .list([.init(text: "127.0.0.1/32")]),
            comments: ["Put the addresses of the load balancers here: nobody else is let in."]
        )
        let timeout = self.services.postscreen == nil ? "smtpd" : "postscreen"
        self.convertTime(
            "\(timeout)_upstream_proxy_timeout", "proxy.timeout", unit: "s", standard: 5,
            self.services.postscreen ?? self.services.smtpd)
        self.warn(
            value,
            "\(value.name) = \(value.text): Postfix takes the PROXY header from anybody who connects; Postern from "
                + "proxy.networks only, which has this machine alone: put the addresses of your load balancers there, "
                + "or nobody gets in")
    }
}
