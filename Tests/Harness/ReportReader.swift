import Foundation

/// What Python makes of a message with a DMARC report, and its document by the schema of the RFC: `Tests/reports.py`.
package struct ReadReport: Sendable, Decodable {
    package struct Feedback: Sendable, Decodable {
        package let version: String
        package let report_metadata: Metadata
        package let policy_published: [String: String]
        package let record: [Record]
    }

    package struct Metadata: Sendable, Decodable {
        package let org_name: String
        package let email: String
        package let extra_contact_info: String?
        package let report_id: String
        package let date_range: [String: String]
    }

    package struct Record: Sendable, Decodable {
        package let row: Row
        package let identifiers: [String: String]
        package let auth_results: [String: [[String: String]]]
    }

    package struct Row: Sendable, Decodable {
        package let source_ip: String
        package let count: String
        package let policy_evaluated: Evaluated
    }

    package struct Evaluated: Sendable, Decodable {
        package let disposition: String
        package let dkim: String
        package let spf: String
        package let reason: [[String: String]]?
    }

    package let header: [String: String]
    /// What is wrong with the message's format.
    package let defects: [String]
    package let attachments: Int
    package let type: String
    package let name: String?
    package let fileName: String
    /// What the schema does not allow.
    package let problems: [String]
    package let feedback: Feedback

    package init(message: [UInt8]) throws {
        var program = try PythonAuthentication.python(script: "reports.py")
        program.input = message
        program.errors = .unnamed
        self = try JSONDecoder().decode(Self.self, from: Data(program.runOrThrow().output.utf8))
    }

    /// What gzip has packed, unpacked; text.
    package static func unpacked(_ bytes: [UInt8]) throws -> String {
        var program = try PythonAuthentication.python(script: "reports.py", ["gunzip"])
        program.input = bytes
        program.errors = .unnamed
        return try program.runOrThrow().output
    }
}
