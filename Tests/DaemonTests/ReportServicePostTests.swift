import Foundation
import HTTPS
import Harness
import Mail
import NIOCore
import NIOPosix
import Reports
import Synchronization
import TLS
import Testing
import ZoneFiles

@testable import Daemon

/// Reports posted to a server behind TLS.
struct ReportServicePostTests {
    private static let zones = """
        $ORIGIN example.
        @ SOA ns.example. admin.example. 1 1h 1h 1d 60
        @ NS ns.example.
        reports A 127.0.0.1
        other A 127.0.0.1

        """

    /// Takes one request on each connection, and answers when so many octets of body have come.
    private final class Server: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = ByteBuffer

        private let answer: String
        private let bodyBytes: Int
        private let heard: @Sendable (String) -> Void
        /// On the loop of its channel only.
        private var text = ""

        init(answer: String, bodyBytes: Int, heard: @escaping @Sendable (String) -> Void) {
            self.answer = answer
            self.bodyBytes = bodyBytes
            self.heard = heard
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            self.text += String(buffer: self.unwrapInboundIn(data))
            guard let end = self.text.range(of: "\r\n\r\n"), self.text[end.upperBound...].utf8.count == self.bodyBytes
            else { return }
            self.heard(self.text)
            let reply = ByteBuffer(string: "HTTP/1.1 \(self.answer)\r\nContent-Length: 0\r\n\r\n")
            context.writeAndFlush(NIOAny(reply), promise: nil)
        }
    }

    private func policies(
        _ folder: TemporaryFolder, trusting authority: CertificateAuthority, on loop: any EventLoop
    ) throws -> TransportPolicies {
        // Its file goes with it.
        let partners = try CertificateAuthority("Partners")
        defer { withExtendedLifetime(partners) {} }
        for name in ["rules", "state"] { try folder.make(folder: name) }
        try folder.write(
            "postern.yaml",
            """
            hostname: mx2.example.test
            rules: \(folder.path("rules"))
            state: \(folder.path("state"))
            forwarder: {tls: {authorities: \(partners.root)}}
            mta_sts: {allow_loopback: true, authorities: \(authority.root)}

            """)
        let generation = try Generation(file: folder.path("postern.yaml"), number: 1)
        return try TransportPolicies(
            first: generation, names: try ZoneService(Self.zones), loop: loop,
            clock: WallClock { Timestamp(seconds: 1_800_000_000) }, generation: { generation }, warn: { _ in })
    }

    /// What comes of a report to a URI below `https://` at the port of a server that answers so.
    private func post(to host: String, _ path: String, answer: String) async throws -> (String, Result<Void, any Error>)
    {
        let authority = try CertificateAuthority()
        let pair = try authority.certificate(for: "reports.example")
        let certificate = try TLSCertificate(
            chain: Array(try Data(contentsOf: URL(fileURLWithPath: pair.chain))),
            key: Array(try Data(contentsOf: URL(fileURLWithPath: pair.key))))
        let context = try TLSServerContext(TLSServerOptions(certificates: [certificate], service: "test"))
        let heard = Mutex("")
        let group = MultiThreadedEventLoopGroup.singleton
        let listener = try await ServerBootstrap(group: group).childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandlers([
                    TLSHandler(server: context),
                    Server(answer: answer, bodyBytes: 6) { text in heard.withLock { $0 = text } },
                ])
            }
        }.bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        let folder = try TemporaryFolder()
        let policies = try self.policies(folder, trusting: authority, on: group.next())
        defer { policies.close() }
        let result: Result<Void, any Error>
        do {
            let destination = try #require(HTTPSDestination("https://\(host):\(port)\(path)"))
            try await policies.post(destination, Array("report".utf8), "application/tlsrpt+gzip")
            result = .success(())
        } catch { result = .failure(error) }
        try await listener.close()
        return (heard.withLock { $0 }.replacing(":\(port)", with: ":PORT"), result)
    }

    @Test(arguments: ["200 OK", "204 No Content", "201 Created"])
    func `a report is posted whole, and any answer of success is one`(answer: String) async throws {
        let (heard, result) = try await self.post(to: "reports.example", "/v1/tls?a=b", answer: answer)
        #expect(throws: Never.self) { try result.get() }
        let lines = heard.split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(lines.first == "POST /v1/tls?a=b HTTP/1.1" && lines.last == "report", "\(heard)")
        let fields = Set(lines.map { $0.lowercased() })
        #expect(fields.contains("host: reports.example:port"), "\(heard)")
        #expect(fields.contains("content-type: application/tlsrpt+gzip"), "\(heard)")
        #expect(fields.contains("content-length: 6"), "\(heard)")
    }

    @Test(arguments: ["302 Found", "404 Not Found", "503 Busy"])
    func `any other answer is a failure, and nothing is followed`(answer: String) async throws {
        let (_, result) = try await self.post(to: "reports.example", "/", answer: answer)
        let error = #expect(throws: TransportPolicies.PostError.self) { try result.get() }
        #expect(error?.description == "the server answered \(answer.prefix(3))")
    }

    @Test func `nothing is sent to a server whose certificate is for another name`() async throws {
        let (heard, result) = try await self.post(to: "other.example", "/", answer: "200 OK")
        #expect(heard == "")
        #expect(throws: HTTPSError.self) { try result.get() }
    }

    @Test func `a host without addresses is a failure`() async throws {
        let (heard, result) = try await self.post(to: "none.example", "/", answer: "200 OK")
        #expect(heard == "")
        #expect(throws: HTTPSError.self) { try result.get() }
    }
}
