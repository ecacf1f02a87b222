package import Crypto
package import Mail

/// A key and where its public half is published.
package struct SigningKey: Sendable {
    /// `d=`.
    package let domain: DomainName
    /// `s=`.
    package let selector: DomainName
    package let key: PrivateKey

    package init(domain: DomainName, selector: DomainName, key: PrivateKey) {
        self.domain = domain
        self.selector = selector
        self.key = key
    }

    var algorithm: SignatureAlgorithm {
        switch self.key.kind {
        case .rsa: .rsaSHA256
        case .ed25519: .ed25519SHA256
        }
    }

    /// The name and text of the key's record in DNS (RFC 6376 §3.6.1).
    package func record() throws(CryptoError) -> (name: String, text: String) {
        let data = Base64.encode(try self.key.publicBytes())
        return (
            "\(self.selector.ascii)._domainkey.\(self.domain.ascii)",
            "v=DKIM1; k=\(self.algorithm.keyType); p=\(data)"
        )
    }
}

extension PrivateKey {
    /// Reads a key file: PEM, or for Ed25519 the base64 of the 32 octets alone, which is how dkimpy writes it.
    package convenience init(keyFile bytes: [UInt8]) throws(CryptoError) {
        let text = String(decoding: bytes.filter { $0 > ASCII.space }, as: UTF8.self)
        if let seed = Base64.decode(text), seed.count == 32 {
            try self.init(ed25519: seed)
        } else {
            try self.init(pem: bytes)
        }
    }
}
