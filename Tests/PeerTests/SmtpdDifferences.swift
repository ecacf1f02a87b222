/// Where Postern means to say or do something else than Postfix.
enum SmtpdDifferences {
    /// What both sides say and do from there on where they differ; both must be exactly so.
    struct Difference {
        let postfix: String
        let postern: String
        let reason: String
    }

    /// By the name of the part and the session.
    static func of(_ topic: String) -> [String: Difference] { self.all[topic] ?? [:] }

    private static let syntax =
        "an address without a domain, or with a dot behind it, is none (RFC 5321 §4.1.2), which is said at once"
    private static let digits = "a domain of digits is one by its grammar: restrictions say what it is worth"
    private static let greeting = "the list of clients is asked with HELO: the greeting is the screener's"
    private static let words = "HELO has one argument (RFC 5321 §4.1.1.1)"
    private static let refusedData = "a refused DATA ends the transaction: what would follow is another message"
    private static let consumed = "the end of content ends the transaction, whatever the reply (RFC 5321 §4.1.1.4)"
    private static let dot = "a name with a dot behind it is the same name"
    private static let empty = "an action that says nothing is a mistake of the service, which lets nobody in"

    private static let length = "a line of a reply has at most 512 octets (RFC 5321 §4.5.3.1.5)"
    private static let once = "a field is put on top once, however many recipients want it there"
    private static let failing = "an answer that means that the list cannot be asked says nothing about the client"

