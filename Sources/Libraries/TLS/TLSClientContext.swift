internal import CTLS

/// What a client takes and trusts.
package struct TLSClientOptions: Sendable {
    /// File of authorities in PEM; nil for those of the system.
    package var authorities: String?
    package var minimumVersion = TLSVersion.v1_2
    /// Shown to servers that ask for one.
    package var certificate: TLSCertificate?

    package init(authorities: String? = nil, minimumVersion: TLSVersion = .v1_2, certificate: TLSCertificate? = nil) {
        self.authorities = authorities
        self.minimumVersion = minimumVersion
        self.certificate = certificate
    }
}

/// What is wanted of one server.
package struct TLSClientRequest: Hashable, Sendable {
    /// Named to the server (RFC 6066 §3); nil for none, as with an address.
    package var serverName: String?
    package var verification: TLSVerification

    package init(serverName: String?, verification: TLSVerification) {
        self.serverName = serverName
        self.verification = verification
    }
}

/// What all connections of a client share. From any thread, for the reasons of ``TLSServerContext``.
///
/// Sessions are not resumed: every connection is verified anew, by the records and policies of the day, and a client that
/// keeps its connections for the next message has little to gain.
package final class TLSClientContext: @unchecked Sendable {
    private let context: OpaquePointer

    package init(_ options: TLSClientOptions = TLSClientOptions()) throws(TLSError) {
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw .last("TLS context") }
        self.context = context
        SSL_CTX_set_options(context, PST_SSL_OP_NO_COMPRESSION | PST_SSL_OP_NO_RENEGOTIATION)
        pst_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        pst_set_session_cache_off(context)
        // The handshake goes on whatever the certificate is; it is judged all the same.
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
        guard pst_set_min_version(context, options.minimumVersion.number) == 1,
            SSL_CTX_set_cipher_list(context, TLSServerOptions.defaultCiphers) == 1,
            pst_set_groups(context, TLSServerOptions.groups) == 1,
            SSL_CTX_dane_enable(context) == 1
        else { throw .last("TLS options") }
        if let file = options.authorities {
            guard SSL_CTX_load_verify_file(context, file) == 1 else { throw .last("authorities \(file)") }
        } else {
            guard SSL_CTX_set_default_verify_paths(context) == 1 else { throw .last("the system's authorities") }
        }
        if let certificate = options.certificate {
            guard SSL_CTX_use_certificate(context, certificate.leaf) == 1,
                SSL_CTX_use_PrivateKey(context, certificate.key) == 1,
                pst_use_chain(context, certificate.chain) == 1
            else { throw .last("certificate") }
        }
    }

    deinit { SSL_CTX_free(self.context) }

    func makeConnection(_ request: TLSClientRequest) throws(TLSError) -> TLSConnection {
        guard let ssl = SSL_new(self.context) else { throw .last("TLS connection") }
        SSL_set_connect_state(ssl)
        let connection = try TLSConnection(
            owning: ssl, keeping: self, isServer: false, verification: request.verification)
        try Self.configure(ssl, request)
        return connection
    }

    private static func configure(_ ssl: OpaquePointer, _ request: TLSClientRequest) throws(TLSError) {
        switch request.verification {
        // Weak keys are better than none, which is what would follow.
        case .none: SSL_set_security_level(ssl, 0)
        case .fingerprints, .anyName: break
        case .names(let names): try self.setNames(names, ssl)
        case .dane(let records, let names): try self.setDANE(records, names, ssl)
        }
        guard let name = request.serverName, name.utf8.count <= 255 else { return }
        guard pst_set_server_name(ssl, name) == 1 else { throw .last("server name") }
    }

    private static func setNames(_ names: [String], _ ssl: OpaquePointer) throws(TLSError) {
        SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
        // Without a name OpenSSL would take any.
        guard !names.isEmpty else { throw TLSError("no name to verify") }
        for name in names {
            guard SSL_add1_host(ssl, name) == 1 else { throw .last("name '\(name)'") }
        }
    }

    private static func setDANE(
        _ records: [TLSAssociation], _ names: [String], _ ssl: OpaquePointer
    ) throws(TLSError) {
        guard let base = names.first, SSL_dane_enable(ssl, base) == 1 else { throw .last("DANE") }
        // RFC 7672 §3.1.1: usage 3 is about the key, not about names or times.
        SSL_dane_set_flags(ssl, UInt(DANE_FLAG_NO_DANE_EE_NAMECHECKS))
        SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
        for name in names.dropFirst() {
            guard SSL_add1_host(ssl, name) == 1 else { throw .last("name '\(name)'") }
        }
        var count = 0
        for record in records where record.isUsable {
            let code = SSL_dane_tlsa_add(
                ssl, record.usage, record.selector, record.matching, record.data, record.data.count)
            if code > 0 { count += 1 } else if code < 0 { throw .last("TLSA record") }
        }
        // It would verify by authorities instead, which nobody asked for.
        guard count > 0 else { throw TLSError("no usable TLSA record") }
    }
}
