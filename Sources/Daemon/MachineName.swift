import Glibc
package import Mail

/// What the machine is called where nobody says.
package enum MachineName {
    /// The machine's full name, as `hostname --fqdn` prints it; nil if it has none, or one without a dot.
    ///
    /// Asks name servers if neither the name itself nor /etc/hosts is a full one, which may take seconds.
    package static func full() -> DomainName? { self.full(host: self.host(), canonical: self.canonical) }

    /// - Parameters:
    ///   - host: gethostname(2).
    ///   - canonical: the full name of a short one.
    package static func full(host: String?, canonical: (String) -> String?) -> DomainName? {
        guard let host, !host.isEmpty else { return nil }
        return self.named(host) ?? canonical(host).flatMap(self.named)
    }

    /// `localhost.localdomain` is what systems are called that nobody gave a name.
    private static func named(_ text: String) -> DomainName? {
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        guard name.contains("."), !name.lowercased().hasPrefix("localhost.") else { return nil }
        return DomainName(name)
    }

    private static func host() -> String? {
        // HOST_NAME_MAX is 64 on Linux.
        var name = [CChar](repeating: 0, count: 65)
        guard gethostname(&name, name.count - 1) == 0 else { return nil }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func canonical(_ host: String) -> String? {
        var hints = addrinfo()
        hints.ai_flags = AI_CANONNAME
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        return found?.pointee.ai_canonname.map { String(cString: $0) }
    }
}
