/// What is asked of a server.
package struct HTTPSRequest: Sendable {
    package enum Method: Sendable {
        case get
        case post(contentType: String, body: [UInt8])
    }

    /// Whom the server must be.
    package enum Trust: Sendable {
        /// Its certificate leads to an authority that is trusted here, and is for the host.
        case verified
        /// Anyone, as RFC 8460 §3 allows for reports.
        case anyone
    }

    package var method: Method
    /// The name of the server, ASCII: for its certificate and the field `Host`. It is not looked up.
    package var host: String
    package var port = 443
    /// With what is asked behind a `?`. It begins with `/`, and is ASCII without blanks.
    package var path: String
    /// Numeric, in the order in which they are tried. The next is tried if there is no connection to one, and only then.
    package var addresses: [String]
    package var trust = Trust.verified
    /// For all of it, from the first attempt to connect to the last octet.
    package var timeout: Duration
    /// The longest body that is taken, in octets.
    package var limitBytes = 0

    package init(_ method: Method, host: String, path: String, addresses: [String], timeout: Duration) {
        self.method = method
        self.host = host
        self.path = path
        self.addresses = addresses
        self.timeout = timeout
    }

    /// Whether nothing in it would end a line or a word of the request: host and path may be somebody else's.
    var canBeWritten: Bool {
        func isWord(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) } }
        guard isWord(self.host), isWord(self.path), self.path.hasPrefix("/") else { return false }
        switch self.method {
        case .get: return true
        case .post(let type, _): return type.utf8.allSatisfy { (0x20...0x7E).contains($0) }
        }
    }
}

/// What the server said.
package struct HTTPSResponse: Hashable, Sendable {
    package let status: Int
    /// As it stands there; nil without one.
    package let contentType: String?
    /// Only of an answer 200 to GET; otherwise it is not read.
    package let body: [UInt8]

    package var isSuccess: Bool { (200..<300).contains(self.status) }

    /// Type and subtype in lower case, without parameters: `text/plain` (RFC 9110 §8.3).
    package var mediaType: String? {
        self.contentType.map { text in
            text.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased()
        }
    }
}
