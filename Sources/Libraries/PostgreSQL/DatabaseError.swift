/// Why there is no answer. Texts are the library's or the server's, on one line.
package enum DatabaseError: Error, Hashable, Sendable {
    /// No server took a connection, or the connection broke.
    case unreachable(String)
    case timedOut(String)
    /// The server refused the statement; `state` is its SQLSTATE.
    case refused(state: String, message: String)
    /// More wait than may.
    case busy
    case closed
}

extension DatabaseError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let text): text
        case .timedOut(let what): "timed out: \(what)"
        case .refused(let state, let message): "\(message) (\(state))"
        case .busy: "too many questions wait for the data base"
        case .closed: "the data base is no longer asked"
        }
    }
}

/// Where a data base is: keywords and values as libpq knows them, such as `host` and `dbname`.
package struct DatabaseTarget: Hashable, Sendable {
    package struct Parameter: Hashable, Sendable {
        package let keyword: String
        package let value: String

        package init(_ keyword: String, _ value: String) {
            self.keyword = keyword
            self.value = value
        }
    }

    /// For errors; without secrets.
    package let name: String
    package let parameters: [Parameter]

    package init(name: String, parameters: [Parameter]) {
        self.name = name
        self.parameters = parameters
    }

    /// - Parameter uri: `postgresql://…`; it may hold a password, which the name does not.
    package init(uri: String, parameters: [Parameter] = []) {
        self.name = Self.nameWithoutSecrets(uri)
        self.parameters = [Parameter("dbname", uri)] + parameters
    }

    private static func nameWithoutSecrets(_ uri: String) -> String {
        guard let start = uri.firstRange(of: "://")?.upperBound else { return "the server" }
        let authority = uri[start...].prefix { $0 != "/" && $0 != "?" }
        return String(uri[..<start])
            + (authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority)
    }
}

/// The rows of an answer, each with its columns; nil is NULL.
package typealias DatabaseRows = [[String?]]
