"""A primary with TLS that does what a test wants. tls_primary.py HOST SETTINGS

SETTINGS is JSON: {"certificate": PEM, "extensions": ["REQUIRETLS"], "handshake": "done", "injected": ""}. With a
certificate STARTTLS is offered, and the extensions inside TLS. "handshake" is what then becomes of it: "done", "cut"
(the connection ends instead) or "noise" (octets that are no TLS). "injected" is sent in plain text right behind the
answer to STARTTLS. What it is told is printed, each line and each content as JSON with the number of the session and
whether it came inside TLS, behind a first line with the port.
"""

import itertools
import json
import socket
import socketserver
import ssl
import sys
import threading

settings = json.loads(sys.argv[2])
context = None
if settings.get("certificate"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings["certificate"])
numbers = itertools.count(1)
printing = threading.Lock()


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        self.number = next(numbers)
        self.secured = False
        try:
            # Unbuffered, so that nothing of the handshake is read as lines.
            self.lines = self.request.makefile("rb", buffering=0)
            self.reply("220 primary.example.test ESMTP")
            while line := self.lines.readline():
                if not self.answer(line.rstrip(b"\r\n").decode("latin-1")):
                    break
        except OSError as error:
            self.show(error=str(error))

    def show(self, **fields):
        with printing:
            print(json.dumps({"session": self.number, "tls": self.secured, **fields}), flush=True)

    def reply(self, *lines):
        for place, line in enumerate(lines):
            if place + 1 < len(lines):
                line = line[:3] + "-" + line[4:]
            self.request.sendall(line.encode() + b"\r\n")

    def answer(self, line):
        self.show(line=line)
        verb = line.split(" ")[0].upper()
        if verb == "EHLO":
            extensions = settings.get("extensions", []) if self.secured else ["STARTTLS"] if context else []
            self.reply("250 primary.example.test", *["250 " + extension for extension in extensions])
        elif verb == "STARTTLS":
            return self.secure()
        elif verb == "DATA":
            self.reply("354 Go on")
            content = b""
            while (piece := self.lines.readline()) not in (b".\r\n", b""):
                content += piece
            self.show(content=content.decode("latin-1"))
            self.reply("250 2.0.0 Ok")
        elif verb == "QUIT":
            self.reply("221 2.0.0 Bye")
            return False
        else:
            self.reply("250 2.0.0 Ok")
        return True

    def secure(self):
        handshake = settings.get("handshake", "done")
        self.request.sendall(("220 Ready\r\n" + settings.get("injected", "")).encode())
        if handshake == "noise":
            self.request.sendall(b"\x15\x03\x03this is no TLS\r\n" * 10)
        if handshake != "done":
            # It begins with what the client says, which is read, so that the end is no reset.
            self.request.recv(65536)
            self.request.shutdown(socket.SHUT_WR)
            while self.request.recv(65536):
                pass
            return False
        self.request = context.wrap_socket(self.request, server_side=True)
        self.lines = self.request.makefile("rb", buffering=0)
        self.secured = True
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server((sys.argv[1], 0), Session) as server:
    print("port", server.server_address[1], flush=True)
    server.serve_forever()
