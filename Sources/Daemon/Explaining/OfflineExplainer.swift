import Mail
import NIOPosix
import Receiver
package import Resolver
import Rules

/// Explains by the files, without a daemon.
package struct OfflineExplainer {
    private let generation: Generation
    private let options: ResolverOptions

    /// - Parameter options: who is asked about names.
    package init(_ generation: Generation, _ options: ResolverOptions) {
        self.generation = generation
        self.options = options
    }

    /// Policy services are asked; recipients whom only the daemon knows are taken for known.
    package func explain(_ session: HypotheticalSession) async throws -> Explanation {
        let resolver = try UnboundResolver(self.options)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let policies = PolicyClient(group: group)
        let performer = LookupPerformer(
            names: resolver, policies: policies, services: self.generation.receiver.services,
            addresses: { _ in .known })
        let loop = group.next()
        let explanation = await Explainer(self.generation).explain(session) { await performer.answer($0, on: loop) }
        policies.close()
        await resolver.shutdown()
        try await group.shutdownGracefully()
        return explanation
    }
}
