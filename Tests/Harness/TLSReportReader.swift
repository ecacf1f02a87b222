import Foundation

/// What Python makes of a report on TLS, and its document by RFC 8460: `Tests/reports.py`.
package struct ReadTLSReport: Sendable, Decodable {
    package struct Report: Sendable, Decodable {
        package let organization_name: String
        package let date_range: [String: String]
        package let contact_info: String
        package let report_id: String
        package let policies: [Entry]
    }

    package struct Entry: Sendable, Decodable {
        package let policy: Policy
        package let summary: [String: UInt64]
        package let failure_details: [Failure]
    }

    package struct Policy: Sendable, Decodable {
        package let policy_type: String
        package let policy_string: [String]?
        package let policy_domain: String
        package let mx_host: [String]?
    }

    package struct Failure: Hashable, Sendable, Decodable {
        package let result_type: String
        package let sending_mta_ip: String?
        package let receiving_mx_hostname: String?
        package let receiving_ip: String?
        package let failed_session_count: UInt64
        package let failure_reason_code: String?
    }

    /// What stands around the document.
    package struct Message: Sendable, Decodable {
        package let header: [String: String]
        /// What is wrong with the message's format.
        package let defects: [String]
        package let attachments: Int
        /// Of the message, its `report-type`, and of its parts.
        package let kinds: [String]
        package let name: String?
        package let fileName: String
    }

    /// What RFC 8460 does not allow.
    package let problems: [String]
    package let report: Report

    /// - Parameter document: the octets that were posted, or JSON.
    package init(document: [UInt8]) throws {
        self = try Self.decode(Self.self, Self.python(document, "tlsdocument"))
    }

    package static func message(_ bytes: [UInt8]) throws -> (message: Message, read: Self) {
        let output = try Self.python(bytes, "tls")
        return (try Self.decode(Message.self, output), try Self.decode(Self.self, output))
    }

    private static func python(_ input: [UInt8], _ command: String) throws -> Data {
        var program = try PythonAuthentication.python(script: "reports.py", [command])
        program.input = input
        program.errors = .unnamed
        return Data(try program.runOrThrow().output.utf8)
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ data: Data) throws -> Value {
        let decoder = JSONDecoder()
        // An array's elements have numbers.
        decoder.keyDecodingStrategy = .custom { path in
            guard let last = path.last, last.intValue == nil else { return path.last ?? Key(stringValue: "") }
            return Key(stringValue: last.stringValue.replacing("-", with: "_"))
        }
        return try decoder.decode(type, from: data)
    }
}
