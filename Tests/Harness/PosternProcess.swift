import Foundation

/// The real daemon, in a folder of its own, with its commands.
package final class PosternProcess: Sendable {
    package let folder: TemporaryFolder
    package let address: Endpoint
    /// The path of its configuration file.
    package let configuration: String
    private let wrapper: [String]
    private let process: Box

    /// The process that runs now.
    private final class Box: @unchecked Sendable {
        private let lock = NSLock()
        private var current: Subprocess?

        var value: Subprocess? {
            get { self.lock.withLock { self.current } }
            set { self.lock.withLock { self.current = newValue } }
        }
    }

    /// The program that was built with these tests; it stands beside theirs.
    package static let program: String = {
        let tests = Bundle.allBundles.map(\.bundlePath).filter { $0.hasSuffix(".xctest") }
        let paths = (tests + ["/proc/self/exe", CommandLine.arguments[0]]).map { path in
            URL(fileURLWithPath: path).resolvingSymlinksInPath().deletingLastPathComponent()
                .appendingPathComponent("postern").path
        }
        return paths.first { access($0, X_OK) == 0 } ?? paths[0]
    }()

    /// - Parameters:
    ///   - primary: where mail for `example.test` goes; nil to a port where nothing listens.
    ///   - more: lines added to the configuration; a key given there must not be one of the usual ones.
    ///   - smallDisk: the size of a file system for the queue, in a mount namespace of the daemon's own.
    package init(
        primary: Endpoint? = nil, transport: String? = nil, domains: String = "[example.test]",
        recipients: String = "@example.test ok\n",
        networks: String = "[]", screener: String = "{enabled: false}",
        limits: String = "{connections_per_client: 0}", queue: String = "{maximum_size: 1GiB, reserve: 16MiB}",
        more: String = "",
        smallDisk: String? = nil, resolver: String = "{forwarders: [\"127.0.0.1:9\"], timeout: 1s}",
        hostname: String = "mx2.example.test", starts: Bool = true
    ) throws {
        self.folder = try TemporaryFolder()
        self.address = try .free()
        let state = self.folder.path("state")
        self.wrapper =
            smallDisk.map { size in
                let mount = "mkdir -p \(state) && mount -t tmpfs -o size=\(size) none \(state) && exec \"$@\""
                return ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", mount, "sh"]
            } ?? []
        let target = try primary ?? .free()
        try self.folder.make(folder: "rules")
        _ = try self.folder.write("rules/transport", transport ?? "example.test smtp:[\(target.host)]:\(target.port)\n")
        _ = try self.folder.write("rules/relay_recipients", recipients)
        self.configuration = try self.folder.write(
            "postern.yaml",
            """
            hostname: \(hostname)
            listen: ["\(self.address)"]
            state: \(self.folder.path("state"))
            control: \(self.folder.path("control"))
            rules: \(self.folder.path("rules"))
            resolver: \(resolver)
            relay_networks: \(networks)
            relay_domains: \(domains)
            relay_recipients: texthash:relay_recipients
            transport: texthash:transport
            screener: \(screener)
            limits: \(limits)
            queue: \(queue)
            shutdown_grace: 5s
            \(more)

            """)
        self.process = Box()
        if starts { try self.start() }
    }

    /// With a configuration that is there already: `postern.yaml` in the folder.
    ///
    /// - Parameter address: where it says that clients connect.
    package init(configured folder: TemporaryFolder, at address: Endpoint) throws {
        self.folder = folder
        self.address = address
        self.configuration = folder.path("postern.yaml")
        self.wrapper = []
        self.process = Box()
        try self.start()
    }

    deinit { self.process.value?.kill() }

    package var processID: Int32 { self.process.value?.processID ?? 0 }

    /// What the daemon has written since its last start.
    package var log: String { self.process.value?.output ?? "" }

    package func start(listeners: [Int32] = []) throws {
        let arguments = ["run", "--config", self.configuration]
        var program =
            self.wrapper.isEmpty
            ? Program(Self.program, arguments)
            : Program(self.wrapper[0], Array(self.wrapper.dropFirst()) + [Self.program] + arguments)
        program.listeners = listeners
        let process = try Subprocess(program)
        self.process.value = process
        _ = try process.waitForOutput("message=ready", within: .seconds(60))
    }

    /// SIGKILL, as a power failure would be for this process.
    package func kill() { self.process.value?.kill() }

    package func signal(_ number: Int32) { self.process.value?.signal(number) }

    package func waitForEnd(within limit: Duration = .seconds(30)) throws -> Ending {
        guard let process = self.process.value else { throw HarnessError("the daemon was not started") }
        return try process.wait(within: limit)
    }

    @discardableResult
    package func stop() throws -> Ending {
        self.signal(SIGTERM)
        return try self.waitForEnd()
    }

    /// Runs a command with the daemon's configuration.
    @discardableResult
    package func command(_ arguments: String..., input: String = "") throws -> Finished {
        try self.command(arguments, input: input)
    }

    @discardableResult
    package func command(_ arguments: [String], input: String = "") throws -> Finished {
        var program = Program(Self.program, arguments + ["--config", self.configuration])
        program.input = Array(input.utf8)
        program.errors = .unnamed
        return try program.run()
    }

    package func json(_ arguments: String...) throws -> [String: Any] {
        var program = Program(Self.program, arguments + ["--json", "--config", self.configuration])
        program.errors = .unnamed
        let output = try program.runOrThrow().output
        guard let object = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any] else {
            throw HarnessError("no JSON object: \(output)")
        }
        return object
    }

    /// Messages in the queue.
    package func queued() throws -> Int {
        let queue = try self.json("status")["queue"] as? [String: Any]
        guard let count = queue?["messages"] as? Int else { throw HarnessError("a status without a queue") }
        return count
    }

    package func waitUntilEmpty(within limit: Duration = .seconds(60)) throws {
        try eventually("the queue is empty", within: limit) { try self.queued() == 0 }
    }

    /// Sends a message as a client does and returns the last reply.
    @discardableResult
    package func send(
        from sender: String = "s@client.example", to recipients: [String] = ["user@example.test"],
        _ content: String = "Subject: x\r\n\r\nbody\r\n", client source: String? = nil
    ) throws -> SMTPClient.Reply {
        let client = try SMTPClient(self.address, from: source)
        _ = try client.reply()
        try client.command("EHLO client.example")
        return try client.sendMessage(from: sender, to: recipients, Array(content.utf8))
    }

    package func rewrite(_ name: String, _ text: String) throws { _ = try self.folder.write(name, text) }

    package func file(_ name: String) -> String { self.folder.text(name) }
}
