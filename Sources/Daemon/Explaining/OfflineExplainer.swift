import Authentication
import Mail
import NIOCore
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
        let loop = group.next()
        let performer = LookupPerformer(
            names: resolver, policies: policies, services: self.generation.receiver.services,
            addresses: { _ in .known }, judge: { await self.judgement(of: $0, resolver, on: loop) })
        let explanation = await Explainer(self.generation).explain(session) { await performer.answer($0, on: loop) }
        policies.close()
        await resolver.shutdown()
        try await group.shutdownGracefully()
        return explanation
    }

    /// Whom greylisting knows is known to the daemon only.
    private func judgement(of lookup: Lookup, _ names: any NameService, on loop: any EventLoop) async -> Judgement {
        guard case .spf(let question) = lookup else { return .notAsked }
        return await Explainer(self.generation).judgement(on: question, names: NameSource(names, on: loop))
    }
}
