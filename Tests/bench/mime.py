"""Times `postern message inspect` on large messages, the start of the program subtracted."""

import base64
import os
import random
import subprocess
import sys
import tempfile
import time

SIZE = 200_000_000
REPEAT = 5
WORDS = "Please find attached the report between Monday and the server has been good but nothing was there".split()


def lines(size):
    chance = random.Random(1)
    sample = []
    while sum(map(len, sample)) < 1_000_000:
        sample.append(" ".join(chance.choice(WORDS) for _ in range(12)) + "\r\n")
    text = "".join(sample)
    return (text * (size // len(text) + 1)).encode()


def message(kind):
    header = b"Content-Type: multipart/mixed; boundary=abcdef\r\n\r\n--abcdef\r\n"
    if kind == "text":
        body = b"Content-Type: text/plain\r\n\r\n" + lines(SIZE)
    elif kind == "base64":
        encoded = base64.encodebytes(os.urandom(10_000_000 // 57 * 57)).replace(b"\n", b"\r\n")
        field = b"Content-Transfer-Encoding: base64\r\n\r\n"
        body = b"Content-Type: application/octet-stream\r\n" + field + encoded * (SIZE // len(encoded) + 1)
    else:
        quoted = lines(SIZE // 2).replace(b"a", b"=61")
        body = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + quoted
    return header + body + b"\r\n--abcdef--\r\n"


def seconds(program, file):
    best = None
    for _ in range(REPEAT):
        start = time.monotonic()
        subprocess.run([program, "message", "inspect", file], check=True, stdout=subprocess.DEVNULL)
        took = time.monotonic() - start
        best = took if best is None else min(best, took)
    return best


def main(program, folder):
    with tempfile.TemporaryDirectory(dir=folder) as work:
        empty = os.path.join(work, "empty")
        open(empty, "wb").close()
        start = seconds(program, empty)
        for kind in ["text", "base64", "quoted-printable"]:
            file = os.path.join(work, kind)
            content = message(kind)
            with open(file, "wb") as output:
                output.write(content)
            rate = len(content) / max(seconds(program, file) - start, 1e-6) / 1e6
            print(f"{kind:18} {rate:8.0f} MB/s", flush=True)
            os.remove(file)


main(*sys.argv[1:])
