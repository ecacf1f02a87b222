import Crypto
import Testing

@Suite struct DigestTests {
    @Test(arguments: [
        (Digest.Algorithm.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ])
    func `The digest of abc is the one of FIPS 180-4, also in pieces`(
        _ algorithm: Digest.Algorithm, _ hex: String
    ) throws {
        var digest = try Digest(algorithm)
        for byte in "abc".utf8 { withUnsafeBytes(of: byte) { digest.update($0) } }
        let octets = digest.finish()
        #expect(octets.flatMap { [String($0 >> 4, radix: 16), String($0 & 15, radix: 16)] }.joined() == hex)
    }
}
