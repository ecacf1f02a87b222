import Authentication
import Crypto
import Mail
import Testing

@Suite struct KeyTests {
    private static let digest = [UInt8](0..<32)

    /// PKCS #8, made with openssl for this test.
    private static let elliptic = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgtnweNPv/aZKNzmCj
        yq7uXil5evMtk7sdsMz0mMHw1tuhRANCAAS92KW9eI3zED7B3ZZnLzN3cQeRUd43
        oaBEUTh+HZJeUayHmTmKvjTmw534Z4cfE1SJ0Y4741zJQ1QWIPtKiS7o
        -----END PRIVATE KEY-----
        """

    @Test func `An Ed25519 key has the public half of RFC 8463`() throws {
        let key = try PrivateKey(keyFile: Array("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=\n".utf8))
        #expect(Base64.encode(try key.publicBytes()) == "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
        let signature = try key.sign(digest: Self.digest)
        let publicKey = try PublicKey(ed25519: try key.publicBytes())
        #expect(signature.count == 64)
        #expect(publicKey.verifies(signature, digest: Self.digest))
        #expect(!publicKey.verifies(signature, digest: Self.digest.reversed()))
        #expect(!publicKey.verifies(signature.dropLast(), digest: Self.digest))
        #expect(!publicKey.verifies([], digest: Self.digest))
    }

    @Test func `Keys are the same after they were written and read`() throws {
        for key in [try PrivateKey.generateRSA(bits: 1024), try PrivateKey.generateEd25519()] {
            let again = try PrivateKey(keyFile: try key.pem())
            #expect(again.kind == key.kind)
            #expect(again.bits == key.bits)
            #expect(try again.publicBytes() == key.publicBytes())
            #expect(try again.sign(digest: Self.digest) == key.sign(digest: Self.digest))
        }
    }

    @Test func `RSA signatures verify with both forms of the public key`() throws {
        let key = try PrivateKey.generateRSA(bits: 1024)
        let info = try key.publicBytes()
        // A SubjectPublicKeyInfo of this length has 22 octets before its RSAPublicKey.
        let keys = [try PublicKey(subjectPublicKeyInfo: info), try PublicKey(rsaPublicKey: Array(info.dropFirst(22)))]
        let signature = try key.sign(digest: Self.digest)
        for publicKey in keys {
            #expect(publicKey.bits == 1024)
            #expect(publicKey.verifies(signature, digest: Self.digest))
            #expect(!publicKey.verifies(signature.reversed(), digest: Self.digest))
            #expect(!publicKey.verifies(signature, digest: Self.digest.reversed()))
        }
    }

    @Test func `What is cut, goes on behind its end, or is of another kind is no key`() throws {
        let info = try PrivateKey.generateRSA(bits: 1024).publicBytes()
        #expect(throws: CryptoError.self) { try PublicKey(subjectPublicKeyInfo: info.dropLast()) }
        #expect(throws: CryptoError.self) { try PublicKey(subjectPublicKeyInfo: info + [0]) }
        #expect(throws: CryptoError.self) { try PublicKey(subjectPublicKeyInfo: []) }
        #expect(throws: CryptoError.self) { try PublicKey(rsaPublicKey: info) }
        #expect(throws: CryptoError.self) { try PublicKey(ed25519: [UInt8](repeating: 1, count: 31)) }
        #expect(throws: CryptoError.self) { try PrivateKey(keyFile: Array("no key".utf8)) }
        #expect(throws: CryptoError.self) { try PrivateKey(keyFile: []) }
        let error = try #require(throws: CryptoError.self) { try PrivateKey(keyFile: Array(Self.elliptic.utf8)) }
        #expect(error.message == "neither an RSA nor an Ed25519 key")
    }

    @Test func `The record of a key is what a verifier reads`() throws {
        for (key, algorithm) in [
            (try PrivateKey.generateRSA(bits: 2048), SignatureAlgorithm.rsaSHA256),
            (try PrivateKey.generateEd25519(), .ed25519SHA256),
        ] {
            let signing = SigningKey(
                domain: try #require(DomainName("Example.Test")), selector: try #require(DomainName("S1")), key: key)
            let record = try signing.record()
            #expect(record.name == "s1._domainkey.example.test")
            let read = try KeyRecord(Array(record.text.utf8), for: algorithm)
            #expect(read.key.bits == key.bits)
        }
    }
}
