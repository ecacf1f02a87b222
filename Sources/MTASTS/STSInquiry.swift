package import NIOCore
package import Resolver

/// Asks for a domain's policy as if nothing were known of it: for those who look after servers. Mail goes by
/// ``STSService``, which remembers.
package struct STSInquiry: Sendable {
    private let names: any NameService
    private let loop: any EventLoop
    private let fetch: STSService.Fetch

    package init(names: any NameService, loop: any EventLoop, fetch: @escaping STSService.Fetch) {
        self.names = names
        self.loop = loop
        self.fetch = fetch
    }

    package struct Answer: Hashable, Sendable {
        /// What it would be without memory; a policy of mode `none` is one here.
        package let finding: STSFinding
        /// What is wrong with what stands in DNS; it counts as nothing.
        package let problem: String?

        package init(_ finding: STSFinding, problem: String? = nil) {
            self.finding = finding
            self.problem = problem
        }
    }

    /// - Returns: on the loop of this inquiry; never fails.
    package func ask(_ domain: String) -> EventLoopFuture<Answer> {
        guard let owner = DNSName("_mta-sts.\(domain)") else { return self.loop.makeSucceededFuture(Answer(.none)) }
        let result = self.loop.makePromise(of: DNSResult.self)
        self.names.resolve(DNSQuestion(owner, .txt), on: self.loop) { result.succeed($0) }
        return result.futureResult.flatMap { result in
            if let answer = Self.answer(without: result, owner) { return self.loop.makeSucceededFuture(answer) }
            return self.fetch(domain, self.loop).hop(to: self.loop)
                .map { Answer(.policy($0, fault: nil)) }
                .flatMapErrorThrowing { error in
                    Answer(.unavailable(error as? STSFault ?? STSFault(.stsPolicyFetchError, "\(error)")))
                }
        }
    }

    /// Nil where there is a record that says that there is a policy.
    private static func answer(without result: DNSResult, _ owner: DNSName) -> Answer? {
        switch result {
        case .success(let answer):
            let texts = answer.records.compactMap { record in
                if case .txt(let strings) = record { strings } else { nil }
            }
            guard STSRecord.find(in: texts) == nil else { return nil }
            let isMeant = texts.contains { $0.joined().starts(with: "v=STSv1".utf8) }
            return Answer(.none, problem: isMeant ? "\(owner) has no valid record, or several" : nil)
        case .failure(let failure) where failure.negative != nil: return Answer(.none)
        case .failure(let failure): return Answer(.none, problem: "\(owner) cannot be looked up: \(failure)")
        }
    }
}
