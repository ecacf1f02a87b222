package import Mail

/// What a server announced in its reply to EHLO (RFC 5321 §4.1.1.1).
package struct Extensions: Hashable, Sendable {
    package private(set) var pipelining = false
    package private(set) var eightBitMIME = false
    package private(set) var smtputf8 = false
    package private(set) var dsn = false
    package private(set) var chunking = false
    package private(set) var size = false
    /// Largest content that is taken, in octets; nil if the server names no limit.
    package private(set) var sizeLimitBytes: Int?
    /// Attributes that may be told with XFORWARD; empty if it is not offered.
    package private(set) var xforward: Set<String> = []
    package private(set) var xclient: Set<String> = []

    package private(set) var starttls = false
    /// REQUIRETLS (RFC 8689); it means something inside TLS only.
    package private(set) var requireTLS = false
    /// Mechanisms of SASL, in upper case; empty if AUTH is not offered.
    package private(set) var auth: Set<String> = []

    /// None, as after HELO.
    package init() {}

    package init(_ reply: Reply) {
        for line in reply.lines.dropFirst() {
            let words = line.uppercased().split { $0 == " " || $0 == "=" }
            guard let keyword = words.first else { continue }
            let values = words.dropFirst()
            switch keyword {
            case "PIPELINING": self.pipelining = true
            case "8BITMIME": self.eightBitMIME = true
            case "SMTPUTF8": self.smtputf8 = true
            case "DSN": self.dsn = true
            case "CHUNKING": self.chunking = true
            case "SIZE":
                self.size = true
                self.sizeLimitBytes = values.first.flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
            case "STARTTLS": self.starttls = true
            case "REQUIRETLS": self.requireTLS = true
            // `AUTH=` is older than the standard; servers write both for clients that are.
            case "AUTH": self.auth.formUnion(values.map(String.init))
            case "XFORWARD": self.xforward = Set(values.map(String.init))
            case "XCLIENT": self.xclient = Set(values.map(String.init))
            default: break
            }
        }
    }
}
