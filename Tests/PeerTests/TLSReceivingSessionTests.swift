import Harness
import Testing

/// What can happen to a session inside TLS.
@Suite(.serialized) struct TLSReceivingSessionTests {
    @Test func `where TLS is required no mail is taken without`() throws {
        let world = try TLSReceivingWorld(tls: "required: true")
        let plain = try SMTPClient(world.postern.address)
        _ = try plain.reply()
        #expect(try plain.command("EHLO client.example").lines.contains("STARTTLS"))
        #expect(try plain.command("MAIL FROM:<s@client.example>").description.hasPrefix("530 5.7.0 "))
        for way in OpenSSLClient.Way.allCases { #expect(try world.send(way).codes.suffix(2) == [250, 221]) }
        try world.sink.wait(for: 2)
    }

    @Test func `where it is switched off it is not there, and after a reload it is`() throws {
        let sink = try SMTPSink()
        let postern = try PosternProcess(primary: sink.address, more: "tls: {enabled: false}")
        let plain = try SMTPClient(postern.address)
        _ = try plain.reply()
        #expect(try !plain.command("EHLO client.example").lines.contains("STARTTLS"))
        #expect(try plain.command("STARTTLS").code / 100 == 5)
        #expect(try plain.command("NOOP").code == 250)
        try postern.rewrite(
            "postern.yaml", postern.file("postern.yaml").replacing("tls: {enabled: false}", with: "tls: {}"))
        #expect(try postern.command("reload").ending == .exited(0))
        #expect(try OpenSSLClient.connect(postern.address).subject == "mx2.example.test")
    }

    @Test func `keys are changed within a session of TLS 1.3, whoever asks for it`() throws {
        let world = try TLSReceivingWorld()
        // K asks us to do the same; k does not.
        for letter in ["K", "k"] {
            let client = try OpenSSLDialog(world.postern.address, ["-tls1_3"])
            try client.send("NOOP\r\n")
            try client.wait(for: 1, "250 2.0.0 ")
            for count in 2...4 {
                try client.send("\(letter)\n")
                try client.wait(for: count - 1, "KEYUPDATE")
                try client.send("NOOP\r\n")
                try client.wait(for: count, "250 2.0.0 ")
            }
        }
    }

    @Test func `a handshake may come octet by octet`() throws {
        let world = try TLSReceivingWorld()
        for way in OpenSSLClient.Way.allCases {
            try world.python(
                way,
                running: """
                    connection = \(TLSReceivingWorld.beginning(way))()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                    secure = context.wrap_bio(incoming, outgoing)
                    def drip():
                        for octet in outgoing.read(): connection.sendall(bytes([octet]))
                    def run(step):
                        while True:
                            try:
                                result = step()
                                drip()
                                return result
                            except ssl.SSLWantReadError:
                                drip()
                                incoming.write(connection.recv(1))
                    run(secure.do_handshake)
                    assert secure.version() == 'TLSv1.3'
                    run(lambda: secure.write(b'EHLO client.example\\r\\n'))
                    answer = b''
                    while b'250 HELP' not in answer: answer += run(lambda: secure.read(100))

                    """)
        }
    }

    @Test func `content that is cut off in TLS is no message, however the end comes`() throws {
        let world = try TLSReceivingWorld()
        let ends = [
            "secure.unwrap()", "secure.shutdown(socket.SHUT_WR); secure.detach()", "",
            "secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\0\\0\\0\\0')",
        ]
        for end in ends {
            try world.python(
                running: """
                    secure, stream = inside(asked())
                    for line in [b'MAIL FROM:<s@client.example>', b'RCPT TO:<user@example.test>', b'DATA']:
                        answer = say(secure, stream, line)
                        assert answer[:1] in b'23', answer
                    secure.sendall(b'Subject: half\\r\\n\\r\\nand then\\r\\n.')
                    stream.close()
                    try: \(end.isEmpty ? "pass" : end)
                    except (ssl.SSLError, OSError): pass

                    """)
        }
        try world.postern.waitUntilDeserted()
        #expect(try world.postern.events("queued").isEmpty && world.postern.queued() == 0)
        #expect(world.sink.count == 0)
    }

    @Test func `a session outlives a reload with another certificate, and the next shows that`() throws {
        let world = try TLSReceivingWorld(tls: "watch: 0s") { world in
            try world.install(try world.certificate(.init(name: "new.example.test")), as: "new.pem")
        }
        try world.python(
            running: """
                import os, subprocess
                program, configuration, folder = sys.argv[2:]
                secure, stream = inside(asked())
                for line in [b'MAIL FROM:<s@client.example>', b'RCPT TO:<user@example.test>', b'DATA']:
                    assert say(secure, stream, line)[:1] in b'23'
                secure.sendall(b'Subject: x\\r\\n')
                os.rename(folder + '/new.pem', folder + '/1.pem')
                subprocess.run([program, 'reload', '--config', configuration], check=True)
                secure.sendall(b'\\r\\nbody\\r\\n')
                answer = say(secure, stream, b'.')
                assert answer.startswith(b'250'), answer
                other, stream = inside(asked())
                assert b'new.example.test' in other.getpeercert(True)
                assert b'new.example.test' not in secure.getpeercert(True)

                """, [PosternProcess.program, world.postern.configuration, world.postern.folder.path])
        try world.sink.wait(for: 1)
    }
}
