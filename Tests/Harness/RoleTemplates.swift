import Foundation

/// The templates of an Ansible role, rendered with its defaults and an inventory: `Tests/role.py`.
package struct RoleTemplates: Encodable {
    private let role: String
    private let below: String
    private let variables: [String: Value]
    private let files: [String: String]

    package enum Value: Encodable, Sendable {
        case text(String)
        case list([Value])
        case map([String: Value])

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .list(let list): try container.encode(list)
            case .map(let map): try container.encode(map)
            }
        }
    }

    /// - Parameters:
    ///   - role: its folder.
    ///   - below: the folder of its templates.
    ///   - variables: over the role's defaults.
    ///   - files: of the playbook, which templates include.
    package init(role: String, below: String, variables: [String: Value], files: [String: String] = [:]) {
        self.role = role
        self.below = below
        self.variables = variables
        self.files = files
    }

    /// Texts by their paths.
    package func rendered() throws -> [String: String] {
        // This file is Tests/Harness/RoleTemplates.swift.
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("role.py").path
        var program = try PeerPackage.templates.program(machine: "/usr/bin/python3", [script])
        program.environment["PYTHONPATH"] = try PeerPackage.templates.find("/usr/lib/python3/dist-packages")
        program.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        program.input = try Array(JSONEncoder().encode(self))
        program.errors = .unnamed
        return try JSONDecoder().decode([String: String].self, from: Data(program.runOrThrow().output.utf8))
    }
}
