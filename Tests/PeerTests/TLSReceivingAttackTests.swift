import Foundation
import Harness
import Testing

/// Clients that mean no good around STARTTLS, with the handshakes of Python's `ssl`.
@Suite(.serialized) struct TLSReceivingAttackTests {
    private static let prelude = """
        import socket, ssl, sys
        port = int(sys.argv[1])
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        def lines(stream):
            text = b''
            while True:
                line = stream.readline()
                text += line
                if len(line) < 4 or line[3:4] != b'-':
                    return text

        def greeted():
            connection = socket.create_connection(('127.0.0.1', port), 20)
            stream = connection.makefile('rb')
            assert lines(stream).startswith(b'220')
            connection.sendall(b'EHLO client.example\\r\\n')
            assert b'STARTTLS' in lines(stream)
            return connection, stream

        def asked():
            connection, stream = greeted()
            connection.sendall(b'STARTTLS\\r\\n')
            assert lines(stream).startswith(b'220')
            return connection

        def connected(): return socket.create_connection(('127.0.0.1', port), 20)

        def rest(connection):
            text = b''
            try:
                while True:
                    part = connection.recv(65536)
                    if not part: return text
                    text += part
            except ConnectionResetError:
                return text

        def hello():
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            try: context.wrap_bio(incoming, outgoing).do_handshake()
            except ssl.SSLWantReadError: pass
            return outgoing.read()

        """

    /// What makes a connection on which a handshake is due.
    private static func beginning(_ way: OpenSSLClient.Way) -> String { way == .startTLS ? "asked" : "connected" }

    private func python(_ world: TLSReceivingWorld, _ way: OpenSSLClient.Way = .startTLS, running script: String) throws
    {
        let run = try Program(
            "/usr/bin/python3", ["-c", Self.prelude + script, String(world.address(way).port)]
        ).run(within: .seconds(120))
        #expect(run.ending == .exited(0), "\(run.output)")
    }

    @Test func `what stands behind STARTTLS in plain text is never done`() throws {
        let world = try TLSReceivingWorld()
        let injected = [
            "MAIL FROM:<x@client.example>\\r\\n",
            "EHLO evil.example\\r\\nMAIL FROM:<x@client.example>\\r\\nRCPT TO:<user@example.test>\\r\\n"
                + "BDAT 4 LAST\\r\\n\\r\\nx\\n",
            "\\r\\n", "x", "\\x16",
        ]
        for text in injected {
            try self.python(
                world,
                running: """
                    connection, stream = greeted()
                    connection.sendall(b'STARTTLS\\r\\n\(text)')
                    answer = rest(connection)
                    assert answer == b'', answer

                    """)
        }
        // With the handshake in the same packet, it ends as well: nothing stands behind STARTTLS.
        try self.python(
            world,
            running: """
                connection, stream = greeted()
                connection.sendall(b'STARTTLS\\r\\n' + hello())
                answer = rest(connection)
                assert answer == b'', answer

                """)
        let refusals = world.postern.events("refused")
        #expect(refusals.count == injected.count + 1)
        #expect(refusals.allSatisfy { $0["reply"] == "503 5.5.0 Input behind STARTTLS" && $0["command"] == "STARTTLS" })
        try world.postern.waitUntilDeserted()
        #expect(try world.postern.queued() == 0 && world.sink.count == 0)
    }

    @Test func `commands in place of a handshake are not taken for commands`() throws {
        let world = try TLSReceivingWorld()
        try self.python(
            world,
            running: """
                mail = b'MAIL FROM:<x@client.example>\\r\\nRCPT TO:<user@example.test>\\r\\n'
                for text in [mail, b'GET / HTTP/1.1\\r\\n\\r\\n']:
                    connection = asked()
                    connection.sendall(text)
                    answer = rest(connection)
                    # At most an alert of TLS.
                    assert answer == b'' or answer[0] == 0x15, answer

                """)
        #expect(world.postern.events("tls_failed").count == 2)
        try world.postern.waitUntilDeserted()
        #expect(try world.postern.queued() == 0 && world.postern.events("queued").isEmpty)
    }

    @Test func `a client must say EHLO again, and what it said before is forgotten`() throws {
        let world = try TLSReceivingWorld()
        try self.python(
            world,
            running: """
                secure = context.wrap_socket(asked())
                stream = secure.makefile('rb')
                secure.sendall(b'MAIL FROM:<x@client.example>\\r\\n')
                answer = lines(stream)
                assert answer.startswith(b'503'), answer
                secure.sendall(b'EHLO client.example\\r\\n')
                answer = lines(stream)
                assert b'STARTTLS' not in answer and b'REQUIRETLS' in answer, answer
                secure.sendall(b'STARTTLS\\r\\n')
                answer = lines(stream)
                assert answer[:1] == b'5', answer

                """)
    }

    @Test(arguments: OpenSSLClient.Way.allCases)
    func `a handshake that is never finished has the time of a command`(way: OpenSSLClient.Way) throws {
        let world = try TLSReceivingWorld(limits: "{connections_per_client: 0, command_timeout: 1s}")
        try self.python(
            world, way,
            running: """
                connection = \(Self.beginning(way))()
                connection.sendall(hello()[:100])
                # No octet brings new time.
                connection.settimeout(0.2)
                try:
                    for octet in hello()[100:200]:
                        try:
                            answer = connection.recv(100)
                            assert answer == b'', answer
                            sys.exit(0)
                        except TimeoutError:
                            connection.sendall(bytes([octet]))
                except (ConnectionResetError, BrokenPipeError):
                    sys.exit(0)
                sys.exit('it has all the time')

                """)
        try world.postern.event("refused") { $0["reply"] == "421 4.4.2 Timeout exceeded" }
        try world.postern.waitUntilDeserted()
    }

    @Test(arguments: OpenSSLClient.Way.allCases)
    func `two hundred handshakes that stand still keep no other client out`(way: OpenSSLClient.Way) throws {
        let world = try TLSReceivingWorld()
        let script = """
            import signal
            kept = []
            for number in range(200):
                connection = \(Self.beginning(way))()
                connection.sendall(hello()[:number + 1])
                kept.append(connection)
            print('all stand still', flush=True)
            signal.pause()

            """
        let still = try Subprocess(
            Program("/usr/bin/python3", ["-c", Self.prelude + script, String(world.address(way).port)]))
        try still.waitForOutput("all stand still")
        let report = try world.send(way)
        #expect(report.codes.suffix(2) == [250, 221], "\(report)")
        #expect(still.ending == nil)
        still.kill()
        try world.postern.waitUntilDeserted()
        #expect(try world.send(way).codes.suffix(2) == [250, 221])
        try world.sink.wait(for: 2)
    }

    @Test func `handshakes that are cut off anywhere leave nothing behind`() throws {
        let world = try TLSReceivingWorld()
        try self.python(
            world,
            running: """
                for count in [1, 4, 5, 6, 11, 50, 100, 200, 300, 400, 500, 517]:
                    connection = asked()
                    connection.sendall(hello()[:count])
                    connection.shutdown(socket.SHUT_WR)
                    rest(connection)
                    connection.close()

                """)
        try world.postern.waitUntilDeserted()
        #expect(try world.send().codes.suffix(2) == [250, 221])
    }
}
