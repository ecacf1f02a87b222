import Foundation
import Harness
import Testing

/// Clients that mean no good around STARTTLS, with the handshakes of Python's `ssl`.
@Suite(.serialized) struct TLSReceivingAttackTests {
    @Test func `what stands behind STARTTLS in plain text is never done`() throws {
        let world = try TLSReceivingWorld()
        let injected = [
            "MAIL FROM:<x@client.example>\\r\\n",
            "EHLO evil.example\\r\\nMAIL FROM:<x@client.example>\\r\\nRCPT TO:<user@example.test>\\r\\n"
                + "BDAT 4 LAST\\r\\n\\r\\nx\\n",
            "\\r\\n", "x", "\\x16",
        ]
        for text in injected {
            try world.python(
                running: """
                    connection, stream = greeted()
                    connection.sendall(b'STARTTLS\\r\\n\(text)')
                    answer = rest(connection)
                    assert answer == b'', answer

                    """)
        }
        // With the handshake in the same packet, it ends as well: nothing stands behind STARTTLS.
        try world.python(
            running: """
                connection, stream = greeted()
                connection.sendall(b'STARTTLS\\r\\n' + hello())
                answer = rest(connection)
                assert answer == b'', answer

                """)
        try world.postern.waitUntilDeserted()
        try eventually("the log") { world.postern.events("refused").count >= injected.count + 1 }
        let refusals = world.postern.events("refused")
        #expect(refusals.count == injected.count + 1)
        #expect(refusals.allSatisfy { $0["reply"] == "503 5.5.0 Input behind STARTTLS" && $0["command"] == "STARTTLS" })
        #expect(try world.postern.queued() == 0 && world.sink.count == 0)
    }

    @Test func `commands in place of a handshake are not taken for commands`() throws {
        let world = try TLSReceivingWorld()
        try world.python(
            running: """
                mail = b'MAIL FROM:<x@client.example>\\r\\nRCPT TO:<user@example.test>\\r\\n'
                for text in [mail, b'GET / HTTP/1.1\\r\\n\\r\\n']:
                    connection = asked()
                    connection.sendall(text)
                    answer = rest(connection)
                    # At most an alert of TLS.
                    assert answer == b'' or answer[0] == 0x15, answer

                """)
        try world.postern.waitUntilDeserted()
        try eventually("the log") { world.postern.events("tls_failed").count == 2 }
        #expect(try world.postern.queued() == 0 && world.postern.events("queued").isEmpty)
    }

    @Test func `a client must say EHLO again, and what it said before is forgotten`() throws {
        let world = try TLSReceivingWorld()
        try world.python(
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
        try world.python(
            way,
            running: """
                connection = \(TLSReceivingWorld.beginning(way))()
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
                connection = \(TLSReceivingWorld.beginning(way))()
                connection.sendall(hello()[:number + 1])
                kept.append(connection)
            print('all stand still', flush=True)
            signal.pause()

            """
        let still = try Subprocess(
            world.pythonProgram(way, running: script))
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
        try world.python(
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
