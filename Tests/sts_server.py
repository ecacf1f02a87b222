"""An HTTPS server that says to each host what a test wants. sts_server.py FILE [HOST]

FILE is JSON: {"mta-sts.example.test": {"certificate": PEM, "response": TEXT, "then": "close", "pieces": false}}. The
response is sent as it stands, octet by octet with "pieces". "then" is "close", "silence" (nothing more, until the client
goes), "cut" (the connection ends without TLS's goodbye) or "endless" (the response again and again). Each request is
printed as a line of JSON, behind a first line with the port.
"""

import json
import socket
import socketserver
import ssl
import sys

hosts = json.load(open(sys.argv[1]))
contexts = {}
for name, host in hosts.items():
    contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    contexts[name].load_cert_chain(host["certificate"])
    if "version" in host:
        contexts[name].set_ciphers("ALL:@SECLEVEL=0")
        contexts[name].maximum_version = ssl.TLSVersion[host["version"]]
first = contexts[next(iter(hosts))]


def choose(connection, name, _):
    if name not in contexts:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    connection.context = contexts[name]


for context in contexts.values():
    context.sni_callback = choose


class Session(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            with first.wrap_socket(self.request, server_side=True) as stream:
                self.serve(stream)
        except OSError:
            pass  # The client went, which some of them are to do.

    def serve(self, stream):
        lines = stream.makefile("rb")
        method, path, _ = lines.readline().decode().split()
        header = {}
        while line := lines.readline().decode().strip():
            key, value = line.split(":", 1)
            header[key.lower()] = value.strip()
        body = lines.read(int(header.get("content-length", 0))).decode()
        print(json.dumps({"method": method, "path": path, "header": header, "body": body}), flush=True)
        host = hosts[header["host"].split(":")[0]]
        self.answer(stream, host["response"].encode(), host)

    def answer(self, stream, response, host):
        then = host.get("then", "close")
        while True:
            for piece in [response[i:i + 1] for i in range(len(response))] if host.get("pieces") else [response]:
                stream.sendall(piece)
            if then != "endless":
                break
        if then == "silence":
            while stream.recv(4096):
                pass
        elif then == "cut":
            stream.shutdown(socket.SHUT_RDWR)
        else:
            stream.unwrap()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


with Server((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", 0), Session) as server:
    print("port", server.server_address[1], flush=True)
    server.serve_forever()
