/// What an Authentication-Results field says (RFC 8601 §2), one of ours or one of others.
package struct AuthenticationResults: Hashable, Sendable {
    /// `smtp.mailfrom=user@example.com`.
    package struct Property: Hashable, Sendable {
        /// `smtp`, `header`, `body`, `policy`; empty for what some write without one, such as `action=none`.
        package let type: String
        package let name: String
        /// Without quotation marks. May hold anything; the field's text may not.
        package let value: String

        package init(_ type: String, _ name: String, _ value: String) {
            self.type = type
            self.name = name
            self.value = value
        }
    }

    package struct Method: Hashable, Sendable {
        /// `spf`, `dkim`, `dmarc`, `arc`; in lower case if it was read.
        package let name: String
        /// `pass`, `fail` and others; in lower case if it was read.
        package let result: String
        /// For people, in parentheses.
        package var comment: String?
        package var reason: String?
        package var properties: [Property]

        package init(
            _ name: String, _ result: String, comment: String? = nil, reason: String? = nil,
            _ properties: [Property] = []
        ) {
            self.name = name
            self.result = result
            self.comment = comment
            self.reason = reason
            self.properties = properties
        }

        /// The first value of this property.
        package func value(_ type: String, _ name: String) -> String? {
            self.properties.first { $0.type == type && $0.name == name }?.value
        }
    }

    /// Who says so: for ours the name of the host or of the organization (RFC 8601 §2.5).
    package let authservID: String
    /// Empty: no method was applied, which is written as `none`.
    package var methods: [Method]

    package init(_ authservID: String, _ methods: [Method] = []) {
        self.authservID = authservID
        self.methods = methods
    }

    package func methods(named name: String) -> [Method] { self.methods.filter { $0.name == name } }
}
