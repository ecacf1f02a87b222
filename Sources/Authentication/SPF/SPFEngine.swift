import LibSPF2

/// Who evaluates policies: our own code, or libspf2 behind it.
package struct SPFEngine: Sendable {
    private let pool: PolicyPool?
    private let patience: Duration

    package static let postern = SPFEngine(pool: nil, patience: .zero)

    /// libspf2, on so many threads. They live until ``close()``.
    ///
    /// - Parameter patience: how long a check waits for a thread before it is `temperror`.
    /// - Throws: if there can be no threads.
    package static func libspf2(threads: Int = 4, patience: Duration = .seconds(10)) throws -> SPFEngine {
        SPFEngine(pool: try PolicyPool(threads: threads), patience: patience)
    }

    package func check(_ check: SPFCheck, identity: SPFCheck.Identity, names: NameSource) async -> SPFResult {
        guard let pool = self.pool else { return await check.check(identity: identity, names: names) }
        return await LibSPF2Check(pool, patience: self.patience).check(check, identity: identity, names: names)
    }

    /// Ends the threads, if there are any. What still waits becomes `temperror`.
    package func close() { self.pool?.close() }
}
