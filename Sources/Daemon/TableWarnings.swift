import Forwarder
import Mail
package import Rules

extension TransportTable {
    /// What is allowed in a transport table and probably not meant.
    ///
    /// - Parameter relayDomains: domains whose mail is taken, `.domains` for those below.
    package func transportWarnings(relayDomains: DomainSet) -> [TableProblem] {
        self.hostWarnings
            + relayDomains.sorted.filter { $0.hasPrefix(".") && self.lookup(lane: "x\($0)") == nil }.map {
                TableProblem(
                    line: 1,
                    message: "mail for domains below \($0.dropFirst()) is taken, and goes where their MX records say: "
                        + "a route for \($0) is missing")
            }
    }

    /// Next hops whose MX records are asked.
    private var hostWarnings: [TableProblem] {
        guard let sample = Domain("example.com") else { return [] }
        return self.all.flatMap { entry -> [TableProblem] in
            // What cannot be read is an error already.
            guard case .nextHops(let hops)? = try? Route(entry.value, recipientDomain: sample) else { return [] }
            return hops.compactMap { hop in
                // Without a next hop the recipient's domain is meant.
                guard hop.usesMX, case .name(let name) = hop.host, name != "example.com" else { return nil }
                let host = NextHop(name: name, port: hop.port, usesMX: false)
                return TableProblem(
                    line: entry.line,
                    message: "'\(hop.text)' stands for its MX records, which may name this server: "
                        + "write \(host.text) for the host itself")
            }
        }
    }
}
