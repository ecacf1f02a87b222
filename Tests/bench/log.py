#!/usr/bin/env python3
"""How long it takes to search a large log, and to make a report of it, beside grep over the same file.

    Tests/bench/log.py [--binary .build/release/postern] [--megabytes 1000] [--repeat 3] [--journal]

The log is of sessions and messages as a relay writes them: most are refused, the rest queued and delivered, each with
addresses of its own. What is searched for is one sender in the middle, one client, and a domain that a third of the
lines has. Printed are the medians of seconds, and of peak memory.

With --journal the same lines are in a journal of systemd's instead, some five times as large, and journalctl's own
reading of it all is what they are measured against. It takes systemd's programs from .build/peers (Tests/peers.sh).
"""

import argparse
import os
import pathlib
import random
import re
import statistics
import subprocess
import tempfile
import time

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def identifier(number: int) -> str:
    text = ""
    while number:
        text = DIGITS[number % 32] + text
        number //= 32
    return text.rjust(11, "0")


def story(number: int, chance: random.Random) -> str:
    second = number // 20
    time_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1_790_000_000 + second)) + f".{number % 1000:03d}Z"
    session, message = identifier((1_790_000_000 << 16) + number * 2), identifier((1_790_000_000 << 16) + number * 2 + 1)
    client = f"client=198.51.{number % 100}.{number // 100 % 250}:{1024 + number % 60000} helo=mail{number % 977}.example.org"
    path = f"from=s{number}@domain{number % 3001}.example to=u{number % 499}@{('example.com', 'example.net', 'example.info')[number % 3]}"
    lines = [f"event=screened session={session} {client.split()[0]} local=203.0.113.1:25 result=passed new=no score=0"]
    if chance.random() < 0.6:
        lines.append(
            f"event=refused session={session} {client} {path} command=RCPT "
            f'reply="554 5.7.1 Service unavailable; blocked using list{number % 3}.example [ref {session[-6:]}]" '
            f'ref={session[-6:]} list=recipient restriction="reject_rbl_client list{number % 3}.example" '
            f"rule=/etc/postern/postern.yaml:31 value=list{number % 3}.example generation=1")
    else:
        size = f"recipients=1 bytes={chance.randrange(900, 90_000)}"
        lines.append(
            f"event=queued id={message} session={session} {client} {path} {size} "
            'authentication="spf=pass dkim=pass arc=none dmarc=pass" tls=TLSv1.3/TLS_AES_256_GCM_SHA384/256')
        lines.append(
            f"event=delivered id={message} {path} {size} destination=[192.0.2.25]:25 remote=192.0.2.25:25 "
            'tls="dane TLSv1.3/TLS_AES_256_GCM_SHA384/256" reply="250 2.0.0 Ok: queued as 4XqD1z0Zz" age=0.112')
    return "".join(f"{time_text} {line}\n" for line in lines)


def write(file, megabytes: int) -> int:
    chance = random.Random(7)
    written = number = 0
    while written < megabytes * 1_000_000:
        piece = "".join(story(number + more, chance) for more in range(2000)).encode()
        number += 2000
        written += file.write(piece)
    return number


PEER = pathlib.Path(__file__).resolve().parents[2] / ".build/peers/journal/usr"
LIBRARIES = f"{PEER}/lib/x86_64-linux-gnu:{PEER}/lib/x86_64-linux-gnu/systemd"
PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)')
OF_THE_JOURNAL = """__REALTIME_TIMESTAMP={time}
__MONOTONIC_TIMESTAMP={time}
_BOOT_ID=0123456789abcdef0123456789abcdef
_MACHINE_ID=0123456789abcdef0123456789abcdef
_TRANSPORT=journal
_SYSTEMD_UNIT=postern.service
_HOSTNAME=mx1
PRIORITY=6
SYSLOG_IDENTIFIER=postern
"""


