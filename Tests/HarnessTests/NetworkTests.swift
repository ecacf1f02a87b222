import Foundation
import Harness
import Testing

@Suite struct NetworkTests {
    /// A server for one client, which does what the Python lines say with `client`.
    private func server(_ lines: String) throws -> (Subprocess, Endpoint) {
        let address = try Endpoint.free()
        let script = """
            import socket, struct, time
            server = socket.create_server(("127.0.0.1", \(address.port)))
            client, peer = server.accept()
            \(lines)
            """
        let process = try Subprocess(Program("/usr/bin/python3", ["-u", "-c", script]))
        try waitForPort(address, of: process)
        return (process, address)
    }

    @Test func `a reply has its lines and octets`() throws {
        let (server, address) = try server(
            """
            client.sendall(b"220 mx ready\\r\\n250-mx\\r\\n250-SIZE 1000\\r\\n250 HE")
            time.sleep(0.05)
            client.sendall(b"LP\\r\\n250\\r\\nhello\\r\\n")
            """)
        let client = try SMTPClient(address)
        #expect(try client.reply().description == "220 mx ready")
        let reply = try client.reply()
        #expect(reply.code == 250)
        #expect(reply.lines == ["mx", "SIZE 1000", "HELP"])
        #expect(reply.bytes == Array("250-mx\r\n250-SIZE 1000\r\n250 HELP\r\n".utf8))
        #expect(try client.reply().lines == [""])
        #expect(throws: HarnessError.self) { try client.reply() }
        try server.wait()
    }

    @Test func `a reply that does not come is an error in time`() throws {
        let (server, address) = try server("time.sleep(1000)")
        let client = try SMTPClient(address, patience: .milliseconds(100))
        #expect(try client.staysSilent(for: .milliseconds(10)))
        #expect(throws: HarnessError.self) { try client.reply() }
        #expect(throws: HarnessError.self) { try client.send([UInt8](repeating: 0, count: 50_000_000)) }
        #expect(server.ending == nil)
    }

    @Test func `bytes arrive one by one, from the address given, up to the half-close`() throws {
        let (server, address) = try server(
            """
            read = b""
            while more := client.recv(100): read += more
            client.sendall(b"rest")
            print(peer[0], read)
            """)
        let client = try SMTPClient(address, from: "127.0.0.5")
        try client.send(Array("EHLO a\r\n".utf8), pieceBytes: 1)
        client.finishSending()
        let (bytes, end) = try client.readToEnd()
        #expect(bytes == Array("rest".utf8))
        #expect(end == .closed)
        try server.waitForOutput("127.0.0.5 b'EHLO a\\r\\n'")
    }

    @Test func `an aborted connection is a reset on either side`() throws {
        let (server, address) = try server(
            """
            try: client.recv(1)
            except ConnectionResetError: print("reset")
            client, peer = server.accept()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            """)
        let client = try SMTPClient(address)
        try client.abort()
        try server.waitForOutput("reset")
        #expect(try SMTPClient(address).readToEnd().end == .reset)
    }

    @Test func `nobody listening is an error at once`() throws {
        let address = try Endpoint.free()
        #expect(throws: HarnessError.self) { try SMTPClient(address) }
        #expect(throws: HarnessError.self) { try waitForPort(address, within: .milliseconds(50)) }
    }

    @Test func `listeners are found on their address, on all addresses, and over IPv6`() throws {
        for (bound, asked) in [("127.0.0.7", "127.0.0.7"), ("0.0.0.0", "127.0.0.7"), ("::1", "::1"), ("::", "::1")] {
            let port = try freePort()
            let script =
                "import socket, time; s = socket.socket(socket.AF_INET6 if ':' in '\(bound)' else socket.AF_INET);"
            let process = try Subprocess(
                Program(
                    "/usr/bin/python3", ["-c", script + "s.bind(('\(bound)', \(port))); s.listen(); time.sleep(1000)"]))
            try waitForPort(Endpoint(asked, port), of: process)
            #expect(try !isListening(Endpoint("127.0.0.8", port)) || bound == "0.0.0.0")
        }
    }

    @Test func `a port is handed out once`() async throws {
        let ports = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<200 { group.addTask { try freePort() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(ports).count == 200)
    }

    @Test func `a leading dot is doubled`() {
        #expect(dotStuffed(Array(".a\r\n..\r\nb.\r\n".utf8)) == Array("..a\r\n...\r\nb.\r\n".utf8))
    }

    @Test func `waiting names what it waited for`() throws {
        let error = #expect(throws: HarnessError.self) {
            try eventually("the end", within: .milliseconds(20)) { false }
        }
        #expect(error?.description == "waited for the end in vain for 0.02 seconds")
    }
}
