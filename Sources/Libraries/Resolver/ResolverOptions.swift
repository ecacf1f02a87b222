internal import Glibc
internal import Polling

/// What an ``UnboundResolver`` is told when it starts.
package struct ResolverOptions: Sendable {
    /// Who is asked what is not known here.
    package enum Upstream: Hashable, Sendable {
        /// The name servers of this file, read once.
        case system(path: String = "/etc/resolv.conf")
        /// These; the fastest that answers is preferred.
        case forwarders([NameServer])
        /// Nobody: the zones' own servers, from the root down. Without a file of root hints, those compiled into
        /// libunbound are used.
        case recursion(rootHints: String? = nil)
    }

    package var upstream = Upstream.system()
    /// A file with DNSKEY or DS records, which is only read; nil: everything is insecure. Forwarders must pass the
    /// records of DNSSEC on, or all that is signed becomes bogus.
    package var trustAnchorFile: String?
    /// How long a query may take. libunbound alone takes up to 28 seconds for a server that is dead.
    package var timeout = Duration.seconds(10)
    /// Different questions under way at once; one more fails with ``DNSFailure/tooManyQueries``.
    package var maximumQueries = 4096
    /// Answers kept where they cost no visit to the resolver's thread, about half a kilobyte each.
    package var cachedAnswers = 8192
    /// libunbound's caches of answers and of record sets. They fill only with use.
    package var messageCacheBytes = 16 << 20
    package var recordCacheBytes = 32 << 20

    package init() {}

    /// The key of the root zone, from Debian's package dns-root-data.
    package static let debianRootKey = "/usr/share/dns/root.key"
}

/// The address and port of a name server.
package struct NameServer: Hashable, Sendable {
    /// A dotted quad or an IPv6 address.
    package let address: String
    package let port: UInt16

    /// - Throws: ``ResolverError/invalidServer(_:)`` for what is no IP address: names cannot be resolved yet.
    package init(address: String, port: UInt16 = 53) throws(ResolverError) {
        var storage = in6_addr()
        guard inet_pton(AF_INET, address, &storage) == 1 || inet_pton(AF_INET6, address, &storage) == 1 else {
            throw .invalidServer(address)
        }
        self.address = address
        self.port = port
    }

    /// Reads `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`.
    ///
    /// - Throws: ``ResolverError/invalidServer(_:)``.
    package init(_ text: String) throws(ResolverError) {
        var address = Substring(text)
        var port: Substring?
        if text.hasPrefix("["), let bracket = text.firstIndex(of: "]") {
            let rest = text[text.index(after: bracket)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw .invalidServer(text) }
            address = text[text.index(after: text.startIndex)..<bracket]
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            address = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        let number = port.map { UInt16($0) } ?? 53
        guard let number, number > 0, let server = try? NameServer(address: String(address), port: number) else {
            throw .invalidServer(text)  // The text as a whole, not the part that is wrong.
        }
        self = server
    }

    /// As libunbound wants it: `192.0.2.1@53`.
    var unboundText: String { "\(self.address)@\(self.port)" }
}

extension NameServer: CustomStringConvertible {
    package var description: String {
        let isV6 = self.address.utf8.contains(UInt8(ascii: ":"))
        return isV6 ? "[\(self.address)]:\(self.port)" : "\(self.address):\(self.port)"
    }
}

/// Why a resolver could not be started.
package enum ResolverError: Error, Hashable, Sendable {
    /// Not an IP address with an optional port.
    case invalidServer(String)
    /// The list of forwarders is empty.
    case noServers
    /// A file of the options cannot be read; errno.
    case unreadableFile(path: String, code: Int32)
    /// libunbound refuses the options. What was being done, and its own words.
    case refused(step: String, reason: String)
    /// A call to the system failed; errno.
    case system(call: String, code: Int32)
}

extension ResolverError {
    init(_ error: SystemError) { self = .system(call: error.call, code: error.code) }
}

extension ResolverError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .invalidServer(let text): "'\(text)' is no IP address with an optional port"
        case .noServers: "no name server is given"
        case .unreadableFile(let path, let code): "\(path): \(String(cString: strerror(code)))"
        case .refused(let step, let reason): "\(step): \(reason)"
        case .system(let call, let code): "\(call): \(String(cString: strerror(code)))"
        }
    }
}
