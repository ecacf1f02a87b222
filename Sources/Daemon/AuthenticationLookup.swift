package import Authentication
import Foundation
package import Mail

/// What `postern auth` shows: everything that would be found out about a message that a client brings.
package struct AuthenticationLookup: Sendable {
    private let policy: AuthenticationPolicy

    /// The policy is the daemon's, but for the keys, which not everybody may read: nothing is signed or sealed here.
    ///
    /// - Parameters:
    ///   - configuration: nil where Postern is not set up, for the defaults.
    ///   - file: where it was read, for errors.
    /// - Throws: what is wrong with the public suffix list and tables.
    package init(_ configuration: Configuration?, file: String) throws(FileErrors) {
        var configuration = configuration ?? Configuration()
        configuration.authentication.enabled = true
        configuration.authentication.dkim.sign = []
        configuration.authentication.arc.seal = nil
        let name = configuration.hostname ?? MachineName.full() ?? DomainName("localhost")
        guard let hostname = name else { throw FileErrors([FileError(file: file, message: "hostname is missing")]) }
        self.policy = try AuthenticationLoader(
            configuration, file: file, hostname: hostname, tables: TableLoader(folder: configuration.rules)
        ).policy()
    }

    package func report(
        _ client: AuthenticatedClient, names: NameSource, at now: Timestamp, _ message: MessageAuthentication
    ) async -> Report? {
        let finding = await message.finish(
            spf: { await self.policy.spf.finding(on: client, names: names, at: now) }, names: names, at: now, sample: 0)
        return finding.map { Report($0) }
    }

    /// What a message is fed to.
    package func message(from client: AuthenticatedClient) -> MessageAuthentication {
        MessageAuthentication(self.policy, client: client, changesBody: false)
    }

    /// Every key is there, `null` where there is nothing to say.
    package struct Report: Encodable, Sendable {
        package struct DKIM: Encodable, Sendable {
            package let result: String
            package let domain: String?
            package let selector: String?
            package let reason: String
        }

        package struct DMARC: Encodable, Sendable {
            package let result: String
            /// What the domain asks for: `none`, `quarantine` or `reject`; nil without a record.
            package let policy: String?
            /// The author domain.
            package let domain: String?
            /// What would be done.
            package let disposition: String

            private enum Key: String, CodingKey { case result, policy, domain, disposition }

            package func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Key.self)
                try container.encode(self.result, forKey: .result)
                try container.encode(self.policy, forKey: .policy)
                try container.encode(self.domain, forKey: .domain)
                try container.encode(self.disposition, forKey: .disposition)
            }
        }

        package let spf: String
        package let dkim: [DKIM]
        package let arc: String
        package let dmarc: DMARC
        /// The field, unfolded.
        package let header: String

        init(_ finding: AuthenticationFinding) {
            self.spf = finding.spf.mailFrom.result.rawValue
            self.dkim = finding.dkim.map {
                DKIM(result: $0.outcome.rawValue, domain: $0.domain, selector: $0.selector, reason: $0.reason)
            }
            self.arc = finding.arc.outcome.rawValue
            let dmarc = finding.dmarc
            self.dmarc = DMARC(
                result: dmarc.outcome.rawValue, policy: dmarc.record == nil ? nil : dmarc.policy.rawValue,
                domain: dmarc.fromDomain?.ascii, disposition: finding.decision.disposition.rawValue)
            self.header = finding.results.text(.ascii).replacing("\r\n\t", with: " ").replacing("\r\n", with: "")
        }
    }
}
