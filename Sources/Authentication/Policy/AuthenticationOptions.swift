package import Mail

/// What is found out about a message's origin, and what follows from it.
package struct AuthenticationOptions: Options, OptionValue {
    package var enabled = false
    package var authservID: DomainName?
    package var exempt: [String] = []
    package var spf = SPFOptions()
    package var dkim = DKIMOptions()
    package var dmarc = DMARCOptions()
    package var arc = ARCOptions()

    package init() {}

    package static let summary =
        "What is found out about the origin of a message from the client that connects, and what follows from it. "
        + "Clients of `relay_networks` are believed; their mail is signed."

    package static let fields: [OptionField<Self>] = [
        .init(
            "enabled", \.enabled,
            "Check DKIM, ARC, SPF and DMARC of each message and tell the primary in `Authentication-Results`."),
        .init(
            "authserv_id", \.authservID,
            "Our name in `Authentication-Results`; by default `hostname`. Fields that come in under it are removed."),
        .init(
            "exempt", \.exempt,
            "Tables of clients for whom nothing is refused because of SPF or DMARC, such as `cidr:forwarders.cidr`: "
                + "`OK` or `permit` exempts, `dunno` does not, and nothing else may stand there. What was found is "
                + "still told."),
        .init("spf", \.spf, "Which clients may send for a domain (RFC 7208)."),
        .init("dkim", \.dkim, "Signatures of domains (RFC 6376), theirs and ours."),
        .init("dmarc", \.dmarc, "What domains want to be done with mail in their name that is not theirs (RFC 7489)."),
        .init("arc", \.arc, "What those found who had the message before us (RFC 8617), and our seal."),
    ]
}

package struct SPFOptions: Options, OptionValue {
    package enum Engine: String, CaseIterable, Sendable, OptionValue { case postern, libspf2 }

    package var engine = Engine.postern
    package var helo = SPFActions()
    package var mailFrom = SPFActions()
    package var bestGuess = false
    package var field = true
    package var timeout = Duration.seconds(20)

    package init() {}

    package static let summary =
        "Which clients may send for a domain. What is refused is refused where the restriction `check_spf` stands."

    package static let fields: [OptionField<Self>] = [
        .init(
            "engine", \.engine,
            "Who evaluates: this program, or libspf2, which is there for comparison: it gets a quarter of all cases "
                + "wrong and evaluates no more than four policies at once."),
        .init(
            "helo", \.helo,
            "What follows from the result for the name in HELO, which is also the sender's where that is null."),
        .init("mail_from", \.mailFrom, "What follows from the result for the sender's domain."),
        .init(
            "best_guess", \.bestGuess,
            "Whether it is found out if a domain without a record would pass with `v=spf1 a/24 mx/24 ptr -all`; that is "
                + "told beside `none`, and nothing else follows from it."),
        .init("field", \.field, "Whether a `Received-SPF` field is added."),
        .init("timeout", \.timeout, "How long the look-ups of a check may take; then the result is temperror."),
    ]
}

/// What follows from each result of a check.
package struct SPFActions: Options, OptionValue {
    package var fail = SPFAction.reject
    package var softfail = SPFAction.mark
    package var neutral = SPFAction.mark
    package var none = SPFAction.mark
    package var temperror = SPFAction.mark
    package var permerror = SPFAction.mark

    package init() {}

    package static let summary = "What is done for each result: reject, defer or mark, which only tells the primary."

    package static let fields: [OptionField<Self>] = [
        .init("fail", \.fail, "The domain says that the client may not send for it."),
        .init("softfail", \.softfail, "It says that the client probably may not."),
        .init("neutral", \.neutral, "It says nothing about the client."),
        .init("none", \.none, "It has no record."),
        .init("temperror", \.temperror, "A name server did not answer."),
        .init("permerror", \.permerror, "Its record cannot be read or asks too much."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.temperror != .reject else {
            throw OptionProblem("temperror says that a name server did not answer: mark or defer")
        }
    }
}

package enum SPFAction: String, CaseIterable, Sendable, OptionValue { case mark, `defer`, reject }

package struct DKIMOptions: Options, OptionValue {
    package var signatures = 10
    package var sign: [SigningKeyOptions] = []

    package init() {}

    package static let summary = "Signatures of domains, theirs and ours."

    package static let fields: [OptionField<Self>] = [
        .init("signatures", \.signatures, "How many signatures of a message are looked at."),
        .init(
            "sign", \.sign,
            "Keys for mail from `relay_networks`, notices and reports: those of the domain in From, or else of the "
                + "nearest domain above it. Several of a domain all sign."),
    ]

    package func validate() throws(OptionProblem) {
        guard 1...100 ~= self.signatures else { throw OptionProblem("signatures is not between 1 and 100") }
    }
}

/// A private key and where its public half is published.
package struct SigningKeyOptions: Options, OptionValue {
    package var domain: DomainName?
    package var selector: String?
    package var key: String?
    package var headers: [String] = []

    package init() {}

    package static let summary = "A key file, made by `postern dkim genkey`, and where its public half is published."

    package static let fields: [OptionField<Self>] = [
        .init("domain", \.domain, "The domain that signs."),
        .init("selector", \.selector, "The public half is at SELECTOR._domainkey.DOMAIN."),
        .init("key", \.key, "The file with the private key, which nobody else may read."),
        .init("headers", \.headers, "Fields to be signed; by default those that RFC 6376 §5.4.1 names."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.domain != nil else { throw OptionProblem("'domain' is missing") }
        guard let selector = self.selector else { throw OptionProblem("'selector' is missing") }
        guard DomainName(selector) != nil else { throw OptionProblem("selector '\(selector)' is not a name") }
        guard self.key != nil else { throw OptionProblem("'key' is missing") }
        for name in self.headers where !Self.isFieldName(name) {
            throw OptionProblem("headers: '\(name)' is no name of a field")
        }
    }

    /// RFC 5322 §3.6.8, without the semicolon, which would end the list in a signature.
    private static func isFieldName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { 33...126 ~= $0 && $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: ";") }
    }
}

