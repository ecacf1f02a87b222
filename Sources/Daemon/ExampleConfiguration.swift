import Foundation

/// A configuration to begin with: a relay for `example.test` on the loopback, with a primary that need not be there.
package struct ExampleConfiguration {
    private let folder: String

    package init(folder: String) {
        let here = FileManager.default.currentDirectoryPath
        self.folder = folder.hasPrefix("/") ? folder : "\(here)/\(folder)"
    }

    /// Writes the files that are not there yet.
    ///
    /// - Returns: the path of the configuration file.
    package func make() throws -> String {
        try FileManager.default.createDirectory(atPath: "\(self.folder)/rules", withIntermediateDirectories: true)
        let files = [
            ("postern.yaml", self.configuration), ("rules/transport", Self.transport),
            ("rules/relay_recipients", Self.recipients),
        ]
        for (name, text) in files where !FileManager.default.fileExists(atPath: "\(self.folder)/\(name)") {
            try text.write(toFile: "\(self.folder)/\(name)", atomically: true, encoding: .utf8)
        }
        return "\(self.folder)/postern.yaml"
    }

    private var configuration: String {
        """
        # A relay to try out: it takes mail for example.test and hands it to a primary on port 2526.
        # Every key is explained by `postern reference`.
        hostname: postern.example.test
        listen: ["127.0.0.1:2525"]
        state: \(self.folder)/state
        control: \(self.folder)/control
        rules: \(self.folder)/rules
        relay_domains: texthash:transport
        relay_recipients: texthash:relay_recipients
        transport: texthash:transport
        # A client that nobody knows yet waits for its greeting. DNS lists would stand here too.
        screener: {greet_wait: 6s}
        queue: {lifetime: 10d, notice_lifetime: 10d, delay_notice: 4h, maximum_size: 4GiB, reserve: 64MiB}

        """
    }

    private static let transport = """
        # Where mail goes, in the format of Postfix's transport(5): a domain, then its next hop.
        # Brackets mean this host and not its MX records.
        example.test    smtp:[127.0.0.1]:2526

        """

    private static let recipients = """
        # Addresses that exist: user@domain, or @domain for all of a domain. What stands behind means nothing.
        user@example.test         OK
        postmaster@example.test   OK

        """
}
