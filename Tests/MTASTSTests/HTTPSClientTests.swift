import HTTPS
import Harness
import TLS
import Testing

struct HTTPSClientTests {
    private static let text = HTTPSServer.response("hello")

    /// A world in which `a.test` answers so.
    private func world(
        _ response: String, then: HTTPSServer.Then = .close, inPieces: Bool = false
    ) throws -> HTTPSWorld {
        try HTTPSWorld { authority in
            ["a.test": .init(try authority.certificate(for: "a.test"), response, then: then, inPieces: inPieces)]
        }
    }

    private func answer(
        _ response: String, then: HTTPSServer.Then = .close, inPieces: Bool = false
    ) async throws -> Result<HTTPSResponse, HTTPSError> {
        let world = try self.world(response, then: then, inPieces: inPieces)
        return await world.send(world.request())
    }

    @Test func `GET asks for what it should, once`() async throws {
        let world = try self.world(Self.text)
        let response = try await world.send(world.request()).get()
        #expect(response.status == 200 && response.body == Array("hello".utf8) && response.mediaType == "text/plain")
        let request = try #require(world.server.requests.first)
        #expect(request.method == "GET" && request.path == "/x?y=z" && world.server.requests.count == 1)
        #expect(request.header["host"] == "a.test:\(world.server.port)" && request.header["connection"] == "close")
        #expect(request.header["content-length"] == nil && request.header["authorization"] == nil)
    }

    @Test(arguments: [201, 302, 500])
    func `POST sends a body, and is told the status, at once`(status: Int) async throws {
        let world = try self.world("HTTP/1.1 \(status) X\r\nLocation: /\r\n\r\n", then: .silence)
        let body = String(repeating: "0123456789", count: 20_000)
        let request = world.request(.post(contentType: "application/tlsrpt+gzip", body: Array(body.utf8)))
        let response = try await world.send(request).get()
        #expect(response.status == status && response.body.isEmpty && response.isSuccess == (status == 201))
        let sent = try #require(world.server.requests.first)
        #expect(sent.method == "POST" && sent.body == body && world.server.requests.count == 1)
        #expect(sent.header["content-type"] == "application/tlsrpt+gzip")
    }

    @Test(arguments: [false, true])
    func `Answers may come with a length or in chunks, and in pieces`(inPieces: Bool) async throws {
        let chunked =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"
        for text in [Self.text, chunked] {
            #expect(try await self.answer(text, inPieces: inPieces).get().body == Array("hello".utf8))
        }
    }

