package import Authentication
import NIOPosix
import Receiver
package import Resolver

extension NameSource {
    /// Names for a command: from a resolver that lives until the work is done.
    package static func resolving<Result: Sendable>(
        _ options: ResolverOptions, _ work: @Sendable (NameSource) async -> Result
    ) async throws -> Result {
        let resolver = try UnboundResolver(options)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let result = await work(NameSource(resolver, on: group.next()))
        await resolver.shutdown()
        try await group.shutdownGracefully()
        return result
    }
}
