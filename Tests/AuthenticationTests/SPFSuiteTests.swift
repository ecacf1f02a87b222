import Authentication
import Testing

struct SPFSuiteTests {
    @Test(.enabled(if: SPFSuite.isPresent, "the corpus is not beside this checkout"))
    func `The engine is right in every case of the suite`() async throws {
        let cases = try SPFSuite.cases()
        #expect(cases.count == 101)
        for test in cases {
            let result = await test.check.check(identity: .mailFrom, names: test.zone.source)
            let fault = test.fault(of: result)
            #expect(fault == nil)
        }
    }

    @Test(.enabled(if: SPFSuite.isPresent, "the corpus is not beside this checkout"))
    func `libspf2 behind our parser is right in every case of the suite, too`() async throws {
        let engine = try SPFEngine.libspf2(threads: 2)
        var faults: [String] = []
        for test in try SPFSuite.cases() {
            let result = await engine.check(test.check, identity: .mailFrom, names: test.zone.source)
            if let fault = test.fault(of: result) { faults.append(fault) }
        }
        engine.close()
        #expect(faults.isEmpty, "\(faults)")
    }
}
