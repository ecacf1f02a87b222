import Foundation
import Harness

/// What the tests of the commands share.
extension PosternProcess {
    /// A queue of which nothing goes out: mail for `example.test` waits for a primary that is not there, and mail for
    /// `deferred.test` is answered 450 by the sink.
    static func waiting(deferring sink: SMTPSink? = nil, more: String = "") throws -> PosternProcess {
        let down = try Endpoint.free()
        let deferring = sink?.address ?? down
        return try PosternProcess(
            transport: """
                example.test smtp:[\(down.host)]:\(down.port)
                deferred.test smtp:[\(deferring.host)]:\(deferring.port)

                """, domains: "[example.test, deferred.test]", recipients: "@example.test x\n@deferred.test x\n",
            more: more)
    }

    /// Sends a message and returns its queue ID.
    func post(
        from sender: String = "s@client.example", to recipients: [String] = ["user@example.test"],
        _ content: String = "Subject: x\r\n\r\nbody\r\n", client: String? = nil
    ) throws -> String {
        let reply = try self.send(from: sender, to: recipients, content, client: client)
        guard reply.code == 250, let id = reply.text.split(separator: " ").last else {
            throw HarnessError("not taken: \(reply)")
        }
        return String(id)
    }

    /// The lines that a command prints when it succeeds.
    @discardableResult
    func lines(_ arguments: [String]) throws -> [String] {
        let run = try self.command(arguments)
        guard run.ending == .exited(0) else { throw HarnessError("\(arguments) \(run.ending): \(run.errors)") }
        return run.output.split(separator: "\n").map(String.init)
    }

    @discardableResult
    func lines(_ arguments: String...) throws -> [String] { try self.lines(arguments) }

    /// The queue IDs of a listing.
    func list(_ filters: [String] = []) throws -> [String] {
        try self.lines(["queue", "list"] + filters).map { String($0.prefix { $0 != " " }) }
    }

    /// The documents of a command that prints one a line.
    func documents(_ arguments: String...) throws -> [[String: Any]] {
        try self.lines(arguments + ["--json"]).map { try jsonObject($0) }
    }

    /// What a message is like now.
    func message(_ id: String) throws -> [String: Any] {
        guard let document = try self.documents("queue", "show", id).first else { throw HarnessError("no \(id)") }
        return document
    }

    func state(_ id: String) throws -> String? { try self.message(id)["state"] as? String }

    /// Waits until a message was tried and is deferred.
    func waitUntilDeferred(_ id: String) throws {
        try eventually("\(id) is deferred") { try self.state(id) == "deferred" }
    }
}

func jsonObject(_ text: String) throws -> [String: Any] {
    guard let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] else {
        throw HarnessError("no JSON object: \(text)")
    }
    return object
}

/// Runs the program without a daemon.
func postern(_ arguments: String..., input: String = "") throws -> Finished {
    try postern(arguments, input: input)
}

func postern(_ arguments: [String], input: String = "") throws -> Finished {
    var program = Program(PosternProcess.program, arguments)
    program.input = Array(input.utf8)
    program.errors = .unnamed
    return try program.run()
}

/// Every key of a document, those of nested ones too.
func keys(of value: Any) -> Set<String> {
    if let object = value as? [String: Any] {
        return object.reduce(into: []) { $0.formUnion(keys(of: $1.value).union([$1.key])) }
    }
    if let list = value as? [Any] { return list.reduce(into: []) { $0.formUnion(keys(of: $1)) } }
    return []
}

/// A connection to the daemon as a command has it, for what a command would not do.
final class ControlSocket: Sendable {
    private let descriptor: Int32

    init(_ postern: PosternProcess) throws {
        self.descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: postern.folder.path("control").utf8) }
        let code = withUnsafePointer(to: &address) { pointer in
            UnsafeRawPointer(pointer).withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0 else { throw HarnessError("cannot connect to the control socket") }
    }

    deinit { close(self.descriptor) }

    func send(_ request: String) throws {
        let bytes = Array("\(request)\n".utf8)
        guard Glibc.send(self.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw HarnessError("the control socket does not take a request")
        }
    }

    /// What is there; nothing at the end.
    func read(atMost limit: Int = 65_536) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = recv(self.descriptor, &bytes, limit, 0)
        guard count >= 0 else { throw HarnessError("the control socket cannot be read") }
        return Array(bytes[..<count])
    }
}
