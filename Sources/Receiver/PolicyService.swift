import Mail

/// Where a policy service is asked, and what holds when it cannot be (Postfix's `check_policy_service`).
package struct PolicyService: Hashable, Sendable {
    package enum Address: Hashable, Sendable, CustomStringConvertible {
        /// A socket of the file system.
        case path(String)
        /// A name or numeric address, without brackets, and a port.
        case host(String, port: Int)

        package var description: String {
            switch self {
            case .path(let path): "unix:\(path)"
            case .host(let host, let port): host.contains(":") ? "inet:[\(host)]:\(port)" : "inet:\(host):\(port)"
            }
        }
    }

    package struct SyntaxError: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    package let address: Address
    /// For a question with all that it takes: waiting for a connection, connecting, the answer.
    package let timeout: Duration
    /// How long a connection is kept that nobody needs.
    package let idleLimit: Duration
    /// An action of access(5), for when there is no answer (SEMANTICS §18).
    package let defaultAction: String
    /// Sent along as `policy_context`, for services that several lists ask.
    package let context: String

    package static let usualTimeout = Duration.seconds(100)
    package static let usualIdleLimit = Duration.seconds(300)
    package static let usualDefaultAction = "451 4.3.5 Server configuration problem"

    package init(
        address: Address, timeout: Duration = Self.usualTimeout, idleLimit: Duration = Self.usualIdleLimit,
        defaultAction: String = Self.usualDefaultAction, context: String = ""
    ) {
        self.address = address
        self.timeout = timeout
        self.idleLimit = idleLimit
        self.defaultAction = defaultAction
        self.context = context
    }

    /// Reads `inet:127.0.0.1:10023`, `unix:PATH`, or either with settings of its own in Postfix's form:
    /// `{ inet:127.0.0.1:10023, timeout=10s, { default_action = 451 4.3.5 Later } }`.
    ///
    /// - Parameter folder: what a path is relative to that does not begin with `/`.
    package init(_ text: String, relativeTo folder: String) throws(SyntaxError) {
        var scanner = ByteScanner(text)
        scanner.skipSeparators()
        guard scanner.peek == UInt8(ascii: "{") else {
            self.init(address: try Address(scanner.item(), relativeTo: folder))
            scanner.skipSeparators()
            guard scanner.isAtEnd else { throw .init(description: "'\(text)': settings stand in braces") }
            return
        }
        var inner = ByteScanner(try scanner.item())
        scanner.skipSeparators()
        guard scanner.isAtEnd else { throw .init(description: "'\(text)': more behind '}'") }
        inner.skipSeparators()
        let address = try Address(inner.item(), relativeTo: folder)
        var settings = Settings()
        while true {
            inner.skipSeparators()
            if inner.isAtEnd { break }
            try settings.read(inner.item())
        }
        self.init(
            address: address, timeout: settings.timeout, idleLimit: settings.idleLimit,
            defaultAction: settings.defaultAction, context: settings.context)
    }
}

// MARK: - Syntax

extension PolicyService.Address {
    /// The longest path that a socket address holds, in octets (unix(7)).
    private static let maximumPathBytes = 107

    fileprivate init(_ text: String, relativeTo folder: String) throws(PolicyService.SyntaxError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { throw .init(description: "'\(text)' is neither inet:HOST:PORT nor unix:PATH") }
        switch parts[0] {
        case "unix", "local":
            let path = parts[1].hasPrefix("/") ? parts[1] : "\(folder)/\(parts[1])"
            guard !parts[1].isEmpty, path.utf8.count <= Self.maximumPathBytes else {
                throw .init(description: "'\(text)': a path has 1 to \(Self.maximumPathBytes) octets")
            }
            self = .path(path)
        case "inet": self = try Self.host(parts[1], of: text)
        default: throw .init(description: "'\(text)' is neither inet:HOST:PORT nor unix:PATH")
        }
    }

    /// `HOST:PORT`, `[ADDRESS]:PORT`, or a port of this machine.
    private static func host(_ place: String, of text: String) throws(PolicyService.SyntaxError) -> Self {
        var host = "localhost"
        var port = place[...]
        if let colon = place.lastIndex(of: ":") {
            host = String(place[..<colon])
            port = place[place.index(after: colon)...]
            let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
            if isBracketed { host = String(host.dropFirst().dropLast()) }
            guard !host.isEmpty, isBracketed || !host.contains(":"), host.utf8.allSatisfy(Self.isOfHost) else {
                throw .init(description: "'\(text)' has no host before the port")
            }
        }
        guard port.utf8.allSatisfy(ASCII.isDigit), let number = Int(port), (1...65535).contains(number) else {
            throw .init(description: "'\(text)' has no port from 1 to 65535")
        }
        return .host(host, port: number)
    }

    private static func isOfHost(_ byte: UInt8) -> Bool {
        ASCII.isAlphanumeric(byte) || "-._:%".utf8.contains(byte)
    }
}

/// Postfix's `smtpd_policy_service_NAME`, without the beginning of their names.
private struct Settings {
    var timeout = PolicyService.usualTimeout
    var idleLimit = PolicyService.usualIdleLimit
    var defaultAction = PolicyService.usualDefaultAction
    var context = ""

    /// - Parameter text: `name=value`, with blanks around any of them.
    mutating func read(_ text: String) throws(PolicyService.SyntaxError) {
        guard let sign = text.firstIndex(of: "=") else { throw .init(description: "'\(text)' is not name=value") }
        let name = Self.trimmed(text[..<sign])
        let value = Self.trimmed(text[text.index(after: sign)...])
        switch name {
        case "timeout": self.timeout = try Self.duration(value, of: name)
        case "max_idle": self.idleLimit = try Self.duration(value, of: name)
        case "default_action":
            guard !value.isEmpty else { throw .init(description: "'\(name)' has no value") }
            self.defaultAction = value
        case "policy_context": self.context = value
        default:
            throw .init(description: "'\(name)' is none of timeout, max_idle, default_action, policy_context")
        }
    }

    /// A bare number means seconds here, as it does to Postfix.
    private static func duration(_ text: String, of name: String) throws(PolicyService.SyntaxError) -> Duration {
        let isBare = !text.isEmpty && text.utf8.allSatisfy(ASCII.isDigit)
        guard let value = Duration(optionText: isBare ? text + "s" : text), value > .zero else {
            throw .init(description: "'\(name)=\(text)' is not a duration such as 10s")
        }
        return value
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}

extension ByteScanner {
    private static func isSeparator(_ byte: UInt8) -> Bool { " \t\r\n,".utf8.contains(byte) }

    fileprivate mutating func skipSeparators() { _ = self.read(while: Self.isSeparator) }

    /// What comes up to the next separator; or, without the braces around it, up to the brace that closes.
    fileprivate mutating func item() throws(PolicyService.SyntaxError) -> String {
        guard self.peek == UInt8(ascii: "{") else {
            return String(decoding: self.read { !Self.isSeparator($0) }, as: UTF8.self)
        }
        var depth = 0
        let bytes = self.read { byte in
            if byte == UInt8(ascii: "{") { depth += 1 }
            if byte == UInt8(ascii: "}") { depth -= 1 }
            return depth > 0
        }
        guard self.next() != nil else { throw .init(description: "a '{' is not closed") }
        return String(decoding: bytes.dropFirst(), as: UTF8.self)
    }
}