package struct ARCOptions: Options, OptionValue {
    package var seal: SigningKeyOptions?
    package var trustedSealers: [DomainName] = []

    package init() {}

    package static let summary = "What those found who had the message before us, and our seal."

    package static let fields: [OptionField<Self>] = [
        .init(
            "seal", \.seal, "The key that seals what we found, so that a primary with another provider can trust it."),
        .init(
            "trusted_sealers", \.trustedSealers,
            "Domains whose word counts that a message passed DMARC before they changed it, such as those of mailing "
                + "lists and forwarders."),
    ]
}

package struct DMARCOptions: Options, OptionValue {
    package enum Quarantine: String, CaseIterable, Sendable, OptionValue { case mark, hold }

    package enum Temperror: String, CaseIterable, Sendable, OptionValue {
        case mark
        case deferIfPolicy = "defer_if_policy"
        case `defer`
    }

    package enum Malformed: String, CaseIterable, Sendable, OptionValue { case mark, hold, reject }

    package var reject = true
    package var quarantine = Quarantine.mark
    package var temperror = Temperror.deferIfPolicy
    package var malformedFrom = Malformed.reject
    package var treeWalk = false
    package var publicSuffixes = "/usr/share/publicsuffix/public_suffix_list.dat"
    package var overrides = Named<DMARCOverride>()

    package init() {}

    package static let summary = "What domains want to be done with mail in their name that is not theirs."

    package static let fields: [OptionField<Self>] = [
        .init("reject", \.reject, "Whether `p=reject` is honoured in the session; else it is treated as quarantine."),
        .init("quarantine", \.quarantine, "Whether `p=quarantine` marks a message or holds it in the queue."),
        .init(
            "temperror", \.temperror,
            "What is done while name servers do not answer: mark lets such mail pass, defer tells the client to come again, and "
                + "defer_if_policy does so only for domains that are known to ask for quarantine or reject. A sender can "
                + "make an answer fail by a signature that names a server which does not answer."),
        .init(
            "malformed_from", \.malformedFrom,
            "What is done with a message whose From cannot be judged: there is none, or several, or one with no domain or "
                + "more than four, or a header of more than 1000 fields or 256 KB. It might show anybody's name, so that "
                + "it is refused, as Gmail and others do (RFC 7489 §6.6.1)."),
        .init("tree_walk", \.treeWalk, "Find policies as DMARCbis does, by the DNS tree, instead of by a list."),
        .init("public_suffixes", \.publicSuffixes, "The public suffix list, of Debian's package publicsuffix."),
        .init(
            "overrides", \.overrides,
            "For domains in From, those below them too: `none`, `quarantine` or `reject` instead of what they publish."),
    ]

    package func validate() throws(OptionProblem) {
        for name in self.overrides.values.keys.sorted() where DomainName(name) == nil {
            throw OptionProblem("overrides: '\(name)' is not a domain")
        }
    }
}

/// What is done for a domain whatever it publishes.
package enum DMARCOverride: String, CaseIterable, Sendable, OptionValue { case none, quarantine, reject }
