package import Mail
package import SMTP
package import TLS

/// What a next hop must prove before it gets mail; Postfix's levels and names (SEMANTICS §15).
package enum TLSLevel: String, CaseIterable, Hashable, Sendable, OptionValue {
    /// No TLS.
    case none
    /// If it is offered, and whoever the server is; without, if it fails.
    case may
    /// Not without, whoever the server is.
    case encrypt
    /// As TLSA records say, if there are any; else as `may`.
    case dane
    /// As TLSA records say; not without them.
    case daneOnly = "dane-only"
    /// The certificate or its key is one of those named.
    case fingerprint
    /// A certificate for the server's name as MX records say it.
    case verify
    /// A certificate for the next hop's name.
    case secure

    package static let optionSyntax = "a level: " + Self.allCases.map(\.rawValue).joined(separator: ", ")
}

/// How connections to next hops are secured.
package struct ForwarderTLSOptions: Options, OptionValue, Hashable {
    /// What becomes of TLSA records of a host that unproven MX records name.
    package enum InsecureMX: String, CaseIterable, Hashable, Sendable, OptionValue { case dane, encrypt, may }

    package enum MinimumVersion: String, CaseIterable, Hashable, Sendable, OptionValue {
        case v1_0 = "TLSv1"
        case v1_1 = "TLSv1.1"
        case v1_2 = "TLSv1.2"
        case v1_3 = "TLSv1.3"

        package var version: TLSVersion {
            switch self {
            case .v1_0: .v1_0
            case .v1_1: .v1_1
            case .v1_2: .v1_2
            case .v1_3: .v1_3
            }
        }
    }

    package var level = TLSLevel.dane
    /// A table by its type and file, as Postfix writes it.
    package var policy: String?
    package var authorities: String?
    package var minimumVersion = MinimumVersion.v1_2
    package var mtaSTS = true
    package var insecureMX = InsecureMX.dane

    package init() {}

    package static let summary = "How connections to next hops are secured."

    package static let fields: [OptionField<Self>] = [
        .init(
            "level", \.level,
            "What every next hop must prove that the policy table does not have. dane is for mail to the world: TLSA "
                + "records bind where DNSSEC proves them, and without them TLS is used if it is offered."),
        .init(
            "policy", \.policy,
            "Levels of single next hops, in the format of Postfix's smtp_tls_policy_maps, such as "
                + "texthash:tls_policy."),
        .init(
            "authorities", \.authorities,
            "A PEM file with the authorities by which certificates are verified at the levels of this host's "
                + "administrator, instead of the system's; policies of domains have their own, see mta_sts."),
        .init("minimum_version", \.minimumVersion, "The lowest version of TLS that is used."),
        .init("mta_sts", \.mtaSTS, "Whether policies of recipients' domains count that come over HTTPS (RFC 8461)."),
        .init(
            "insecure_mx", \.insecureMX,
            "What TLSA records bind to when the MX records that name the host are not proven: dane, as if they were; "
                + "encrypt, to TLS with anybody; may, to nothing."),
    ]

    package func validate() throws(OptionProblem) {
        guard self.level != .fingerprint else {
            throw OptionProblem("level fingerprint needs fingerprints: it is possible in the policy table only")
        }
    }
}

/// How we say to next hops who we are.
package struct ForwarderSASLOptions: Options, OptionValue, Hashable {
    /// A table by its type and file, as Postfix writes it.
    package var passwords: String?
    package var mechanisms: [SASLMechanism] = [.scramSHA256, .plain, .login]

    package init() {}

    package static let summary =
        "How we say to next hops who we are; always inside TLS, and to a server that proves its name as at the level "
        + "`secure` or as TLSA records say, unless the policy table has a level of `may` or `encrypt` for the next hop: "
        + "`PLAIN` and `LOGIN` say the password to whoever answers there."

    package static let fields: [OptionField<Self>] = [
        .init(
            "passwords", \.passwords,
            "Users and passwords by next hop, in the format of Postfix's smtp_sasl_password_maps, such as "
                + "texthash:sasl_passwd: a next hop or server, blanks, user:password. Nobody else may read the file."),
        .init("mechanisms", \.mechanisms, "The first of these that a server offers is used."),
    ]

    package func validate() throws(OptionProblem) {
        guard !self.mechanisms.isEmpty else { throw OptionProblem("mechanisms must not be empty") }
    }
}
