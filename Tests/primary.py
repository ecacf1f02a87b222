"""A primary to look at: takes whatever comes and prints it. primary.py HOST PORT"""

import socketserver
import sys


class Session(socketserver.StreamRequestHandler):
    def reply(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.reply("220 primary.example.test ESMTP")
        for line in self.rfile:
            verb = line.strip().upper().split(b" ")[0]
            if verb == b"DATA":
                self.reply("354 End data with <CR><LF>.<CR><LF>")
                self.content()
                self.reply("250 2.0.0 Ok")
            elif verb == b"QUIT":
                return self.reply("221 2.0.0 Bye")
            else:
                self.reply("250 Ok")

    def content(self):
        print("-" * 78)
        for line in self.rfile:
            if line == b".\r\n":
                break
            print(line.removeprefix(b".").rstrip(b"\r\n").decode(errors="replace"))
        print("-" * 78, flush=True)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server((sys.argv[1], int(sys.argv[2])), Session) as server:
    print(f"listening on {sys.argv[1]}:{sys.argv[2]}, end with control-C", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
