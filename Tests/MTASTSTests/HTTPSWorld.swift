import HTTPS
import Harness
import MTASTS
import NIOCore
import NIOPosix
import TLS
import ZoneFiles

/// A server of policies, its authority, and a client that trusts it.
struct HTTPSWorld {
    let authority: CertificateAuthority
    let server: HTTPSServer
    let client: HTTPSClient
    let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()

    /// - Parameter hosts: made with the authority.
    init(_ hosts: (CertificateAuthority) throws -> [String: HTTPSServer.Host]) throws {
        self.authority = try CertificateAuthority()
        self.server = try HTTPSServer(hosts(self.authority))
        self.client = HTTPSClient(context: try TLSClientContext(TLSClientOptions(authorities: self.authority.root)))
    }

    func request(_ method: HTTPSRequest.Method = .get, _ host: String = "a.test") -> HTTPSRequest {
        var request = HTTPSRequest(
            method, host: host, path: "/x?y=z", addresses: ["127.0.0.1"], timeout: .seconds(30))
        request.port = self.server.port
        request.limitBytes = 1000
        return request
    }

    func send(_ request: HTTPSRequest) async -> Result<HTTPSResponse, HTTPSError> {
        do { return .success(try await self.client.send(request, on: self.loop).get()) } catch {
            return .failure(error as? HTTPSError ?? .malformed("not an HTTPSError: \(error)"))
        }
    }
}
