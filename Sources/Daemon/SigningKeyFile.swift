import Authentication
package import Crypto
package import Mail

/// A file with a private key for signatures.
package enum SigningKeyFile {
    /// Reads a key that nobody else could have read.
    ///
    /// An RSA key must be as long as verifiers want it: signers must use at least 1024 bits (RFC 8301 §3.2).
    ///
    /// - Parameter unsafe: told who else could read the file; the daemon refuses such keys, a command may warn.
    /// - Throws: the system's own words, what `unsafe` throws, or what is wrong with the key.
    package static func load(
        _ path: String, unsafe: (FileError) throws(FileError) -> Void = { (error) throws(FileError) in throw error }
    ) throws(FileError) -> PrivateKey {
        let bytes = try PrivateFile.read(path, unsafe: unsafe)
        let key: PrivateKey
        do throws(CryptoError) {
            key = try PrivateKey(keyFile: bytes)
        } catch {
            throw FileError(file: path, message: "no key: \(error.message)")
        }
        guard key.kind != .rsa || KeyRecord.rsaBits.contains(key.bits) else {
            let (least, most) = (KeyRecord.rsaBits.lowerBound, KeyRecord.rsaBits.upperBound)
            throw FileError(file: path, message: "the RSA key has \(key.bits) bits, not \(least) to \(most)")
        }
        return key
    }

    /// Writes a new key, which nobody else may read. A file that is there already stays as it is.
    package static func create(_ path: String, _ key: PrivateKey) throws(FileError) {
        let bytes: [UInt8]
        do throws(CryptoError) { bytes = try key.pem() } catch { throw FileError(file: path, message: error.message) }
        try PrivateFile.create(path, bytes)
    }
}
