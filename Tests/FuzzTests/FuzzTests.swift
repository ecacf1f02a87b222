import FuzzTargets
import Harness
import Testing

/// One after the other and on threads of their own: they take long, and tasks of other tests would wait for them.
@Suite(.serialized) struct FuzzTests {
    @Test(arguments: FuzzTarget.allCases)
    func `what fuzzing found stays as it should be`(target: FuzzTarget) async throws {
        try await onOwnThread {
            let corpus = try Corpus(of: target)
            #expect(!corpus.inputs.isEmpty, "no corpus of \(target)")
            for input in corpus.inputs { self.check(input, target, arriving: [.single, .random(seed: 1)]) }
        }
    }

    /// Whatever stands at the end of an input has a beginning that ends anywhere.
    @Test(arguments: FuzzTarget.allCases)
    func `inputs may end anywhere`(target: FuzzTarget) async throws {
        try await onOwnThread {
            for input in try Corpus(of: target).inputs where input.bytes.count <= 200 {
                for end in input.bytes.indices { self.check(input.prefix(end), target, arriving: []) }
            }
        }
    }

    @Test(arguments: FuzzTarget.allCases.filter(\.isStream))
    func `streams may be cut anywhere`(target: FuzzTarget) async throws {
        try await onOwnThread {
            for input in try Corpus(of: target).inputs where input.bytes.count <= 100 {
                self.check(input, target, arriving: input.bytes.indices.map { .cut(at: $0) })
            }
        }
    }

    /// A little fuzzing with every test run; the same each time, so that a failure can be looked into.
    @Test(arguments: FuzzTarget.allCases)
    func `mutations of the corpus change nothing about it`(target: FuzzTarget) async throws {
        try await onOwnThread {
            var mutator = Mutator(
                inputs: try Corpus(of: target).inputs.map(\.bytes), limit: target.maximumBytes, seed: 1)
            for number in 0..<1000 {
                let mutant = Corpus.Input(name: "mutant \(number)", bytes: mutator.next())
                self.check(mutant, target, arriving: [.random(seed: UInt64(number))])
            }
        }
    }

    private func check(_ input: Corpus.Input, _ target: FuzzTarget, arriving arrivals: [Arrival]) {
        do {
            try target.check(input.bytes, arriving: arrivals)
        } catch {
            Issue.record("\(target.rawValue), \(input.name): \(error)")
        }
    }
}
