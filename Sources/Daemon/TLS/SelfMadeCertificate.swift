import Glibc
import Mail
import TLS

/// The certificate of those who give none: its key is kept, so that a TLSA record `3 1 1` for it stays true.
struct SelfMadeCertificate: Sendable {
    let folder: String

    /// Makes the key if there is none yet.
    func certificate(for hostname: String) throws(FileErrors) -> TLSCertificate {
        let path = self.folder + "/self-made.key"
        do throws(FileError) {
            do { try FolderMaker.make(self.folder) } catch { throw FileError(file: path, message: "\(error)") }
            if access(path, F_OK) != 0 { try PrivateFile.create(path, try Self.key(path)) }
            return try Self.certificate(hostname, try PrivateFile.read(path), path)
        } catch { throw FileErrors([error]) }
    }

    private static func key(_ path: String) throws(FileError) -> [UInt8] {
        do throws(TLSError) { return try TLSCertificate.generateKey() } catch {
            throw FileError(file: path, message: "\(error)")
        }
    }

    private static func certificate(
        _ hostname: String, _ key: [UInt8], _ path: String
    ) throws(FileError) -> TLSCertificate {
        do throws(TLSError) { return try TLSCertificate(selfSigned: hostname, key: key) } catch {
            throw FileError(file: path, message: "\(error)")
        }
    }
}
