import Harness
import Testing

/// Clients by Python's `ssl`, whose handshakes can be cut and mixed with anything.
extension TLSReceivingWorld {
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

        def inside(connection):
            secure = context.wrap_socket(connection)
            stream = secure.makefile('rb')
            secure.sendall(b'EHLO client.example\\r\\n')
            assert lines(stream).startswith(b'250')
            return secure, stream

        def say(secure, stream, line):
            secure.sendall(line + b'\\r\\n')
            return lines(stream)

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
    static func beginning(_ way: OpenSSLClient.Way) -> String { way == .startTLS ? "asked" : "connected" }

    /// - Parameter script: works with the functions above; its other arguments begin at `sys.argv[2]`.
    func pythonProgram(_ way: OpenSSLClient.Way, running script: String, _ arguments: [String] = []) -> Program {
        Program("/usr/bin/python3", ["-c", Self.prelude + script, String(self.address(way).port)] + arguments)
    }

    /// Runs it; it fails by an assertion.
    func python(
        _ way: OpenSSLClient.Way = .startTLS, running script: String, _ arguments: [String] = []
    ) throws {
        let run = try self.pythonProgram(way, running: script, arguments).run(within: .seconds(120))
        #expect(run.ending == .exited(0), "\(run.output)")
    }
}
