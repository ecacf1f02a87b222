import Authentication
import Mail
import Testing

struct TrustedSealerTests {
    /// The newest last, each as sealer and results.
    private static func override(
        _ sets: (String, String)..., trusted: Set<String> = ["list.example"], unsigned: Set<Int> = []
    ) throws -> Int? {
        let chain = try sets.enumerated().map { index, set in
            SealedResults(
                instance: index + 1, sealer: try #require(DomainName(set.0)),
                results: Array("i=\(index + 1); mx.\(set.0); \(set.1)".utf8), signsFrom: !unsigned.contains(index + 1))
        }
        let author = try #require(DomainName("author.example"))
        let names = Set(try trusted.map { try #require(DomainName($0)) })
        return TrustedSealer(chain.reversed(), trusted: names, author: author) { $0.isWithin(author) }?.instance
    }

    private static let pass = "dmarc=pass (p=REJECT) header.from=author.example"
    private static let fail = "dmarc=fail header.from=author.example"

    @Test func `a trusted sealer's word counts, nobody else's does`() throws {
        #expect(try Self.override(("list.example", Self.pass)) == 1)
        #expect(try Self.override(("LIST.example", Self.pass)) == 1)
        #expect(try Self.override(("other.example", Self.pass)) == nil)
        #expect(try Self.override(("sub.list.example", Self.pass)) == nil)
        #expect(try Self.override(("list.example", Self.fail)) == nil)
        #expect(try Self.override(("list.example", Self.pass), trusted: []) == nil)
        #expect(try Self.override() == nil)
    }

    @Test func `the oldest of the trusted run counts`() throws {
        let both: Set = ["list.example", "forwarder.example"]
        #expect(try Self.override(("list.example", Self.pass), ("forwarder.example", Self.fail), trusted: both) == 1)
        #expect(try Self.override(("list.example", Self.fail), ("forwarder.example", Self.pass), trusted: both) == nil)
        // Below a sealer who is not trusted, nothing counts, whoever is said to have sealed it.
        #expect(try Self.override(("list.example", Self.pass), ("attacker.example", Self.pass)) == nil)
        #expect(try Self.override(("attacker.example", Self.pass), ("list.example", Self.pass)) == 2)
        #expect(try Self.override(("attacker.example", Self.pass), ("list.example", Self.fail)) == nil)
        #expect(
            try Self.override(
                ("list.example", Self.pass), ("attacker.example", Self.pass), ("list.example", Self.fail)) == nil)
    }

    /// Whoever had the message after that set may have put another author in.
    @Test func `a set that does not sign From ends the run`() throws {
        let both: Set = ["list.example", "forwarder.example"]
        #expect(try Self.override(("list.example", Self.pass), unsigned: [1]) == nil)
        #expect(
            try Self.override(
                ("list.example", Self.pass), ("forwarder.example", Self.fail), trusted: both, unsigned: [1]) == nil)
        #expect(
            try Self.override(
                ("list.example", Self.pass), ("forwarder.example", Self.pass), trusted: both, unsigned: [1]) == 2)
        #expect(
            try Self.override(
                ("list.example", Self.pass), ("forwarder.example", Self.pass), trusted: both, unsigned: [2]) == nil)
    }

    @Test(arguments: [
        ("dmarc=pass header.from=other.example", false), ("dmarc=pass header.from=a@author.example", true),
        ("dmarc=pass header.from=author.example; dmarc=fail", false), ("dmarc=temperror; spf=pass", false),
        ("dmarc=pass", false), ("dmarc=pass header.from=\"\"", false),
        ("dmarc=pass; spf=pass smtp.mailfrom=other.example; dkim=pass header.d=other.example", false),
        ("dmarc=pass; dkim=pass header.d=author.example", true),
        ("dmarc=pass; dmarc=fail; dkim=pass header.d=author.example", false),
        ("dmarc=none; spf=pass smtp.mailfrom=x@bounce.author.example", true),
        ("spf=pass smtp.mailfrom=author.example", true), ("spf=pass smtp.mailfrom=other.example", false),
        ("spf=fail smtp.mailfrom=author.example", false), ("spf=pass smtp.helo=author.example", false),
        ("dkim=pass header.d=author.example", true), ("dkim=pass header.i=@author.example", true),
        ("dkim=pass header.d=other.example header.i=@author.example", false),
        ("dkim=fail header.d=author.example; dkim=pass header.d=author.example", true),
        ("dmarc=bestguesspass; dkim=pass header.d=author.example", true),
        ("dmarc=fail; dkim=pass header.d=author.example", false), ("none", false), ("", false),
        ("x=\"; dmarc=pass\"", false), ("spf=pass (dmarc=pass)", false), ("dkim=pass", false),
    ])
    func `what a sealer saw`(results: String, isEnough: Bool) throws {
        #expect(try Self.override(("list.example", results)) == (isEnough ? 1 : nil))
    }

    @Test func `a chain with gaps or repetitions is none`() throws {
        let domain = try #require(DomainName("list.example"))
        let sets = { (numbers: [Int]) in
            numbers.map {
                SealedResults(
                    instance: $0, sealer: domain, results: Array("i=1; x; dmarc=pass header.from=list.example".utf8),
                    signsFrom: true)
            }
        }
        for (numbers, isChain) in [
            ([1], true), ([2, 1], true), ([2], false), ([1, 3], false), ([1, 1], false), ([0], false),
        ] {
            let sealer = TrustedSealer(sets(numbers), trusted: [domain], author: domain) { _ in true }
            #expect((sealer != nil) == isChain, "\(numbers)")
        }
    }
}
