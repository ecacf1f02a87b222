import Foundation

/// SPF by pyspf, DKIM and ARC by dkimpy, and a reader of Authentication-Results: `Tests/authentication.py`.
///
/// Many questions cost one process, some tenths of a second.
package enum PythonAuthentication {
    /// What can be asked.
    package enum Question: Sendable, Encodable {
        case spf(SPFQuestion, PeerNames)
        /// The answer's fields: one.
        case dkimSign([UInt8], SigningPlan)
        case dkimVerify([UInt8], PeerNames)
        /// - Parameter server: whose Authentication-Results of the message are sealed. The answer's fields: ARC-Seal,
        ///   ARC-Message-Signature, ARC-Authentication-Results.
        case arcSign([UInt8], SigningPlan, server: String)
        case arcVerify([UInt8], PeerNames)
        /// - Parameter field: with its name.
        case authenticationResults(field: String)
        case versions
    }

    package struct SPFQuestion: Sendable {
        package let address: String
        /// `local@domain`; empty for the null reverse-path.
        package let sender: String
        package let helo: String

        package init(address: String, sender: String, helo: String) {
            self.address = address
            self.sender = sender
            self.helo = helo
        }
    }

    package struct SigningPlan: Sendable {
        package let selector: String
        package let domain: String
        /// PEM (PKCS #1 or #8) for RSA; the 32 octets of the seed in base64 for Ed25519.
        package let key: String
        /// `rsa-sha256`, `rsa-sha1` or `ed25519-sha256`.
        package var algorithm = "rsa-sha256"
        /// Of header and body. ARC is always relaxed.
        package var canonicalization = "relaxed/relaxed"
        /// dkimpy's own choice if it is nil.
        package var headers: [String]?
        package var identity: String?
        /// Whether there is an `l=`.
        package var hasLength = false
        /// Of ARC; now if it is nil.
        package var timestamp: Int?

        package init(selector: String, domain: String, key: String) {
            self.selector = selector
            self.domain = domain
            self.key = key
        }
    }

    /// What a question was answered with; the rest is nil.
    package struct Answer: Sendable, Decodable {
        package struct Signature: Sendable, Decodable {
            package let valid: Bool
            package let domain: String
            package let selector: String
            package let error: String
        }

        package struct MethodResult: Sendable, Decodable {
            package let method: String
            package let result: String
            package let reason: String
            /// By `ptype.property`.
            package let properties: [String: String?]
        }

        /// It raised an exception: its type and text.
        package let failure: String?
        /// Of SPF: `pass`, `fail` and so on; of ARC: `pass`, `fail`, `none`.
        package let result: String?
        package let explanation: String?
        package let problem: String?
        package let reason: String?
        /// New header fields, each ended by CRLF.
        package let fields: [String]?
        /// From the top of the message.
        package let signatures: [Signature]?
        /// The authserv-id.
        package let server: String?
        package let results: [MethodResult]?
        package let dkimpy: String?
        package let pyspf: String?
        package let authres: String?
        package let pynacl: String?
        package let dnspython: String?
    }

    /// - Throws: if there is not one answer for each.
    package static func ask(_ questions: [Question], within limit: Duration = .seconds(60)) throws -> [Answer] {
        var program = try Self.python(script: "authentication.py")
        let encoder = JSONEncoder()
        for question in questions { program.input += try encoder.encode(question) + [UInt8(ascii: "\n")] }
        program.errors = .unnamed
        let finished = try program.runOrThrow(within: limit)
        let answers = try finished.output.split(separator: "\n").map {
            try JSONDecoder().decode(Answer.self, from: Data($0.utf8))
        }
        guard answers.count == questions.count else {
            throw HarnessError("\(questions.count) questions and \(answers.count) answers: \(finished.errors)")
        }
        return answers
    }

    package static func ask(_ question: Question) throws -> Answer { try Self.ask([question])[0] }

    /// The machine's Python, for whose version the modules are made, with the peers' modules.
    package static func python(_ arguments: [String]) throws -> Program {
        let modules = try PeerPackage.authentication.find("/usr/lib/python3/dist-packages")
        var program = try PeerPackage.authentication.program(machine: "/usr/bin/python3", arguments)
        program.environment["PYTHONPATH"] = modules
        program.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return program
    }

    /// The same with a script in `Tests`.
    static func python(script: String, _ arguments: [String] = []) throws -> Program {
        // This file is Tests/Harness/PythonAuthentication.swift.
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return try Self.python([folder.appendingPathComponent(script).path] + arguments)
    }
}

extension PythonAuthentication.Question {
    private enum Key: String, CodingKey {
        case task, ip, sender, helo, names, message, selector, domain, key, algorithm, canonicalization, headers
        case identity, length, timestamp, server, field
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .spf(let question, let names):
            try container.encode("spf_check", forKey: .task)
            try container.encode(question.address, forKey: .ip)
            try container.encode(question.sender, forKey: .sender)
            try container.encode(question.helo, forKey: .helo)
            try container.encode(names, forKey: .names)
        case .dkimSign(let message, let plan): try Self.encode("dkim_sign", message, plan, &container)
        case .arcSign(let message, let plan, let server):
            try Self.encode("arc_sign", message, plan, &container)
            try container.encode(server, forKey: .server)
        case .dkimVerify(let message, let names): try Self.encode("dkim_verify", message, names, &container)
        case .arcVerify(let message, let names): try Self.encode("arc_verify", message, names, &container)
        case .authenticationResults(let field):
            try container.encode("authentication_results", forKey: .task)
            try container.encode(field, forKey: .field)
        case .versions: try container.encode("versions", forKey: .task)
        }
    }

    private static func encode(
        _ task: String, _ message: [UInt8], _ plan: PythonAuthentication.SigningPlan,
        _ container: inout KeyedEncodingContainer<Key>
    ) throws {
        try container.encode(task, forKey: .task)
        try container.encode(Data(message), forKey: .message)
        try container.encode(plan.selector, forKey: .selector)
        try container.encode(plan.domain, forKey: .domain)
        try container.encode(Data(plan.key.utf8), forKey: .key)
        try container.encode(plan.algorithm, forKey: .algorithm)
        try container.encode(plan.canonicalization, forKey: .canonicalization)
        try container.encode(plan.hasLength, forKey: .length)
        try container.encodeIfPresent(plan.headers, forKey: .headers)
        try container.encodeIfPresent(plan.identity, forKey: .identity)
        try container.encodeIfPresent(plan.timestamp, forKey: .timestamp)
    }

    private static func encode(
        _ task: String, _ message: [UInt8], _ names: PeerNames, _ container: inout KeyedEncodingContainer<Key>
    ) throws {
        try container.encode(task, forKey: .task)
        try container.encode(Data(message), forKey: .message)
        try container.encode(names, forKey: .names)
    }
}
