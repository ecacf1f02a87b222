import Daemon
import Forwarder
import Mail
import Rules

/// Files that an administrator writes, and requests on the control socket.
enum FileProperties {
    /// Errors stand in the file, entries behind their keys.
    static func table(_ bytes: [UInt8]) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = bytes.count { $0 == 10 } + 1
        do {
            let table = try TextTable(text)
            for key in table.keys {
                guard let entry = table[key] else { throw FuzzFailure("the key \(key.debugDescription) has no value") }
                try require((1...lines).contains(entry.line), "an entry in line \(entry.line) of \(lines)")
            }
        } catch let problems as TableProblems {
            try require(!problems.list.isEmpty, "refused for no reason")
            for problem in problems.list {
                try require((1...lines).contains(problem.line), "a problem in line \(problem.line) of \(lines)")
            }
        }
    }

    static func transport(_ bytes: [UInt8]) throws {
        guard let domain = Domain("example.test") else { return }
        let route = try? Route(String(decoding: bytes, as: UTF8.self), recipientDomain: domain)
        guard case .nextHops(let hops)? = route else { return }
        try require(!hops.isEmpty, "a route that leads nowhere")
        for hop in hops { try require((1...65_535).contains(hop.port), "port \(hop.port)") }
    }

    static func configuration(_ bytes: [UInt8]) throws {
        let lines = bytes.count { $0 == 10 || $0 == 13 } + 2
        do {
            let configuration = try Configuration(yaml: String(decoding: bytes, as: UTF8.self), file: "postern.yaml")
            try require(configuration.hostname != nil, "a configuration without hostname")
        } catch let errors as FileErrors {
            try require(!errors.list.isEmpty, "refused for no reason")
            for error in errors.list {
                try require(error.line.map { (1...lines).contains($0) } ?? true, "\(error) is not in the file")
            }
        }
    }

    static func control(_ bytes: [UInt8]) {
        _ = try? ControlJSON.decode(ControlRequest.self, from: bytes)
        _ = try? ControlJSON.decode(QueueFilter.self, from: bytes)
    }
}
