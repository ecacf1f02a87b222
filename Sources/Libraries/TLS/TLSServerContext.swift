internal import CTLS

/// What a server shows and takes.
package struct TLSServerOptions: Sendable {
    /// The first is for clients that ask for no name, or for one that none of them has. Certificates of different kinds
    /// of key for the same names go together: a client gets the one it can check.
    package var certificates: [TLSCertificate]
    package var minimumVersion = TLSVersion.v1_2
    /// Ciphers up to TLS 1.2 in OpenSSL's format (ciphers(1)).
    package var ciphers = Self.defaultCiphers
    /// A client may go on with its session only at the service where it began.
    package var service: String
    /// Clients are asked for a certificate, and need not have one.
    package var asksForCertificate = false
    /// File of authorities, in PEM, by which clients' certificates are judged; nil trusts none.
    package var authorities: String?

    /// For both sides. Forward secrecy first; plain RSA for those who have nothing else, since they would come without
    /// TLS. Without DHE: its group is the server's choice, and one of 10,000 bits takes a second of a client's time.
    package static let defaultCiphers =
        "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:RSA+AESGCM:RSA+AES:!aNULL:!eNULL:!DSS:!MD5:!PSK:!SRP"

    /// For both sides; OpenSSL's own but for those of finite fields.
    static let groups = "X25519:P-256:X448:P-521:P-384"

    package init(certificates: [TLSCertificate], service: String) {
        self.certificates = certificates
        self.service = service
    }
}

/// What all connections of a server share. From any thread: after it was made nothing is changed in its SSL_CTX but
/// what OpenSSL locks itself (openssl-threads(7)).
package final class TLSServerContext: @unchecked Sendable {
    private let groups: [Group]
    package let options: TLSServerOptions

    /// Certificates for the same names, one of each kind of key.
    fileprivate final class Group {
        let context: OpaquePointer
        private(set) var certificates: [TLSCertificate] = []

        init(_ context: OpaquePointer) { self.context = context }

        deinit { SSL_CTX_free(self.context) }

        func takes(_ certificate: TLSCertificate) -> Bool {
            guard let first = self.certificates.first else { return true }
            return Set(first.names) == Set(certificate.names)
                && self.certificates.allSatisfy { $0.keyKind != certificate.keyKind }
        }

        func add(_ certificate: TLSCertificate) throws(TLSError) {
            guard SSL_CTX_use_certificate(self.context, certificate.leaf) == 1,
                SSL_CTX_use_PrivateKey(self.context, certificate.key) == 1,
                pst_use_chain(self.context, certificate.chain) == 1
            else { throw .last("certificate for \(certificate.names.first ?? "no name")") }
            self.certificates.append(certificate)
        }

        func covers(_ host: String) -> Bool { self.certificates.contains { $0.covers(host) } }
    }

    package init(_ options: TLSServerOptions) throws(TLSError) {
        self.options = options
        guard !options.certificates.isEmpty else { throw TLSError("no certificate") }
        var groups: [Group] = []
        for certificate in options.certificates {
            if let group = groups.first(where: { $0.takes(certificate) }) {
                try group.add(certificate)
            } else {
                let group = try Self.makeGroup(options)
                try group.add(certificate)
                groups.append(group)
            }
        }
        self.groups = groups
        // Not retained: whoever makes a connection keeps this context as long as the connection lives.
        pst_set_server_name_callback(
            groups[0].context,
            { connection, _, argument in
                guard let connection, let argument else { return SSL_TLSEXT_ERR_OK }
                Unmanaged<TLSServerContext>.fromOpaque(argument).takeUnretainedValue().choose(for: connection)
                return SSL_TLSEXT_ERR_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    private static func makeGroup(_ options: TLSServerOptions) throws(TLSError) -> Group {
        guard let context = SSL_CTX_new(TLS_server_method()) else { throw .last("TLS context") }
        let group = Group(context)
        SSL_CTX_set_options(
            context,
            PST_SSL_OP_NO_COMPRESSION | PST_SSL_OP_NO_RENEGOTIATION | PST_SSL_OP_CIPHER_SERVER_PREFERENCE
                | PST_SSL_OP_PRIORITIZE_CHACHA)
        pst_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        // Sessions are kept by clients, in tickets; here nothing is stored.
        pst_set_session_cache_off(context)
        SSL_CTX_set_num_tickets(context, 1)
        let service = Array(options.service.utf8.prefix(Int(SSL_MAX_SSL_SESSION_ID_LENGTH)))
        guard pst_set_min_version(context, options.minimumVersion.number) == 1,
            SSL_CTX_set_cipher_list(context, options.ciphers) == 1,
            SSL_CTX_set_session_id_context(context, service, UInt32(service.count)) == 1,
            pst_set_groups(context, TLSServerOptions.groups) == 1
        else { throw .last("TLS options") }
        if options.asksForCertificate {
            // Whatever it is, the session begins; what it is worth is asked afterwards.
            SSL_CTX_set_verify(context, SSL_VERIFY_PEER) { _, _ in 1 }
            if let file = options.authorities, SSL_CTX_load_verify_file(context, file) != 1 {
                throw .last("authorities \(file)")
            }
        }
        return group
    }

    /// Takes the certificates of the name that the client asks for.
    private func choose(for connection: OpaquePointer) {
        guard let name = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name) else { return }
        let host = String(cString: name).lowercased()
        guard let group = self.groups.first(where: { $0.covers(host) }), group !== self.groups[0] else { return }
        SSL_set_SSL_CTX(connection, group.context)
    }

    func makeConnection() throws(TLSError) -> TLSConnection {
        guard let ssl = SSL_new(self.groups[0].context) else { throw .last("TLS connection") }
        SSL_set_accept_state(ssl)
        return try TLSConnection(owning: ssl, keeping: self, isServer: true, verification: .none)
    }
}

extension TLSVersion {
    var number: Int32 {
        switch self {
        case .v1_0: TLS1_VERSION
        case .v1_1: TLS1_1_VERSION
        case .v1_2: TLS1_2_VERSION
        case .v1_3: TLS1_3_VERSION
        }
    }
}
