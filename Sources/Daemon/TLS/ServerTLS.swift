import Glibc
import Mail
import TLS

/// TLS of the server as the files are at a moment, read and checked completely.
struct ServerTLS: Sendable {
    let options: ServerTLSOptions
    let certificates: [TLSCertificate]
    /// What the files looked like before they were read, in the order in which they were.
    let stamps: [FileStamp?]
    /// For STARTTLS, and for TLS at once: a session of the one is not resumed at the other.
    let smtp: TLSServerContext
    let implicit: TLSServerContext
    /// What is allowed and probably not meant.
    let warnings: [FileError]

    /// Reads the certificates that the configuration names.
    ///
    /// - Parameter file: the configuration; beside it lies what is named without a path.
    /// - Throws: everything that is wrong in the files.
    init(_ options: ServerTLSOptions, file: String, hostname: DomainName) throws(FileErrors) {
        let files = options.certificates.map { files in
            (chain: Self.path(files.chain, beside: file), key: Self.path(files.key, beside: file))
        }
        let stamps = Self.stamps(options, file: file)
        var certificates: [TLSCertificate] = []
        var errors: [FileError] = []
        for (chain, key) in files {
            do throws(FileError) { certificates.append(try Self.read(chain: chain, key: key)) } catch {
                errors.append(error)
            }
        }
        guard errors.isEmpty else { throw FileErrors(errors) }
        let paths = files.map(\.chain)
        var warnings = zip(certificates, paths).compactMap { Self.warning($0, $1) }
        if let path = paths.first, !certificates.contains(where: { $0.covers(hostname.ascii) }) {
            warnings.append(FileError(file: path, message: "no certificate is for \(hostname.ascii)"))
        }
        try self.init(options, certificates, stamps: stamps, file: file, warnings: warnings)
    }

    /// With a certificate of our own making.
    init(_ options: ServerTLSOptions, selfMade: TLSCertificate, file: String) throws(FileErrors) {
        try self.init(options, [selfMade], stamps: [], file: file, warnings: [])
    }

    private init(
        _ options: ServerTLSOptions, _ certificates: [TLSCertificate], stamps: [FileStamp?], file: String,
        warnings: [FileError]
    ) throws(FileErrors) {
        do throws(TLSError) {
            self.smtp = try Self.context(options, certificates, "smtp", file)
            self.implicit = try Self.context(options, certificates, "smtps", file)
        } catch {
            throw FileErrors([FileError(file: file, message: "tls: \(error)")])
        }
        self.options = options
        self.certificates = certificates
        self.stamps = stamps
        self.warnings = warnings
    }

    private static func context(
        _ options: ServerTLSOptions, _ certificates: [TLSCertificate], _ service: String, _ file: String
    ) throws(TLSError) -> TLSServerContext {
        var settings = TLSServerOptions(certificates: certificates, service: service)
        settings.minimumVersion = options.minimumVersion.version
        settings.ciphers = options.ciphers
        settings.asksForCertificate = options.clientCertificates
        settings.authorities = options.authorities.map { Self.path($0, beside: file) }
        return try TLSServerContext(settings)
    }

    private static func read(chain: String, key: String) throws(FileError) -> TLSCertificate {
        let keyPEM = try PrivateFile.read(key)
        let chainPEM = chain == key ? keyPEM : try FileText.bytes(of: chain)
        do throws(TLSError) { return try TLSCertificate(chain: chainPEM, key: keyPEM) } catch {
            throw FileError(file: chain, message: "\(error)\(chain == key ? "" : " (key: \(key))")")
        }
    }

    private static func warning(_ certificate: TLSCertificate, _ path: String) -> FileError? {
        certificate.names.isEmpty ? FileError(file: path, message: "the certificate is for no host name") : nil
    }

    static func path(_ name: String, beside file: String) -> String {
        guard !name.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return name }
        return file[...slash] + name
    }

    /// What the files look like now.
    static func stamps(_ options: ServerTLSOptions, file: String) -> [FileStamp?] {
        let names = options.certificates.flatMap { [$0.chain, $0.key] } + [options.authorities].compactMap(\.self)
        return names.map { FileStamp(Self.path($0, beside: file)) }
    }
}

/// By which it is noticed that a file is another, or that its content or rights have changed.
struct FileStamp: Hashable, Sendable {
    private let device: UInt
    private let inode: UInt
    private let bytes: Int
    private let seconds: Int
    private let nanoseconds: Int

    /// Nil if there is no such file. Links are followed: certbot changes where they lead.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.device = UInt(status.st_dev)
        self.inode = UInt(status.st_ino)
        self.bytes = Int(status.st_size)
        self.seconds = status.st_ctim.tv_sec
        self.nanoseconds = status.st_ctim.tv_nsec
    }
}
