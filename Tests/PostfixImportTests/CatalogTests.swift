import PostfixImport
import Testing

struct ParameterCatalogTests {
    @Test func `every parameter of Postfix 3.7 is known, with its default`() {
        #expect(ParameterCatalog.names.count > 930)
        #expect(ParameterCatalog.defaultValue("maximal_queue_lifetime") == "5d")
        #expect(ParameterCatalog.defaultValue("relayhost") == "")
        #expect(ParameterCatalog.defaultValue("smtpd_hard_error_limit") == "${stress?{1}:{20}}")
        #expect(ParameterCatalog.defaultValue("requiretls_enable") == "*")
        #expect(ParameterCatalog.defaultValue("no_such_parameter") == nil)
    }

    @Test(arguments: [
        ("smtpd_recipent_limit", "smtpd_recipient_limit"), ("relay_domain", "relay_domains"),
        ("mesage_size_limit", "message_size_limit"),
    ])
    func `a wrong name is told what it resembles`(name: String, meant: String) {
        #expect(ParameterCatalog.resembling(name) == meant)
    }

    @Test func `transports and services have parameters of their own`() {
        #expect(ParameterCatalog.transport(of: "slow_destination_concurrency_limit")?.transport == "slow")
        #expect(ParameterCatalog.transport(of: "policyd_time_limit")?.transport == "policyd")
        #expect(ParameterCatalog.transport(of: "_time_limit") == nil)
    }

    /// Whatever is set, the result says what became of it, and can be read.
    @Test func `every parameter gets a status with a reason`() throws {
        let names = ParameterCatalog.names.filter { !["myhostname", "mydomain", "compatibility_level"].contains($0) }
        let main = names.sorted().map { "\($0) = zzz\n" }.joined()
        let setUp = try SetUp(main, hosts: "myhostname = mx.example.test\n", master: SetUp.screened)
        for parameter in setUp.report.parameters where parameter.status != .default {
            #expect(parameter.key != nil || parameter.why?.isEmpty == false, "\(parameter)")
        }
        _ = try setUp.checked()
    }
}
