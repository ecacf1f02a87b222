import NIOCore
import NIOEmbedded
import TLS
import Testing

struct HandshakeTests {
    static func certificate(_ name: String = "mx.example.com") throws -> TLSCertificate {
        try TLSCertificate(selfSigned: name, key: try TLSCertificate.generateKey())
    }

    static func options(_ names: String...) throws -> TLSServerOptions {
        TLSServerOptions(certificates: try names.map { try self.certificate($0) }, service: "smtp")
    }

    static let anybody = TLSClientRequest(serverName: "mx.example.com", verification: .none)

    @Test func `Both sides learn what they agreed on`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        try pair.run()
        let (client, server) = (try #require(pair.clientLog.session), try #require(pair.serverLog.session))
        #expect(client.version == .v1_3)
        #expect(server.version == .v1_3)
        #expect(server.cipher == "TLS_AES_256_GCM_SHA384")
        #expect((server.bits, server.keyBits) == (256, 256))
        #expect(server.serverName == "mx.example.com")
        #expect(server.peer == nil)
        #expect(client.peer?.subject == "mx.example.com")
        #expect(client.peer?.names == ["mx.example.com"])
        #expect(client.verdict == .notVerified)
    }

    @Test func `What is written before the handshake is done follows it, in order`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        pair.client.write(ByteBuffer(string: "EHLO "), promise: nil)
        let written = pair.client.writeAndFlush(ByteBuffer(string: "a\r\n"))
        pair.clientLog.onEstablished = { context in
            context.writeAndFlush(NIOAny(ByteBuffer(string: "NOOP\r\n")), promise: nil)
        }
        try pair.run()
        try written.wait()
        #expect(try Pair.text(in: pair.server) == "EHLO a\r\nNOOP\r\n")
    }

    @Test func `Large content goes through whole, in both directions`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        try pair.run()
        let large = String(repeating: "0123456789abcdef", count: 20_000)
        for (from, to) in [(pair.client, pair.server), (pair.server, pair.client)] {
            from.writeAndFlush(ByteBuffer(string: large), promise: nil)
            try pair.run()
            #expect(try Pair.text(in: to) == large)
        }
    }

    @Test func `The end that one side announces is the other's end of input, once`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        try pair.run()
        pair.client.writeAndFlush(ByteBuffer(string: "QUIT\r\n"), promise: nil)
        pair.client.close(promise: nil)
        try pair.run()
        #expect(try Pair.text(in: pair.server) == "QUIT\r\n")
        #expect(pair.serverLog.ends == 1)
        pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(pair.serverLog.ends == 1)
        #expect(pair.serverLog.errors.isEmpty)
    }

    @Test func `A client without TLS is no session, and the connection ends`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        pair.give(ByteBuffer(string: "EHLO client.example.com\r\n"), to: pair.server)
        #expect(pair.serverLog.errors.count == 1)
        #expect(pair.serverLog.session == nil)
        #expect(!pair.server.isActive)
    }

    @Test func `Handshakes that are cut off anywhere end in an error and not in a session`() throws {
        let options = try Self.options("mx.example.com")
        let whole = try Pair(options, Self.anybody)
        var sizes = [0, 0]
        while true {
            let fromClient = try whole.client.readOutbound(as: ByteBuffer.self)
            if let fromClient {
                sizes[0] += fromClient.readableBytes
                whole.give(fromClient, to: whole.server)
            }
            let fromServer = try whole.server.readOutbound(as: ByteBuffer.self)
            if let fromServer {
                sizes[1] += fromServer.readableBytes
                whole.give(fromServer, to: whole.client)
            }
            if fromClient == nil, fromServer == nil { break }
        }
        for limit in stride(from: 0, to: sizes[0], by: 7) {
            let pair = try Pair(options, Self.anybody)
            try Self.run(pair, clientBytes: limit)
            #expect(pair.serverLog.session == nil)
            pair.server.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            #expect(pair.serverLog.errors.count == 1)
            #expect(!pair.server.isActive)
        }
    }

    /// Carries only so many octets of the client.
    private static func run(_ pair: Pair, clientBytes limit: Int) throws {
        var left = limit
        var moved = true
        while moved {
            moved = false
            while var bytes = try pair.client.readOutbound(as: ByteBuffer.self) {
                let part = bytes.readSlice(length: min(left, bytes.readableBytes)) ?? ByteBuffer()
                left -= part.readableBytes
                guard part.readableBytes > 0 else { continue }
                moved = true
                pair.give(part, to: pair.server)
            }
            while let bytes = try pair.server.readOutbound(as: ByteBuffer.self) {
                moved = true
                pair.give(bytes, to: pair.client)
            }
        }
    }

    @Test func `Octets that are changed on the way break the connection`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        try pair.run()
        pair.client.writeAndFlush(ByteBuffer(string: "MAIL FROM:<>\r\n"), promise: nil)
        var bytes = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        let last = bytes.writerIndex - 1
        let octet = try #require(bytes.getInteger(at: last, as: UInt8.self))
        bytes.setInteger(octet ^ 1, at: last)
        pair.give(bytes, to: pair.server)
        #expect(pair.serverLog.errors.count == 1)
        #expect(try Pair.text(in: pair.server) == "")
    }

    @Test func `What comes behind the announced end is nobody's and takes no memory`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        try pair.run()
        pair.client.close(promise: nil)
        try pair.run()
        #expect(pair.serverLog.ends == 1)
        for _ in 0..<100 { pair.give(ByteBuffer(repeating: 0x17, count: 10_000), to: pair.server) }
        #expect(pair.serverLog.errors.isEmpty)
        #expect(pair.serverLog.ends == 1)
        #expect(try Pair.text(in: pair.server) == "")
    }

    @Test func `A client offers no key exchange whose group the server chooses`() throws {
        let pair = try Pair(Self.options("mx.example.com"), Self.anybody)
        var hello = try #require(try pair.client.readOutbound(as: ByteBuffer.self))
        // Heads of record and message, version, random; session ID; cipher suites (RFC 8446 §4.1.2, §5.1).
        hello.moveReaderIndex(forwardBy: 5 + 4 + 2 + 32)
        let session = hello.readInteger(as: UInt8.self) ?? 0
        hello.moveReaderIndex(forwardBy: Int(session))
        let bytes = hello.readInteger(as: UInt16.self) ?? 0
        let suites = (0..<bytes / 2).compactMap { _ in hello.readInteger(as: UInt16.self) }
        #expect(suites.contains(0x1302) && suites.contains(0xC02F))
        // TLS_DHE_RSA_… with AES-GCM, AES-CBC and ChaCha20.
        #expect(Set(suites).isDisjoint(with: [0x9E, 0x9F, 0x33, 0x39, 0x67, 0x6B, 0xCCAA]))
    }

    @Test func `Each name gets its certificate, and no name the first`() throws {
        let options = try Self.options("mx.example.com", "*.example.net", "other.example.org")
        for (asked, shown) in [
            ("mx.example.com", "mx.example.com"), ("a.example.net", "*.example.net"),
            ("Other.Example.org", "other.example.org"),
            ("a.b.example.net", "mx.example.com"), ("nobody.example", "mx.example.com"),
        ] {
            let pair = try Pair(options, TLSClientRequest(serverName: asked, verification: .none))
            try pair.run()
            #expect(pair.clientLog.session?.peer?.names == [shown])
        }
        let pair = try Pair(options, TLSClientRequest(serverName: nil, verification: .none))
        try pair.run()
        #expect(pair.clientLog.session?.peer?.names == ["mx.example.com"])
        #expect(pair.serverLog.session?.serverName == nil)
    }

    @Test func `A client's certificate is known, and worth nothing without an authority`() throws {
        var options = try Self.options("mx.example.com")
        options.asksForCertificate = true
        let certificate = try Self.certificate("client.example.com")
        let pair = try Pair(options, client: TLSClientOptions(certificate: certificate), Self.anybody)
        try pair.run()
        let session = try #require(pair.serverLog.session)
        #expect(session.peer?.subject == "client.example.com")
        #expect(session.peer?.fingerprint == certificate.fingerprint)
        #expect(session.peer?.publicKeyFingerprint == certificate.publicKeyFingerprint)
        guard case .failed(.untrusted) = session.verdict else {
            Issue.record("\(session.verdict)")
            return
        }
    }

    @Test func `A certificate of our own making says what it should, and keeps its key`() throws {
        let key = try TLSCertificate.generateKey()
        let first = try TLSCertificate(selfSigned: "mx.example.com", key: key)
        let second = try TLSCertificate(selfSigned: "mx.example.com", key: key)
        #expect(first.publicKeyFingerprint == second.publicKeyFingerprint)
        #expect(first.fingerprint != second.fingerprint)
        #expect(first.keyKind == .ecdsa)
        #expect(first.expires - first.begins == 3651 * 86_400)
        let long = "a-name-of-more-than-sixty-four-characters-is-no-reason-to-fail.example.com"
        #expect(try TLSCertificate(selfSigned: long, key: key).names == [long])
    }

    @Test func `Files that are no certificate, no key, or not of the same pair are refused`() throws {
        let key = try TLSCertificate.generateKey()
        #expect(throws: TLSError.self) { try TLSCertificate(chain: Array("nothing".utf8), key: key) }
        #expect(throws: TLSError.self) { try TLSCertificate(chain: key, key: key) }
        #expect(throws: TLSError.self) { try TLSCertificate(selfSigned: "mx.example.com", key: Array("x".utf8)) }
    }
}
