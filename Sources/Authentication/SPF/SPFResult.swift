/// What came of a check (RFC 7208 §2.6).
package struct SPFResult: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case none, neutral, pass, fail, softfail, temperror, permerror
    }

    package var result: Kind
    /// What the domain says to a client that fails; printable ASCII, short enough for a reply. It is somebody else's
    /// text: say whose it is.
    package var explanation: String?
    /// What matched, without its qualifier; `default` if nothing did. Nil without a policy and after an error.
    package var mechanism: String?
    /// Terms evaluated that cause look-ups, those of included records too (RFC 7208 §4.6.4).
    package var lookups = 0
    /// Such terms for which a name or record did not exist.
    package var voidLookups = 0
    /// Questions asked of DNS.
    package var questions = 0
    /// Whose policy it is, without a trailing dot, with A-labels; what was given if it is no domain.
    package var domain: String
    package var identity: SPFCheck.Identity
    /// Why there is an error or no policy; for the log.
    package var why: String?

    package init(_ result: Kind, domain: String, identity: SPFCheck.Identity, why: String? = nil) {
        self.result = result
        self.domain = domain
        self.identity = identity
        self.why = why
    }
}

/// What one check may cost (RFC 7208 §4.6.4, §11.1). How long it may take is up to the caller.
package struct SPFLimits: Hashable, Sendable {
    package var lookups = 10
    package var voidLookups = 2
    /// A mechanism with more is an error: which of them count would be left to chance.
    package var exchanges = 10
    /// Of more, the first are looked at.
    package var reverseNames = 10
    /// DNS carries no more in one answer.
    package var recordBytes = 65_535
    /// Of an explanation, after its macros: what a reply has room for.
    package var explanationBytes = 400

    package init() {}
}
