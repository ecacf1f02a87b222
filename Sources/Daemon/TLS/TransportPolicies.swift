import Forwarder
import HTTPS
import MTASTS
import Mail
import NIOCore
import Reports
import Resolver
import TLS

/// What is got from other people's web servers, and brought there: policies for mail, and reports.
final class TransportPolicies: Sendable {
    private let service: STSService
    private let names: any NameService
    private let loop: any EventLoop
    private let generation: @Sendable () -> Generation

    /// - Parameters:
    ///   - first: whose settings last until a restart.
    ///   - generation: the one in force.
    init(
        first: Generation, names: any NameService, loop: any EventLoop, clock: WallClock,
        generation: @escaping @Sendable () -> Generation, warn: @escaping @Sendable (String) -> Void
    ) throws {
        let folder = first.configuration.state + "/mta-sts"
        try FolderMaker.make(folder)
        var settings = STSCache.usualSettings
        settings.entries = first.configuration.mtaSTS.entries
        let cache = try STSCache(folder: folder, settings: settings, clock: clock, complain: warn)
        self.names = names
        self.loop = loop
        self.generation = generation
        self.service = STSService(
            cache: cache, names: names, loop: loop, options: first.configuration.mtaSTS, clock: clock, log: warn,
            fetch: Self.fetch(first, names))
    }

    func use(_ generation: Generation) {
        self.service.use(generation.configuration.mtaSTS, fetch: Self.fetch(generation, self.names))
    }

    /// After the last connection.
    func close() { self.service.close() }

    var lookup: PolicyLookup { { [service] in service.finding(of: $0) } }

    private static func fetch(_ generation: Generation, _ names: any NameService) -> STSService.Fetch {
        Self.fetch(generation.configuration.mtaSTS, generation.forwarder.contexts, names)
    }

    static func fetch(_ options: STSOptions, _ contexts: TLSContexts, _ names: any NameService) -> STSService.Fetch {
        { domain, loop in
            do throws(TLSError) {
                let client = HTTPSClient(context: try contexts.context(.v1_2, .web))
                return STSFetcher(client: client, names: names, options: options).fetch(domain, on: loop)
            } catch {
                return loop.makeFailedFuture(STSFault(.stsPolicyFetchError, "\(error)"))
            }
        }
    }

    /// How long a report may take that is posted.
    private static let postLimit = Duration.seconds(60)

    struct PostError: Error, CustomStringConvertible {
        let description: String
    }

    /// Posts a report.
    func post(_ destination: HTTPSDestination, _ body: [UInt8], _ contentType: String) async throws {
        let generation = self.generation()
        let addresses = ServerAddresses(
            names: self.names, allowsLoopback: generation.configuration.mtaSTS.allowLoopback)
        let found = try await addresses.find(destination.server.host, on: self.loop).get()
        var request = HTTPSRequest(
            .post(contentType: contentType, body: body), host: destination.server.host, path: destination.target,
            addresses: found.map(\.description), timeout: Self.postLimit)
        request.port = destination.server.port
        let client = HTTPSClient(context: try generation.forwarder.contexts.context(.v1_2, .web))
        let response = try await client.send(request, on: self.loop).get()
        guard response.isSuccess else { throw PostError(description: "the server answered \(response.status)") }
    }

    var status: StatusReport.Policies {
        let statistics = self.service.statistics
        return StatusReport.Policies(
            kept: statistics.entries + statistics.waiting, fetched: statistics.fetched, failed: statistics.failed)
    }
}
