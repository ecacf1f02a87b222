internal import CSPF
internal import Glibc

/// Answers libspf2 out of a closure, and keeps to the limits of an evaluation.
final class AnswerSource {
    private var lookup: PolicyServer.Lookup?
    private var limits = PolicyLimits()
    private var questions = 0
    private var deadline: UInt64 = 0

    func begin(_ limits: PolicyLimits, _ lookup: @escaping PolicyServer.Lookup) {
        self.limits = limits
        self.lookup = lookup
        self.questions = 0
        let (seconds, attoseconds) = limits.time.components
        self.deadline =
            Self.now &+ UInt64(clamping: seconds) &* 1_000_000_000
            &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }

    /// Nanoseconds of a clock that nobody sets.
    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    func end() { self.lookup = nil }

    /// Never nil but where there is no memory, on which libspf2 ends the process.
    func reply(
        _ layer: UnsafeMutablePointer<SPF_dns_server_t>, _ name: UnsafePointer<CChar>, _ type: ns_type
    ) -> UnsafeMutablePointer<SPF_dns_rr_t>? {
        let answer = self.answer(String(cString: name), Int(spf_type_number(type)))
        guard let reply = SPF_dns_rr_new_init(layer, name, type, 0, Self.status(answer)) else { return nil }
        switch answer {
        case .v4(let addresses):
            for address in addresses {
                Self.append(withUnsafeBytes(of: address.bigEndian) { Array($0) }, to: reply)
            }
        case .v6(let addresses): for octets in addresses where octets.count == 16 { Self.append(octets, to: reply) }
        // What is a string in C ends at the first NUL; none of ours has one.
        case .names(let names): for name in names { Self.append(Array(name.utf8) + [0], to: reply) }
        case .texts(let texts): for text in texts { Self.append(text + [0], to: reply) }
        case .noSuchName, .noRecords, .failed: break
        }
        return reply
    }

    private func answer(_ name: String, _ type: Int) -> PolicyAnswer {
        guard let kind = Self.kind(of: type), let lookup = self.lookup else { return .noRecords }
        guard self.questions < self.limits.questions, Self.now < self.deadline else { return .failed }
        self.questions += 1
        let answer = lookup(PolicyQuestion(name: name, kind: kind))
        switch (answer, kind) {
        case (.v4(let list), .a): return list.isEmpty ? .noRecords : .v4(Array(list.prefix(self.limits.records)))
        case (.v6(let list), .aaaa): return list.isEmpty ? .noRecords : .v6(Array(list.prefix(self.limits.records)))
        case (.names(let list), .mx), (.names(let list), .ptr):
            return list.isEmpty ? .noRecords : .names(Array(list.prefix(self.limits.records)))
        case (.texts(let list), .txt):
            guard list.allSatisfy({ $0.count <= self.limits.textBytes }) else { return .failed }
            return list.isEmpty ? .noRecords : .texts(Array(list.prefix(self.limits.records)))
        case (.noSuchName, _), (.noRecords, _), (.failed, _): return answer
        // Records of another type than was asked for.
        case (.v4, _), (.v6, _), (.names, _), (.texts, _): return .noRecords
        }
    }

    /// Nil for types that nobody has, such as SPF.
    private static func kind(of type: Int) -> PolicyQuestion.Kind? {
        switch type {
        case spf_type_a: .a
        case spf_type_aaaa: .aaaa
        case spf_type_mx: .mx
        case spf_type_ptr: .ptr
        case spf_type_txt: .txt
        default: nil
        }
    }

    private static func status(_ answer: PolicyAnswer) -> SPF_dns_stat_t {
        switch answer {
        case .v4, .v6, .names, .texts: NETDB_SUCCESS
        case .noSuchName: HOST_NOT_FOUND
        case .noRecords: NO_DATA
        case .failed: TRY_AGAIN
        }
    }

    private static func append(_ octets: [UInt8], to reply: UnsafeMutablePointer<SPF_dns_rr_t>) {
        let index = reply.pointee.num_rr
        guard SPF_dns_rr_buf_realloc(reply, index, octets.count) == SPF_E_SUCCESS,
            let target = spf_record_octets(reply, index)
        else { return }
        target.copyMemory(from: octets, byteCount: octets.count)
        reply.pointee.num_rr = index + 1
    }
}
