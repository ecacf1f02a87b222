package import Mail

/// Something that a decision needs to know and that has to be asked elsewhere.
///
/// An evaluation asks only for what it reaches (STYLE, `Rules`), and the answers are part of what it decides on: with
/// the same facts and the same answers it decides the same again.
package enum Lookup: Hashable, Sendable {
    /// Records of a name, which is in lower case and ASCII.
    case names(String, NameType)
    /// What a policy service says (Postfix's policy delegation protocol). The service is written as in the
    /// configuration.
    case policy(service: String, [PolicyAttribute])
    /// Whether a recipient of a relay domain exists, when its tables do not say so.
    case recipient(Mailbox)
    /// Whether an address takes mail, by asking its server.
    case verification(Mailbox, AddressClass)
    /// What SPF says of the sender, and what the configuration makes of that.
    case spf(SPFQuestion)
    /// Whether mail of this sender to this recipient is to come again later.
    case greylist(GreylistQuestion)
    /// Nothing is asked, but time has to pass. The number tells pauses of one evaluation apart.
    case pause(Duration, number: Int)

    package enum NameType: String, Hashable, Sendable {
        case a = "A", aaaa = "AAAA", mx = "MX", ns = "NS", ptr = "PTR", txt = "TXT"
    }
}

/// One line of a policy request.
package struct PolicyAttribute: Hashable, Sendable {
    package let name: String
    package let value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Whose address it is that a restriction looks at.
package enum AddressClass: String, Hashable, Sendable { case sender, recipient }

/// What came of a ``Lookup``.
package enum LookupAnswer: Hashable, Sendable {
    case names(NameAnswer)
    /// What a policy service wants to be done, as in an access table.
    case action(String)
    /// The policy service did not answer. The text is for the log; the action is what holds then.
    case noAction(String, default: String)
    case address(AddressFinding)
    /// Of ``Lookup/spf(_:)`` and ``Lookup/greylist(_:)``.
    case judged(Judgement)
    /// The pause is over.
    case passed
}

/// Records of a name.
package enum NameAnswer: Hashable, Sendable {
    /// Of A or AAAA.
    case addresses([IPAddress])
    /// Of MX in the order of their preference, NS or PTR: lower case, empty for the root.
    case hosts([String])
    case texts([String])
    /// There is no such name, or it has no such record.
    case none
    /// Nobody knows. The text is for the log.
    case failed(String)
}

/// What is known of an address.
package enum AddressFinding: Hashable, Sendable {
    case known
    /// It does not exist: what the client is told without the address, and why, for the log.
    case unknown(Reply, why: String)
    /// It cannot be told now; the reply is temporary.
    case undecided(Reply, why: String)
    /// It cannot be told now, and its mail is to be kept until it can.
    case acceptAndHold(String)
}
