import Mail
import Recipients
import Testing

/// The group `callout` of the configuration.
struct VerificationOptionTests {
    private let place = OptionPlace(line: 1, column: 1)

    private func map(_ entries: (String, OptionNode)...) -> OptionNode {
        OptionNode(.map(entries.map { (key: $0.0, place: self.place, value: $0.1) }), at: self.place)
    }

    private func text(_ text: String) -> OptionNode { OptionNode(.scalar(text), at: self.place) }

    @Test func `a group is read`() throws {
        let node = self.map(
            ("domains", self.map(("example.test", self.map(("unknown_while_down", self.text("accept_and_hold")))))),
            ("sender", self.text("null")), ("reject", self.text("550")), ("positive_expire", self.text("40d")))
        let options = try RecipientVerificationOptions(option: node)
        let domain = try #require(DomainName("example.test"))
        #expect(options.options(for: domain)?.unknownWhileDown == .acceptAndHold)
        #expect(options.sender == .null && options.reject == .permanent)
        #expect(options.policy.positiveExpire == .seconds(40 * 86_400))
        #expect(options.policy.negativeExpire == VerifyPolicy().negativeExpire)
    }

    @Test func `the defaults are those of the policy, and say so`() {
        #expect(RecipientVerificationOptions().policy == VerifyPolicy())
        #expect(RecipientVerificationOptions().sender.optionText == "double-bounce")
    }

    @Test func `a client waits as long as Postfix would let it, and less under stress`() {
        let patience = RecipientVerificationOptions().patience
        #expect(patience.limit(under: .normal) == .seconds(9))
        #expect(patience.limit(under: .stress) == .seconds(3))
    }

    @Test(arguments: [
        ("positive_expire", "1d"), ("negative_refresh", "4d"), ("connections", "0"), ("in_flight", "0"),
        ("sender", "nobody"), ("reject", "551"),
    ])
    func `values that make no sense are refused`(key: String, value: String) {
        #expect(throws: OptionError.self) {
            try RecipientVerificationOptions(option: self.map((key, self.text(value))))
        }
    }

    @Test(arguments: ["Example.test", "", "a b", "..", "user@example.test", "**"])
    func `what is no domain in lower case is refused`(name: String) {
        #expect(throws: OptionError.self) {
            try RecipientVerificationOptions(option: self.map(("domains", self.map((name, self.map())))))
        }
    }

    @Test(arguments: [
        (ProbeSender.doubleBounce, "double-bounce@mx2.example.test"), (.null, ""),
    ])
    func `probes have the sender that was chosen`(sender: ProbeSender, path: String) {
        #expect(sender.reversePath(hostname: "mx2.example.test").description == path)
    }
}

/// Lists of recipients from elsewhere.
struct RecipientListTests {
    @Test func `entries are folded, sorted, and told from what is none`() {
        let list = RecipientList(
            text:
                "B@Example.TEST\r\n\n# a comment\n  a@example.test\t\nb@example.test\n@Example.net\nnobody\n\"a b\"@x.test\n@\n"
        )
        #expect(list.keys == ["@example.net", "a@example.test", "b@example.test"])
        #expect(list.problems.map(\.place) == [7, 8, 9])
    }

    @Test func `no entry can become another line or a comment`() {
        let list = RecipientList(
            ["#x@example.test", "\"a\\\nb\"@x.test", "\"a\\\tb\"@x.test", "ok@x.test"].enumerated().map {
                (place: $0.offset + 1, text: $0.element)
            })
        #expect(list.keys == ["ok@x.test"])
        #expect(list.problems.count == 3)
    }
}
