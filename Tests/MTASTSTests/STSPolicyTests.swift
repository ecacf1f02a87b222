import MTASTS
import Testing

struct STSPolicyTests {
    @Test(arguments: [
        ("mail.example.com", true), ("MAIL.example.com.", true), ("a.example.net", true), ("a.b.example.net", false),
        ("example.net", false), (".example.net", false), ("other.example.com", false),
    ])
    func `A pattern stands for itself, or with an asterisk for one label more`(host: String, isAllowed: Bool) {
        let policy = STSPolicy(
            mode: .enforce, mxPatterns: ["mail.example.com", "*.example.net"], maximumAge: .seconds(86_400))
        #expect(policy.allows(host) == isAllowed)
    }
}