    private static let all: [String: [String: Difference]] = [
        "actions": [
            "words: 198.18.1.1 mail.good.test long@good.test user@example.test": .init(
                postfix: "554 5.7.1 Own " + String(repeating: "words and ", count: 60) + "words, 221 2.0.0",
                postern: "554 5.7.1 Own " + String(repeating: "words and ", count: 43) + "wor, 221 2.0.0",
                reason: Self.length),
            "more than one message: 198.18.1.1 mail.good.test prepend@good.test other@example.test "
                + "team@example.test data": .init(
                    postfix: "kept for other@example.test and team@example.test with X-Own: first with X-Own: other "
                        + "with X-Own: first with X-Own: team",
                    postern: "kept for other@example.test and team@example.test with X-Own: first with X-Own: other "
                        + "with X-Own: team", reason: Self.once),
            "more than one message: 198.18.1.1 mail.good.test prepend@good.test user@example.test "
                + "other@example.test nobody@example.test data": .init(
                    postfix: "kept for other@example.test and user@example.test with X-Own: first with X-Own: first "
                        + "with X-Own: other with X-Own: first",
                    postern: "kept for other@example.test and user@example.test with X-Own: first with X-Own: other",
                    reason: Self.once),
            "more than one message: 198.18.1.1 mail.good.test ok@good.test other@example.test "
                + "other@example.test data": .init(
                    postfix: "kept for other@example.test with X-Own: other with X-Own: other",
                    postern: "kept for other@example.test with X-Own: other", reason: Self.once),
        ],
        "content": [
            "DATA is rejected: 198.18.1.1 | EHLO mail.good.test | MAIL FROM:<alice@good.test> "
                + "| RCPT TO:<user@example.test> | DATA | RCPT TO:<other@example.test> | RSET | NOOP": .init(
                    postfix: "250 2.1.5, 250 2.0.0, 250 2.0.0, 221 2.0.0",
                    postern: "503 5.5.1, 250 2.0.0, 250 2.0.0, 221 2.0.0", reason: Self.refusedData),
            "the end is rejected: 198.18.1.1 | EHLO mail.good.test | MAIL FROM:<alice@good.test> "
                + "| RCPT TO:<user@example.test> | DATA | MAIL FROM:<alice@good.test> | RCPT TO:<user@example.test> | DATA":
                .init(
                    postfix: "503 5.5.1, 250 2.1.5, 354, 554 5.7.1, 221 2.0.0",
                    postern: "250 2.1.0, 250 2.1.5, 354, 554 5.7.1, 221 2.0.0", reason: Self.consumed),
        ],
        "control": [
            "warnings instead: 198.18.1.1 mail.good.test alice user@example.test": .init(
                postfix: "250 2.1.0, 504 5.5.2, 221 2.0.0",
                postern: "501 5.1.7, 503 5.5.1, 221 2.0.0", reason: Self.syntax)
        ],
        "dnslists": [
            "a list of addresses: 198.18.3.3 mail.good.test alice@good.test user@example.test": .init(
                postfix: "554 5.7.1, 221 2.0.0", postern: "250 2.1.5, 221 2.0.0", reason: Self.failing),
            "a list for domains of senders: 198.18.1.1 mail.good.test alice user@example.test": .init(
                postfix: "250 2.1.0, 250 2.1.5, 221 2.0.0",
                postern: "501 5.1.7, 503 5.5.1, 221 2.0.0", reason: Self.syntax),
        ],
        "early": [
            "clients: 198.18.1.2 mail.good.test alice@good.test user@example.test": .init(
                postfix: "554 5.7.1 Own words, 503 5.7.0, 503 5.7.0, 503 5.7.0, 221 2.0.0",
                postern: "220, 554 5.7.1 Own words, 503 5.5.1, 503 5.5.1, 221 2.0.0", reason: Self.greeting),
            "clients: 198.18.1.3 mail.good.test alice@good.test user@example.test": .init(
                postfix: "521 5.7.1 Own goodbye, ended",
                postern: "220, 521 5.7.1 Own goodbye, ended", reason: Self.greeting),
            "clients: 198.18.1.4 mail.good.test alice@good.test user@example.test": .init(
                postfix: "421 4.7.1 Own goodbye for now, ended",
                postern: "220, 421 4.7.1 Own goodbye for now, ended", reason: Self.greeting),
            "clients: 198.18.7.1 mail.good.test alice@good.test user@example.test": .init(
                postfix: "450 4.7.1 Own words for later, 503 5.7.0, 503 5.7.0, 503 5.7.0, 221 2.0.0",
                postern: "220, 450 4.7.1 Own words for later, 503 5.5.1, 503 5.5.1, 221 2.0.0", reason: Self.greeting),
            "clients without a name: 198.18.2.9 mail.good.test alice@good.test user@example.test": .init(
                postfix: "450 4.7.25, 503 5.7.0, 503 5.7.0, 503 5.7.0, 221 2.0.0",
                postern: "220, 450 4.7.25, 503 5.5.1, 503 5.5.1, 221 2.0.0", reason: Self.greeting),
            "clients without a name: 198.18.2.9 | EHLO mail.good.test | MAIL FROM:<alice@good.test> "
                + "| RSET | NOOP": .init(
                    postfix: "450 4.7.25, 503 5.7.0, 503 5.7.0, 503 5.7.0, 503 5.7.0, 221 2.0.0",
                    postern: "220, 450 4.7.25, 503 5.5.1, 250 2.0.0, 250 2.0.0, 221 2.0.0", reason: Self.greeting),
        ],
        "helo": [
            "a valid name: 198.18.1.1 | EHLO two words | MAIL FROM:<alice@good.test> "
                + "| RCPT TO:<user@example.test>": .init(
                    postfix: "250, 250 2.1.0, 501 5.5.2, 221 2.0.0",
                    postern: "501 5.5.4, 503 5.5.1, 503 5.5.1, 221 2.0.0", reason: Self.words),
            "a name that is known: 198.18.1.1 mail.good.test. alice@good.test user@example.test": .init(
                postfix: "450 4.7.1, 221 2.0.0",
                postern: "250 2.1.5, 221 2.0.0", reason: Self.dot),
        ],
        "policy": [
            "at the recipient: 198.18.1.1 mail.good.test alice@good.test user+policy-empty@example.test": .init(
                postfix: "250 2.1.5, 221 2.0.0",
                postern: "451 4.3.5, 221 2.0.0", reason: Self.empty)
        ],
        "recipients": [
            "relaying: 198.18.1.1 mail.good.test alice@good.test user@example.test.": .init(
                postfix: "250 2.1.5, 221 2.0.0",
                postern: "501 5.1.3, 221 2.0.0", reason: Self.syntax),
            "relaying: 198.18.1.1 mail.good.test alice@good.test user": .init(
                postfix: "554 5.7.1, 221 2.0.0",
                postern: "501 5.1.3, 221 2.0.0", reason: Self.syntax),
            "a full address: 198.18.9.1 mail.good.test alice@good.test user": .init(
                postfix: "504 5.5.2, 221 2.0.0",
                postern: "501 5.1.3, 221 2.0.0", reason: Self.syntax),
            "a full address: 198.18.9.1 mail.good.test alice@good.test user@elsewhere.test.": .init(
                postfix: "250 2.1.5, 221 2.0.0",
                postern: "501 5.1.3, 221 2.0.0", reason: Self.syntax),
        ],
        "senders": [
            "a full address: 198.18.1.1 mail.good.test alice user@example.test": .init(
                postfix: "250 2.1.0, 504 5.5.2, 221 2.0.0",
                postern: "501 5.1.7, 503 5.5.1, 221 2.0.0", reason: Self.syntax),
            "a full address: 198.18.1.1 mail.good.test alice@good.test. user@example.test": .init(
                postfix: "250 2.1.0, 250 2.1.5, 221 2.0.0",
                postern: "501 5.1.7, 503 5.5.1, 221 2.0.0", reason: Self.syntax),
            "a full address: 198.18.1.1 mail.good.test alice@198.18.1.1 user@example.test": .init(
                postfix: "501 5.1.7, 503 5.5.1, 221 2.0.0",
                postern: "250 2.1.0, 504 5.5.2, 221 2.0.0", reason: Self.digits),
            "a full address: 198.18.1.1 mail.good.test postmaster user@example.test": .init(
                postfix: "250 2.1.0, 504 5.5.2, 221 2.0.0",
                postern: "501 5.1.7, 503 5.5.1, 221 2.0.0", reason: Self.syntax),
            "a table: 198.18.1.1 mail.good.test nosuffix user@example.test": .init(
                postfix: "250 2.1.0, 250 2.1.5, 221 2.0.0",
                postern: "501 5.1.7, 503 5.5.1, 221 2.0.0", reason: Self.syntax),
        ],
    ]
}