def write_journal(folder: str, megabytes: int) -> tuple[int, str]:
    """The lines of so many megabytes as entries of a journal, and a journalctl that reads it.

    Returns the number of sessions, and the reference of one that was refused.
    """
    program = [f"{PEER}/lib/systemd/systemd-journal-remote", "-o", f"{folder}/postern.journal", "-"]
    writer = subprocess.Popen(
        program, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "LD_LIBRARY_PATH": LIBRARIES})
    chance = random.Random(7)
    written = number = 0
    at = 1_790_000_000_000_000
    reference = ""
    while written < megabytes * 1_000_000:
        for line in story(number, chance).splitlines():
            stamp, message = line.split(" ", 1)
            at += 20_000
            fields = "".join(f"POSTERN_{key.upper()}={value.strip(chr(34))}\n" for key, value in PAIR.findall(message))
            entry = f"{OF_THE_JOURNAL.format(time=at)}MESSAGE={message}\nPOSTERN_TIME={stamp}\n{fields}\n"
            writer.stdin.write(entry.encode())
            written += len(line) + 1
            if not reference and message.startswith("event=refused"):
                reference = identifier((1_790_000_000 << 16) + number * 2)[-6:]
        number += 1
    writer.stdin.close()
    if writer.wait() != 0:
        raise SystemExit("systemd-journal-remote did not write the journal")
    wrapper = pathlib.Path(folder, "journalctl")
    wrapper.write_text(f"#!/bin/sh\nLD_LIBRARY_PATH={LIBRARIES} exec {PEER}/bin/journalctl -D {folder} \"$@\"\n")
    wrapper.chmod(0o755)
    return number, reference


def measure_journal(binary: str, megabytes: int, repeat: int) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        stories, reference = write_journal(folder, megabytes)
        size = sum(file.stat().st_size for file in pathlib.Path(folder).iterdir()) / 1_000_000
        middle = stories // 2
        session = identifier((1_790_000_000 << 16) + middle * 2)
        path = {"PATH": f"{folder}:/usr/bin:/bin"}
        everything = ["journalctl", "--unit=postern", "--output=json", "--all", "--output-fields=MESSAGE"]
        searches = [
            ("a reference, its session", ["log", reference]), ("a session, its story", ["log", session]),
            ("a sender, its story", ["log", f"s{middle}@domain{middle % 3001}.example"]),
            ("the report", ["report", "--since", "2026-01-01", "--until", "2030-01-01"]),
        ]
        print(f"{stories} sessions, a journal of {size:.0f} MB")
        runs = [timed(everything, path) for _ in range(repeat)]
        other = statistics.median(run[0] for run in runs)
        # The journal's mapped files are counted as memory, in what follows as well.
        print(f"journalctl, all of it: {other:.1f} s, {max(run[1] for run in runs):.0f} MB")
        for what, arguments in searches:
            runs = [timed([binary, *arguments], path) for _ in range(repeat)]
            seconds = statistics.median(run[0] for run in runs)
            print(f"{what}: {seconds:.2f} s, {max(run[1] for run in runs):.0f} MB, {runs[0][2]} lines; "
                  f"ratio {seconds / other:.3f}")


def timed(command: list[str], environment=None) -> tuple[float, float, int]:
    """Seconds, peak memory in MB and lines that came out."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.execvpe(command[0], command, {**os.environ, **(environment or {})})
        _, status, usage = os.wait4(child, 0)
        seconds = time.monotonic() - began
        if os.waitstatus_to_exitcode(status) > 1:
            raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
        output.seek(0)
        return seconds, usage.ru_maxrss / 1000, sum(1 for _ in output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=".build/release/postern")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--journal", action="store_true")
    options = parser.parse_args()
    if options.journal:
        measure_journal(options.binary, options.megabytes, options.repeat)
        return
    with tempfile.NamedTemporaryFile(dir="/var/tmp", suffix=".log") as log:
        stories = write(log, options.megabytes)
        log.flush()
        middle = stories // 2
        sender = f"s{middle}@domain{middle % 3001}.example"
        client = f"198.51.{middle % 100}.{middle // 100 % 250}"
        searches = [
            ("a sender, its story", ["log", "--file", log.name, sender], ["grep", "-F", f"from={sender} ", log.name]),
            ("a client, only its lines", ["log", "--only", "--file", log.name, client],
             ["grep", "-F", f"client={client}:", log.name]),
            ("a client, its stories", ["log", "--file", log.name, client],
             ["grep", "-F", f"client={client}:", log.name]),
            ("the report", ["report", "--since", "2026-01-01", "--until", "2030-01-01", "--file", log.name], ["grep", "-cF", "event=refused", log.name]),
        ]
        print(f"{stories} sessions, {options.megabytes} MB")
        for what, arguments, grep in searches:
            ours = [timed([options.binary, *arguments]) for _ in range(options.repeat)]
            theirs = [timed(grep, {"LC_ALL": "C"}) for _ in range(options.repeat)]
            seconds, other = (statistics.median(one[0] for one in runs) for runs in (ours, theirs))
            memory = max(one[1] for one in ours)
            print(f"{what}: {seconds:.1f} s, {memory:.0f} MB, {ours[0][2]} lines; grep {other:.2f} s, "
                  f"{theirs[0][2]} lines; ratio {seconds / other:.0f}")


if __name__ == "__main__":
    main()
