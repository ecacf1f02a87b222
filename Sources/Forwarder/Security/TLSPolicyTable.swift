import Mail
package import TLS

/// Levels of single next hops (postconf(5), smtp_tls_policy_maps).
package struct TLSPolicyTable: Hashable, Sendable {
    private var entries: [String: TLSPolicy] = [:]
    /// What has no effect here.
    package private(set) var warnings: [SecurityTableProblem] = []

    package static let empty = TLSPolicyTable()

    private init() {}

    /// - Throws: every problem of the table, not only the first.
    package init(_ lines: [SecurityTableLine]) throws(SecurityTableProblems) {
        var problems: [SecurityTableProblem] = []
        var places: [String: Int] = [:]
        for line in lines {
            do throws(TLSPolicyError) {
                let (policy, warnings) = try TLSPolicy.parse(line.value)
                self.warnings += warnings.map { SecurityTableProblem(line: line.line, message: $0) }
                guard let key = NextHopKey.canonical(line.key) else {
                    self.warn(line.line, "'\(line.key)' is no next hop: nothing is looked up under it")
                    continue
                }
                try policy.checkNames(behind: line.key)
                guard places[key] == nil else {
                    throw TLSPolicyError("'\(line.key)' is the next hop of line \(places[key] ?? 0)")
                }
                places[key] = line.line
                self.entries[key] = policy
            } catch {
                problems.append(SecurityTableProblem(line: line.line, message: error.message))
            }
        }
        guard problems.isEmpty else { throw SecurityTableProblems(list: problems) }
    }

    private mutating func warn(_ line: Int, _ message: String) {
        self.warnings.append(SecurityTableProblem(line: line, message: message))
    }

    /// Some entry rests on what DNSSEC proves.
    package var wantsProof: Bool {
        self.entries.values.contains { $0.level == .dane || $0.level == .daneOnly }
    }

    package func policy(for hop: NextHop) -> TLSPolicy? {
        guard !self.entries.isEmpty else { return nil }
        return NextHopKey.keys(of: hop).lazy.compactMap { self.entries[$0] }.first
    }
}

/// What an administrator wants of a next hop.
package struct TLSPolicy: Hashable, Sendable {
    /// A name in the server's certificate.
    package enum Name: Hashable, Sendable {
        /// That of the server.
        case hostname
        /// That of the next hop.
        case nextHop
        /// One below that of the next hop.
        case belowNextHop
        /// In lower case, ASCII; with a dot in front it stands for those below it.
        case fixed(String)
    }

    package let level: TLSLevel
    /// At the levels `verify` and `secure`.
    package var names: [Name]
    /// At the level `fingerprint`: SHA-256 of certificates or of their public keys.
    package var fingerprints: [[UInt8]] = []
    /// What the server is told that we came for.
    package var serverName: String?
    /// nil for what holds everywhere.
    package var minimumVersion: TLSVersion?

    /// The level without attributes.
    package init(_ level: TLSLevel) {
        self.level = level
        switch level {
        case .verify: self.names = [.hostname]
        case .secure: self.names = [.nextHop, .belowNextHop]
        case .none, .may, .encrypt, .dane, .daneOnly, .fingerprint: self.names = []
        }
    }

    /// The names of which the certificate must have one. A next hop that is an address has no name but that.
    package func names(of host: String, behind hop: NextHop?) -> [String] {
        switch hop?.host {
        case .address(let address)?: self.names(of: address)
        case .name(let name)?: self.names.map { $0.text(host: host.asciiLowercased, nextHop: name) }
        case nil: self.names.map { $0.text(host: host.asciiLowercased, nextHop: host) }
        }
    }

    private func names(of address: IPAddress) -> [String] {
        var names: [String] = []
        for name in self.names where name != .belowNextHop {
            let text = name.text(host: "\(address)", nextHop: "\(address)")
            if !names.contains(text) { names.append(text) }
        }
        return names
    }

    /// OpenSSL asks for an address in addition to names, not instead of them, and for one only.
    ///
    /// - Parameter key: of the entry, which is a next hop or begins with a dot.
    fileprivate func checkNames(behind key: String) throws(TLSPolicyError) {
        guard self.level == .verify || self.level == .secure else { return }
        // What begins with a dot stands for names, as does what is no next hop.
        let names = self.names(of: "a.invalid", behind: try? NextHop(text: key))
        guard !names.isEmpty else { throw TLSPolicyError("match: there is nothing below an address") }
        guard names.count == 1 || !names.contains(where: { IPAddress($0) != nil }) else {
            throw TLSPolicyError("match: an address must stand there alone, without names and other addresses")
        }
    }
}

extension TLSPolicy.Name {
    fileprivate func text(host: String, nextHop: String) -> String {
        switch self {
        case .hostname: host
        case .nextHop: nextHop
        case .belowNextHop: ".\(nextHop)"
        case .fixed(let text): text
        }
    }
}

/// What is wrong with a right-hand side.
package struct TLSPolicyError: Error, Hashable, Sendable {
    package let message: String

    init(_ message: String) { self.message = message }
}
