import FuzzTargets
import Glibc

/// The target that `POSTERN_FUZZ_TARGET` names.
private let target: FuzzTarget = {
    let name = getenv("POSTERN_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else { fatalError("POSTERN_FUZZ_TARGET names no target: \(name)") }
    return target
}()

/// What libFuzzer calls with each input. A property that does not hold is a crash to it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do { try target.check(Array(UnsafeBufferPointer(start: start, count: count))) } catch {
        fatalError("\(target.rawValue): \(error)")
    }
    return 0
}
