internal import CPCRE2
internal import Synchronization

/// What matching needs besides the pattern: limits, a stack, and room for what is captured.
///
/// One thread uses it at a time: ``use(_:)`` lends one, and there are never more than threads that match at once.
// Sendable: the pool hands each to one borrower, and PCRE2 keeps nothing of it per thread.
package final class Workspace: @unchecked Sendable {
    /// Steps from one place of the subject: with compiled code about 0.3 ms.
    private static let matchLimit: UInt32 = 100_000
    /// For patterns that are interpreted: their nesting, and their memory in KiB.
    private static let depthLimit: UInt32 = 100_000
    private static let heapLimit: UInt32 = 16 << 10
    /// In octets, for compiled code.
    private static let stackBytes = (first: 32 << 10, most: 1 << 20)

    private static let idle = Mutex<[Workspace]>([])

    let context: OpaquePointer?
    private let stack: OpaquePointer?
    private(set) var data: OpaquePointer?
    /// Captures that there is room for; the whole match is one more.
    private var room = 31

    /// When there is no memory every match is undecided, which is what the library says of missing data.
    private init() {
        self.context = pcre2_match_context_create_8(nil)
        self.stack = pcre2_jit_stack_create_8(Self.stackBytes.first, Self.stackBytes.most, nil)
        self.data = pcre2_match_data_create_8(UInt32(self.room + 1), nil)
        guard let context else { return }
        pcre2_set_match_limit_8(context, Self.matchLimit)
        pcre2_set_depth_limit_8(context, Self.depthLimit)
        pcre2_set_heap_limit_8(context, Self.heapLimit)
        pcre2_jit_stack_assign_8(context, nil, self.stack.map(UnsafeMutableRawPointer.init))
    }

    deinit {
        pcre2_match_data_free_8(self.data)
        pcre2_jit_stack_free_8(self.stack)
        pcre2_match_context_free_8(self.context)
    }

    /// Lends a workspace for as long as the closure runs.
    package static func use<Result>(_ body: (Workspace) -> Result) -> Result {
        let workspace = Self.idle.withLock { $0.popLast() } ?? Workspace()
        defer { Self.idle.withLock { $0.append(workspace) } }
        return body(workspace)
    }

    func reserve(captures: Int) {
        guard captures > self.room else { return }
        pcre2_match_data_free_8(self.data)
        self.data = pcre2_match_data_create_8(UInt32(captures + 1), nil)
        self.room = captures
    }

    /// Where a group of the pattern that matched last stands in the subject, 0 for the whole; nil if the group took
    /// no part.
    package func capture(_ number: Int) -> Range<Int>? {
        guard let data, number >= 0, number < Int(pcre2_get_ovector_count_8(data)),
            let offsets = pcre2_get_ovector_pointer_8(data)
        else { return nil }
        // Without a part it is PCRE2_UNSET, twice the largest number.
        let (start, end) = (offsets[2 * number], offsets[2 * number + 1])
        return start >= 0 && start <= end && end != Int(bitPattern: UInt.max) ? start..<end : nil
    }
}
