package import Authentication
package import Resolver

/// What `postern spf` shows.
package struct SPFLookup {
    /// Every key is there, `null` where there is nothing to say.
    package struct Report: Encodable, Sendable {
        package let result: SPFResult

        private enum Key: String, CodingKey {
            case result, explanation, mechanism, lookups, voidLookups, questions, domain, identity, problem
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(self.result.result.rawValue, forKey: .result)
            try container.encode(self.result.explanation, forKey: .explanation)
            try container.encode(self.result.mechanism, forKey: .mechanism)
            try container.encode(self.result.lookups, forKey: .lookups)
            try container.encode(self.result.voidLookups, forKey: .voidLookups)
            try container.encode(self.result.questions, forKey: .questions)
            try container.encode(self.result.domain, forKey: .domain)
            try container.encode(self.result.identity.rawValue, forKey: .identity)
            try container.encode(self.result.why, forKey: .problem)
        }
    }

    private let options: ResolverOptions

    package init(_ options: ResolverOptions) {
        self.options = options
    }

    /// Checks the MAIL FROM identity, which for the null reverse-path is postmaster at the HELO name.
    package func report(_ check: SPFCheck, _ engine: SPFEngine) async throws -> Report {
        let result = try await NameSource.resolving(self.options) { names in
            await engine.check(check, identity: .mailFrom, names: names)
        }
        return Report(result: result)
    }
}
