#!/usr/bin/env python3
"""How long a live connection waits while rules are read anew.

Starts the release build with 100,000 rules in tables of every kind, keeps one session busy with EHLO, and reloads ten
times meanwhile. Prints the longest time that an EHLO took without and with reloads, and how long a reload takes.
Needs no peer and no root.
"""

import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
POSTERN = ROOT / ".build/release/postern"
RELOADS = 10


def write_rules(folder):
    """100,000 rules: 50,000 addresses, 40,000 networks, 10,000 patterns."""
    (folder / "senders").write_text("".join(f"s{i}@d{i % 997}.example REJECT\n" for i in range(50_000)))
    (folder / "clients").write_text("".join(
        f"10.{i >> 8 & 255}.{i & 255}.0/24 DUNNO\n" for i in range(40_000)))
    (folder / "helo").write_text("".join(f"/^host{i}\\.dyn[0-9]+\\.example$/ REJECT\n" for i in range(10_000)))
    (folder / "recipients").write_text("user@bench.test OK\n")


def configuration(folder, port):
    return f"""hostname: mx2.bench.test
listen: ["127.0.0.1:{port}"]
state: {folder}/state
control: {folder}/control
rules: {folder}
relay_domains: [bench.test]
relay_recipients: texthash:recipients
screener: {{enabled: false}}
restrictions:
  client: [{{check_client_access: cidr:clients}}]
  helo: [{{check_helo_access: pcre:helo}}]
  sender: [{{check_sender_access: texthash:senders}}]
"""


class Session:
    """A session that says EHLO, and how long each answer took."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.file.readline()

    def ping(self):
        start = time.perf_counter()
        self.socket.sendall(b"EHLO client.example\r\n")
        while not self.file.readline().startswith(b"250 "):
            pass
        return time.perf_counter() - start

    def run(self, is_over):
        times = []
        while not is_over():
            times.append(self.ping())
        return times


def summary(name, times):
    times.sort()
    print(f"{name}: {len(times)} answers, median {times[len(times) // 2] * 1000:.2f} ms, "
          f"99.9 % {times[int(len(times) * .999)] * 1000:.2f} ms, longest {times[-1] * 1000:.2f} ms")


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="postern-reload."))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    write_rules(folder)
    file = folder / "postern.yaml"
    file.write_text(configuration(folder, port))
    log = (folder / "log").open("w+")
    relay = subprocess.Popen([POSTERN, "run", "--config", file], stderr=log)
    try:
        while "message=ready" not in (folder / "log").read_text():
            if relay.poll() is not None:
                sys.exit((folder / "log").read_text())
            time.sleep(0.05)
        session = Session(port)
        end = time.monotonic() + 5
        summary("without reloads", session.run(lambda: time.monotonic() > end))
        durations = []

        def reload():
            for _ in range(RELOADS):
                start = time.monotonic()
                subprocess.run([POSTERN, "reload", "--config", file], check=True, stdout=subprocess.DEVNULL)
                durations.append(time.monotonic() - start)

        thread = threading.Thread(target=reload)
        thread.start()
        summary("with reloads", session.run(lambda: not thread.is_alive()))
        print(f"a reload of 100,000 rules: median {statistics.median(durations):.2f} s")
    finally:
        relay.terminate()
        relay.wait()


main()
