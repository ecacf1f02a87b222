/// Postfix's `posttls-finger`, which looks at the TLS of a server as Postfix's client does.
package enum PostTLSFinger {
    /// - Parameters:
    ///   - destination: such as `[127.0.0.1]:2525`; after STARTTLS, never TLS at once.
    ///   - matching: names or fingerprints, one of which the certificate must have.
    ///   - resolver: whom it asks for names, at port 53; nobody if it is nil.
    package static func run(
        _ destination: String, level: String, _ options: [String] = [], matching: [String] = [],
        resolver: Endpoint? = nil
    ) throws -> Finished {
        if let resolver, resolver.port != 53 { throw HarnessError("posttls-finger asks no other port than 53") }
        let owner = PrivateRoot.Account("postfix", 1)
        let root = try PrivateRoot(.postfix, accounts: [owner, .init("postdrop", 2)])
        try root.folder.write(
            "etc/postfix/main.cf",
            """
            compatibility_level = 3.6
            mail_owner = postfix
            setgid_group = postdrop
            myhostname = finger.client.example
            inet_interfaces = loopback-only
            queue_directory = \(try root.folder.make(folder: "queue"))
            data_directory = \(try root.folder.make(folder: "data"))
            maillog_file_prefixes = \(root.folder.path)

            """)
        if let resolver {
            try root.folder.write("etc/resolv.conf", resolverFile(resolver))
            try root.folder.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: dns\n")
        }
        let arguments = ["-c", "-l", level, "-L", "verbose,summary"] + options + [destination] + matching
        // Its folder must last until the program has ended.
        return try withExtendedLifetime(root) { try root.program("/usr/sbin/posttls-finger", arguments).run() }
    }
}

/// An `/etc/resolv.conf` for programs that believe what the resolver has validated.
package func resolverFile(_ resolver: Endpoint) -> String {
    "nameserver \(resolver.host)\noptions attempts:2 timeout:5 trust-ad\n"
}

/// Exim as a client. Debian's speaks TLS by GnuTLS.
package enum EximClient {
    /// Sends a message, which is not taken without TLS and a certificate for the name.
    ///
    /// - Parameters:
    ///   - name: of the server, which is at `server`.
    ///   - authorities: a PEM file.
    /// - Returns: what its log says of it.
    package static func send(
        _ content: [UInt8], to recipient: String, by server: Endpoint, name: String, authorities: String
    ) throws -> String {
        let account = PrivateRoot.Account("Debian-exim", 1)
        let root = try PrivateRoot(.exim, accounts: [account])
        for folder in ["spool", "log"] {
            try root.folder.make(folder: folder, mode: 0o750, user: account.id, group: account.id)
        }
        try root.folder.write("etc/hosts", "127.0.0.1 localhost\n\(server.host) \(name)\n")
        try root.folder.write(
            "etc/exim4/exim4.conf",
            """
            primary_hostname = exim.client.example
            spool_directory = \(root.folder.path("spool"))
            log_file_path = \(root.folder.path("log/%slog"))
            host_lookup =
            rfc1413_hosts =
            tls_advertise_hosts =
            keep_environment =
            log_selector = +tls_cipher +tls_certificate_verified
            begin routers
            out:
              driver = manualroute
              route_list = * \(name) byname
              transport = out
              self = send
            begin transports
            out:
              driver = smtp
              port = \(server.port)
              hosts_require_tls = *
              tls_verify_hosts = *
              tls_verify_certificates = \(authorities)
              tls_sni = $host
            begin retry
            * * F,1h,1m

            """)
        // In the foreground.
        var program = try root.program("/usr/sbin/exim4", ["-odf", "-oi", "-f", "s@client.example", recipient])
        program.input = content
        return try withExtendedLifetime(root) {
            let finished = try program.runOrThrow()
            return finished.output + root.folder.text("log/mainlog")
        }
    }
}
