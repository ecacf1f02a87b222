#!/usr/bin/env python3
"""What TLS costs a server: sessions, resumed sessions, content and memory, of Postern and of Postfix in turn.

A session is EHLO, STARTTLS, the handshake, EHLO, QUIT; the same without TLS beside it. The clients are Python's ssl
module, that is OpenSSL, and take as much of the machine as the server: so the processor time of the server counts, and
sessions a second only beside the peer's. `openssl speed` says what the cryptography of a handshake takes at least.
"""

import argparse
import multiprocessing
import re
import socket
import ssl
import statistics
import subprocess
import time
from pathlib import Path

from accounting import Meter
from servers import Postfix, Relay, Sink

WORKERS = 4


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


class Session:
    """One connection, greeted."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read()

    def read(self):
        data = b""
        while not re.search(rb"^\d\d\d [^\r]*\r\n\Z", data, re.MULTILINE):
            piece = self.socket.recv(65536)
            if not piece:
                raise EOFError(data)
            data += piece
        return data

    def ask(self, line, code):
        self.socket.sendall(line)
        reply = self.read()
        if not reply.startswith(code):
            raise ValueError(f"{line!r}: {reply!r}")

    def secure(self, made, session=None):
        self.ask(b"STARTTLS\r\n", b"220")
        self.socket = made.wrap_socket(self.socket, session=session)
        self.ask(b"EHLO client.bench.test\r\n", b"250")

    def end(self):
        self.ask(b"QUIT\r\n", b"221")
        self.socket.close()


def run_sessions(job):
    address, kind, count = job
    made, kept, resumed = context(), None, 0
    for _ in range(count):
        session = Session(address)
        session.ask(b"EHLO client.bench.test\r\n", b"250")
        if kind != "plain":
            session.secure(made, kept if kind == "resumed" else None)
            resumed += session.socket.session_reused
            kept = session.socket.session
        session.end()
    return resumed


def run_messages(job):
    address, kind, count, size = job
    line = b"0123456789abcdef" * 4 + b"\r\n"
    content = b"Subject: large\r\n\r\n" + line * (size // len(line)) + b".\r\n"
    session = Session(address)
    session.ask(b"EHLO client.bench.test\r\n", b"250")
    if kind == "tls":
        session.secure(context())
    for _ in range(count):
        session.ask(b"MAIL FROM:<sender@client.bench.test>\r\n", b"250")
        session.ask(b"RCPT TO:<user1@bench.test>\r\n", b"250")
        session.ask(b"DATA\r\n", b"354")
        session.ask(content, b"250")
    session.end()


def spent(meter, body):
    """Seconds of the clock, and of the processor in the server."""
    meter.rest(10)
    before, start = sum(meter.cpu()), time.monotonic()
    body()
    seconds = time.monotonic() - start
    meter.rest(10)
    return seconds, sum(meter.cpu()) - before


def sessions(relay, kind, count):
    with multiprocessing.Pool(WORKERS) as pool:
        pool.map(run_sessions, [(relay.address, kind, 5)] * WORKERS)
        found = []
        seconds, used = spent(relay.meter, lambda: found.extend(
            pool.map(run_sessions, [(relay.address, kind, count // WORKERS)] * WORKERS)))
    if kind == "resumed" and sum(found) < count * 0.95:
        raise ValueError(f"{relay.name}: only {sum(found)} of {count} sessions were resumed")
    return {"rate": count / seconds, "cpu": used / count * 1000}


def content(relay, kind, count, size):
    with multiprocessing.Pool(WORKERS) as pool:
        seconds, used = spent(relay.meter, lambda: pool.map(
            run_messages, [(relay.address, kind, count // WORKERS, size)] * WORKERS))
    megabytes = count * size / 1e6
    return {"rate": megabytes / seconds, "cpu": used / megabytes * 1000}


def memory(relay, kind, count):
    made, before = context(), relay.meter.pss()
    held = []
    for _ in range(count):
        session = Session(relay.address)
        session.ask(b"EHLO client.bench.test\r\n", b"250")
        if kind == "tls":
            session.secure(made)
        held.append(session)
    relay.meter.rest(10)
    grown = relay.meter.pss() - before
    for session in held:
        session.socket.close()
    return grown / count


def limits():
    """What one processor needs at least: a signature, a key of its own and a common one; and octets of content."""
    def last(*arguments):
        command = ["openssl", "speed", "-seconds", "2", *arguments]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip().splitlines()[-1].split()

    signatures, agreements = float(last("ecdsap256")[-2]), float(last("ecdhx25519")[-1])
    octets = float(last("-evp", "aes-256-gcm", "-bytes", "16384")[-1].rstrip("k"))
    print(f"openssl speed: {signatures:.0f} signatures/s (P-256), {agreements:.0f} key agreements/s (X25519), together "
          f"{1000 / signatures + 2000 / agreements:.3f} ms a handshake; AES-256-GCM {octets / 1000:.0f} MB/s, "
          f"{1000 / (octets / 1000):.2f} ms a MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True)
    parser.add_argument("--name", default="target")
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--state", default="/var/tmp")
    parser.add_argument("--certificate", required=True, help="PEM file with chain and key")
    parser.add_argument("--sessions", type=int, default=1600)
    parser.add_argument("--messages", type=int, default=40)
    parser.add_argument("--size", type=int, default=5_000_000)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    host, port = args.target.rsplit(":", 1)
    overrides = [f"smtpd_tls_chain_files={args.certificate}", "smtpd_tls_security_level=may",
                 "tls_random_source=dev:/dev/urandom", "smtpd_client_connection_rate_limit=0"]
    with Sink(("127.0.0.1", 2526), Path("/"), True), \
            Postfix(("127.0.0.1", 2527), ("127.0.0.1", 2526), "user1@bench.test", Path("/"), args.state,
                    overrides=overrides) as peer:
        relays = [Relay(args.name, (host, int(port)), Meter(args.pid)), peer]
        limits()
        print(f"| figure | {args.name} | postfix | ratio |\n|---|---|---|---|")
        for kind in ("plain", "tls", "resumed"):
            runs = [[sessions(relay, kind, args.sessions) for relay in relays] for _ in range(args.repeat)]
            row(f"{kind} sessions/s", runs, "rate")
            row(f"processor time of a {kind} session, ms", runs, "cpu")
        for kind in ("plain", "tls"):
            runs = [[content(relay, kind, args.messages, args.size) for relay in relays]
                    for _ in range(args.repeat)]
            row(f"{kind} content, MB/s", runs, "rate")
            row(f"processor time of a MB of {kind} content, ms", runs, "cpu")
        for kind in ("plain", "tls"):
            counts = (args.idle, min(args.idle, 150))
            runs = [[{"kb": memory(relay, kind, count) / 1024} for relay, count in zip(relays, counts)]]
            row(f"memory of an idle {kind} connection, KB", runs, "kb")


def row(name, runs, key):
    ours, theirs = (statistics.median(run[index][key] for run in runs) for index in (0, 1))
    print(f"| {name} | {ours:.3g} | {theirs:.3g} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    main()
