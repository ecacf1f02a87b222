package import Mail

/// The way of a recipient's mail (SEMANTICS §6).
package enum Route: Hashable, Sendable {
    /// The first of these that can be reached.
    case nextHops([NextHop])
    case fail(Reply)
    case retry(Reply)
    case discard

    /// What tells destinations apart: messages with the same key share connections, limits and fate.
    package var key: String {
        switch self {
        case .nextHops(let hops): hops.map(\.text).joined(separator: ", ")
        case .fail: "error:"
        case .retry: "retry:"
        case .discard: "discard:"
        }
    }

    /// Mail is answered here and now, without a connection.
    var isImmediate: Bool {
        switch self {
        case .nextHops: false
        case .fail, .retry, .discard: true
        }
    }

    /// By MX records of the recipient's domain, or to the address of a literal.
    package static func direct(_ domain: Domain) -> Route {
        switch domain {
        case .name(let name): .nextHops([NextHop(name: name.ascii, port: 25, usesMX: true)])
        case .literal(let literal): .nextHops([NextHop(address: literal.address, port: 25)])
        }
    }
}

/// The routes of a generation.
package struct RouteTable: Sendable {
    private let lookup: @Sendable (_ lane: String) -> Route

    /// - Parameter lookup: the route for what a lane is named after: a domain, or an address that has a route of its
    ///   own.
    package init(lookup: @escaping @Sendable (_ lane: String) -> Route) {
        self.lookup = lookup
    }

    package func route(ofLane lane: String) -> Route { self.lookup(lane) }
}

/// A server, or a domain whose servers MX records name.
package struct NextHop: Hashable, Sendable {
    package enum Host: Hashable, Sendable {
        case name(String)
        case address(IPAddress)
    }

    package let host: Host
    package let port: Int
    package let usesMX: Bool
    /// As it stands in the table: `[host]:port`, brackets and port included (SEMANTICS §6).
    package let text: String

    package init(name: String, port: Int, usesMX: Bool) {
        self.host = .name(name)
        self.port = port
        self.usesMX = usesMX
        let suffix = port == 25 ? "" : ":\(port)"
        self.text = (usesMX ? name : "[\(name)]") + suffix
    }

    package init(address: IPAddress, port: Int) {
        self.host = .address(address)
        self.port = port
        self.usesMX = false
        self.text = "[\(address)]" + (port == 25 ? "" : ":\(port)")
    }
}

/// What is wrong with the right-hand side of a transport table.
package struct RouteError: Error, Equatable, Sendable {
    package let message: String
}

extension Route {
    private static let transports: Set<String> = ["smtp", "relay", "error", "retry", "discard"]

    /// Reads `transport:nexthop`, and a next hop alone where it cannot be taken for a transport.
    ///
    /// - Returns: nil if both are empty, which changes nothing.
    package init?(_ value: String, recipientDomain: Domain) throws(RouteError) {
        let (transport, nextHop) = Self.split(value)
        switch transport {
        case "error":
            self = .fail(
                Self.reply(nextHop, code: 550, detail: .init(0, 0), default: "mail for this address is refused"))
        case "retry":
            self = .retry(
                Self.reply(nextHop, code: 450, detail: .init(0, 0), default: "mail for this address is deferred"))
        case "discard": self = .discard
        case "" where nextHop.isEmpty: return nil
        case "", "smtp", "relay":
            self = nextHop.isEmpty ? .direct(recipientDomain) : .nextHops(try Self.nextHops(nextHop))
        default:
            throw RouteError(message: "unknown transport '\(transport)'; there are smtp, relay, error, retry, discard")
        }
    }

    private static func split(_ value: String) -> (transport: String, nextHop: String) {
        let value = value.trimmingBlanks
        guard !value.hasPrefix("["), let colon = value.firstIndex(of: ":") else {
            // `smtp` is a transport, `mail.example.com` and `[192.0.2.1]` are next hops.
            return Self.transports.contains(value) ? (value, "") : ("", value)
        }
        let transport = String(value[..<colon])
        guard !transport.contains(".") else { return ("", value) }
        return (transport, value[value.index(after: colon)...].trimmingBlanks)
    }

    /// `5.1.1 text`, or text alone, under a code whose class it may not leave.
    private static func reply(_ text: String, code: Int, detail: Reply.Detail, default standard: String) -> Reply {
        var scanner = ByteScanner(text)
        let status = scanner.read { ASCII.isDigit($0) || $0 == ASCII.dot }
        let numbers = String(decoding: status, as: UTF8.self).split(separator: ".").compactMap { Int($0) }
        guard numbers.count == 3, numbers[1] < 1000, numbers[2] < 1000 else {
            return Reply(code, detail, text.isEmpty ? standard : text)
        }
        let rest = String(decoding: scanner.readAll(), as: UTF8.self).trimmingBlanks
        return Reply(code, .init(numbers[1], numbers[2]), rest.isEmpty ? standard : rest)
    }

    private static func nextHops(_ text: String) throws(RouteError) -> [NextHop] {
        var hops: [NextHop] = []
        for part in text.split(separator: ",") { hops.append(try NextHop(text: part.trimmingBlanks)) }
        guard !hops.isEmpty else { throw RouteError(message: "no next hop in '\(text)'") }
        return hops
    }
}

extension NextHop {
    /// Reads `[host]`, `[host]:port`, `host`, `host:port`; a host is a name or an IP address.
    package init(text: String) throws(RouteError) {
        let problem = RouteError(
            message: "'\(text)' is not a next hop such as [192.0.2.1]:25, [mail.example.com] or example.com")
        var host = text[...]
        var port = 25
        let isBracketed = text.hasPrefix("[")
        if isBracketed {
            guard let end = text.firstIndex(of: "]") else { throw problem }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw problem }
            if !rest.isEmpty { port = try Self.port(rest.dropFirst(), problem) }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = try Self.port(text[text.index(after: colon)...], problem)
        }
        if host.prefix(5).equalsIgnoringCase("IPv6:") { host = host.dropFirst(5) }
        if let address = IPAddress(host) {
            self.init(address: address, port: port)
        } else {
            guard let name = DomainName(host) else { throw problem }
            self.init(name: name.ascii, port: port, usesMX: !isBracketed)
        }
    }

    private static func port(_ text: Substring, _ problem: RouteError) throws(RouteError) -> Int {
        let services = ["smtp": 25, "submission": 587, "lmtp": 24]
        guard let port = services[String(text)] ?? Int(text), (1...65535).contains(port) else { throw problem }
        return port
    }
}

extension StringProtocol {
    var trimmingBlanks: String {
        let bytes = Array(self.utf8)
        guard let first = bytes.firstIndex(where: { !ASCII.isBlank($0) }),
            let last = bytes.lastIndex(where: { !ASCII.isBlank($0) })
        else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }
}
