#!/usr/bin/env python3
"""Fill the queue of a Postern with a million messages, and see what that costs.

The primary is away. Reports, for each tenth of the messages, how fast they were accepted and what processor time one
took; then how long a start takes, how long the first 100 messages take to list, and the resident memory.
"""

import argparse
import os
import signal
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid, kind="VmRSS"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) / 1024
    return 0


def start(args, log):
    began = time.monotonic()
    with open(log, "wb") as output:
        daemon = subprocess.Popen([args.program, "run", "--config", args.config], stderr=output)
    while b"message=ready" not in Path(log).read_bytes():
        if daemon.poll() is not None:
            raise SystemExit(Path(log).read_text())
        time.sleep(0.01)
    return daemon, time.monotonic() - began


def timed(args, *command):
    began = time.monotonic()
    done = subprocess.run([args.program, *command, "--config", args.config], stdout=subprocess.PIPE, check=True)
    return time.monotonic() - began, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--source", required=True, help="Postfix's smtp-source")
    parser.add_argument("--log", required=True)
    parser.add_argument("--target", default="127.0.0.1:2525")
    parser.add_argument("--messages", type=int, default=1_000_000)
    args = parser.parse_args()

    daemon, _ = start(args, args.log)
    print("| messages queued | accept/s | CPU ms/msg | resident MB |\n| --- | --- | --- | --- |")
    step = args.messages // 10
    for tenth in range(1, 11):
        before, began = cpu(daemon.pid), time.monotonic()
        subprocess.run([args.source, "-d", "-s", "100", "-m", str(step), "-l", "1024", "-M", "client.bench.test", "-f",
                        "sender@client.bench.test", "-t", "user1@bench.test", args.target], check=True)
        seconds = time.monotonic() - began
        print(f"| {tenth * step} | {step / seconds:.0f} | {(cpu(daemon.pid) - before) * 1e3 / step:.3f} | "
              f"{resident(daemon.pid):.0f} |", flush=True)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()

    daemon, seconds = start(args, args.log)
    print(f"\nstart after SIGKILL: {seconds:.2f} s, resident {resident(daemon.pid):.0f} MB")
    lists = sorted(timed(args, "queue", "list", "--limit", "100")[0] for _ in range(5))
    print(f"list the first 100: {lists[2] * 1e3:.0f} ms, the command's start included")
    print(f"status: {timed(args, 'status')[0] * 1e3:.0f} ms")
    print(f"shape of all: {timed(args, 'queue', 'shape')[0]:.1f} s")
    print(f"resident {resident(daemon.pid):.0f} MB, at most {resident(daemon.pid, 'VmHWM'):.0f} MB")
    daemon.send_signal(signal.SIGTERM)
    raise SystemExit(daemon.wait())


main()