    @Test func `Redirections are not followed`() async throws {
        let world = try self.world(HTTPSServer.response("", status: "301 Moved", extra: "Location: /other\r\n"))
        #expect(try await world.send(world.request()).get().status == 301)
        #expect(world.server.requests.count == 1)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + String(repeating: "x", count: 1001),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + String(repeating: "100\r\n\(String(repeating: "x", count: 256))\r\n", count: 4),
        "HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 20_000))",
        "HTTP/1.1 200 OK\r\n" + (0..<200).map { "X\($0): y\r\n" }.joined(),
    ])
    func `Answers that are too large are not taken`(response: String) async throws {
        // Silence: it is noticed without the end.
        #expect(try await self.answer(response, then: .silence) == .failure(.tooLarge))
    }

    @Test(arguments: [
        "HTTP/1.1 100 Continue\r\n\r\n", "X", "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n", "\r\n",
    ])
    func `Answers without end come to one`(response: String) async throws {
        let answer = try await self.answer(response, then: .endless)
        #expect(throws: HTTPSError.self) { try answer.get() }
        #expect(answer != .failure(.timeout))
    }

    @Test func `Chunks with extensions without end are not taken`() async throws {
        let world = try self.world(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;\(String(repeating: "x", count: 100_000))",
            then: .silence)
        #expect(await world.send(world.request()) == .failure(.tooLarge))
    }

    @Test(
        arguments: [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Le", "",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ], [HTTPSServer.Then.close, .cut])
    func `An answer that is cut off is none`(response: String, then: HTTPSServer.Then) async throws {
        guard case .failure(.unreachable) = try await self.answer(response, then: then) else {
            Issue.record("taken")
            return
        }
    }

    @Test func `A body that ends with the connection is none`() async throws {
        let answer = try await self.answer("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello")
        #expect(answer == .failure(.malformed("a body without length")))
    }

    @Test(arguments: ["SSH-2.0-x\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
    func `What is not HTTP is refused`(response: String) async throws {
        guard case .failure(.malformed) = try await self.answer(response) else {
            Issue.record("taken")
            return
        }
    }

    @Test func `The certificate must be for the host, and of somebody who is trusted`() async throws {
        let folder = try TemporaryFolder()
        let world = try HTTPSWorld { authority in
            [
                "expired.test": .init(try authority.certificate(for: "expired.test", validity: .expired), Self.text),
                "wrong.test": .init(try authority.certificate(for: "other.test", commonName: "wrong.test"), Self.text),
                "self.test": .init(try CertificateAuthority.selfSigned("self.test", in: folder), Self.text),
                "wild.a.test": .init(try authority.certificate(for: "*.a.test", key: .rsa), Self.text),
            ]
        }
        for host in ["expired.test", "wrong.test", "self.test"] {
            guard case .failure(.untrusted) = await world.send(world.request(.get, host)) else {
                Issue.record("\(host) is trusted")
                continue
            }
            #expect(world.server.requests.isEmpty, "asked before the certificate was looked at")
        }
        #expect(try await world.send(world.request(.get, "wild.a.test")).get().status == 200)
        var request = world.request(.get, "self.test")
        request.trust = .anyone
        #expect(try await world.send(request).get().status == 200)
    }

    @Test func `Old TLS is refused`() async throws {
        let world = try HTTPSWorld { authority in
            ["a.test": .init(try authority.certificate(for: "a.test"), Self.text, version: "TLSv1_1")]
        }
        guard case .failure(.unreachable(let why)) = await world.send(world.request()) else {
            Issue.record("taken")
            return
        }
        #expect(why.hasPrefix("TLS: "))
    }

    @Test func `The next address is tried if there is no connection to one`() async throws {
        let world = try self.world(Self.text)
        var request = world.request()
        // Nobody listens there on this port; and no name is ever looked up.
        request.addresses = ["localhost", "127.0.0.77", "127.0.0.1"]
        #expect(try await world.send(request).get().status == 200)
        request.addresses = ["127.0.0.77"]
        #expect(await world.send(request) == .failure(.unreachable("127.0.0.77: Connection refused")))
        request.addresses = []
        #expect(await world.send(request) == .failure(.unreachable("no address")))
    }

    @Test func `A server that is silent is not waited for longer than allowed`() async throws {
        let world = try self.world("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", then: .silence)
        var request = world.request()
        request.timeout = .milliseconds(200)
        #expect(await world.send(request) == .failure(.timeout))
        // Not even a handshake.
        let listener = try ListeningSocket(.free())
        request.port = listener.address.port
        #expect(await world.send(request) == .failure(.timeout))
    }

    @Test(arguments: [
        ("a.test", "x"), ("a.test", ""), ("a.test", "/ HTTP/1.1\r\nX: y"), ("a.test", "/a b"), ("a.test", "/ü"),
        ("a.test\r\nX: y", "/"), ("", "/"),
    ])
    func `Nothing can be put into a request`(host: String, path: String) async throws {
        let world = try self.world(Self.text)
        var request = HTTPSRequest(.get, host: host, path: path, addresses: ["127.0.0.1"], timeout: .seconds(30))
        request.port = world.server.port
        request.trust = .anyone
        #expect(await world.send(request) == .failure(.unreachable("host or path cannot be written")))
    }
}
