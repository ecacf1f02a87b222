internal import CSPF
internal import Glibc
internal import Polling

/// An `SPF_server_t` whose DNS is a closure. It belongs to one thread.
final class PolicyServer {
    typealias Lookup = (PolicyQuestion) -> PolicyAnswer

    private let server: UnsafeMutablePointer<SPF_server_t>
    /// What libspf2 knows of DNS; it points back to the source of this server.
    private let layer: UnsafeMutablePointer<SPF_dns_server_t>
    private let source: AnswerSource

    /// - Throws: if there is no memory for it.
    init() throws(SystemError) {
        spf_be_quiet()
        self.source = AnswerSource()
        self.layer = .allocate(capacity: 1)
        self.layer.initialize(to: SPF_dns_server_t())
        // Without `destroy` the layer stays ours.
        self.layer.pointee.destroy = nil
        self.layer.pointee.lookup = { layer, name, type, _ in
            guard let layer, let name, let hook = layer.pointee.hook else { return nil }
            let source = Unmanaged<AnswerSource>.fromOpaque(hook).takeUnretainedValue()
            return source.reply(layer, name, type)
        }
        self.layer.pointee.hook = Unmanaged.passUnretained(self.source).toOpaque()
        guard let server = SPF_server_new_dns(self.layer, 0) else {
            self.layer.deallocate()
            throw SystemError(call: "SPF_server_new_dns", code: ENOMEM)
        }
        self.server = server
        // It counts the terms of one record and what redirect leads to, not what that includes: PolicyLimits are for that.
        SPF_server_set_max_dns_mech(server, 1000)
    }

    deinit {
        SPF_server_free(self.server)
        self.layer.deallocate()
    }

    /// Evaluates the policy of a name for a client; blocks while the closure does.
    func evaluate(_ name: String, _ client: PolicyClient, _ limits: PolicyLimits, _ lookup: @escaping Lookup)
        -> PolicyVerdict
    {
        self.source.begin(limits, lookup)
        defer { self.source.end() }
        let failed = PolicyVerdict(result: .temporaryError, isDefault: false, code: Int(SPF_E_NO_MEMORY.rawValue))
        guard let request = SPF_request_new(self.server) else { return failed }
        defer { SPF_request_free(request) }
        switch client {
        case .v4(let value): SPF_request_set_ipv4(request, in_addr(s_addr: value.bigEndian))
        case .v6(let octets):
            var address = in6_addr()
            withUnsafeMutableBytes(of: &address) { $0.copyBytes(from: octets.prefix($0.count)) }
            SPF_request_set_ipv6(request, address)
        }
        SPF_request_set_helo_dom(request, name)
        SPF_request_set_env_from(request, "x@\(name)")
        var response: Response?
        let code = SPF_request_query_mailfrom(request, &response)
        guard let response else { return failed }
        defer { SPF_response_free(response) }
        return PolicyVerdict(response, code)
    }
}

private typealias Response = UnsafeMutablePointer<SPF_response_t>

extension PolicyVerdict {
    /// - Parameter code: what the query returned; the response does not always have it.
    fileprivate init(_ response: Response, _ code: SPF_errcode_t) {
        let result: Result
        switch (SPF_response_result(response), code) {
        // For names that could not be looked up it also says that the policy is wrong.
        case (_, SPF_E_DNS_ERROR), (_, SPF_E_NO_MEMORY): result = .temporaryError
        case (SPF_RESULT_NEUTRAL, _): result = .neutral
        case (SPF_RESULT_PASS, _): result = .pass
        case (SPF_RESULT_FAIL, _): result = .fail
        case (SPF_RESULT_SOFTFAIL, _): result = .softfail
        case (SPF_RESULT_NONE, _): result = .none
        case (SPF_RESULT_TEMPERROR, _): result = .temporaryError
        // It is left unset where there was no record, or one that could not be read.
        case (_, SPF_E_NOT_SPF) where SPF_response_result(response) == SPF_RESULT_INVALID: result = .none
        default: result = .permanentError
        }
        self.init(
            result: result, isDefault: SPF_response_reason(response) == SPF_REASON_DEFAULT, code: Int(code.rawValue))
    }
}
