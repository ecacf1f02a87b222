/// Who reports.
package struct Reporter: Hashable, Sendable {
    /// Our name, which the names of reports have in them.
    package let hostname: String
    package let organization: String
    package let email: String
    package let extraContact: String?

    package init(hostname: String, organization: String, email: String, extraContact: String? = nil) {
        self.hostname = hostname
        self.organization = organization
        self.email = email
        self.extraContact = extraContact
    }
}

extension String {
    /// FNV-1a: it must be the same after a restart.
    var fingerprint: UInt32 {
        self.utf8.reduce(into: UInt32(2_166_136_261)) { $0 = ($0 ^ UInt32($1)) &* 16_777_619 }
    }
}
