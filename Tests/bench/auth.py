"""Compares SPF and DKIM with other people's, all names at hand: auth.py AUTHBENCH PEER-ROOT. README.md explains the
figures. Processor time only: nothing waits, and a busy machine does not change it much."""

import os
import resource
import subprocess
import sys
import tempfile

AUTHBENCH, PEER = sys.argv[1:3]
REPEAT = int(os.environ.get("REPEAT", "3"))
PYTHON = "/usr/bin/python3"  # For whose version the peers' modules are made.
ENVIRONMENT = os.environ | {
    "PYTHONPATH": f"{PEER}/usr/lib/python3/dist-packages",
    "LD_LIBRARY_PATH": f"{PEER}/usr/lib/x86_64-linux-gnu:{PEER}/usr/lib/aarch64-linux-gnu:{PEER}/usr/lib",
}

# The same world as in Authentication/AuthenticationBench.swift.
POLICYD = """
import sys, spf, syslog
syslog.syslog = lambda *arguments: None
NAMES = {
    ("example.com", "TXT"): [[b"v=spf1 mx ip4:198.51.100.0/24 include:_spf.a.example include:_spf.b.example -all"]],
    ("example.com", "MX"): [(10, "mx1.example.com"), (10, "mx2.example.com")],
    ("mx1.example.com", "A"): ["198.51.100.1"],
    ("mx2.example.com", "A"): ["198.51.100.2"],
    ("_spf.a.example", "TXT"): [[b"v=spf1 ip4:203.0.113.0/25 ip4:203.0.113.128/26 ip6:2001:db8:1::/48 ~all"]],
    ("_spf.b.example", "TXT"): [[b"v=spf1 ip4:192.0.2.0/28 ip4:192.0.2.64/26 ip6:2001:db8:2::/48 ~all"]],
}
spf.DNSLookup = lambda name, kind, *rest: [((name, kind), record) for record in NAMES.get((name, kind), [])]
from spf_engine import policyd_spf
sys.argv = ["policyd-spf", sys.argv[1]]
policyd_spf.main()
"""

DKIMPY = """
import sys, time, dkim
message, key = open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read().strip()
start = time.process_time()
for _ in range(int(sys.argv[3])):
    verified = dkim.verify(message, dnsfunc=lambda name, timeout=5: key)
print(sys.argv[3], time.process_time() - start, "pass" if verified else "fail")
"""


def processor_time(command, text=b""):
    """Of a program from start to end, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, input=text, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        sys.exit(f"{command[0]}: {run.stderr.decode(errors='replace')}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, run.stdout


def told(command, expected):
    """Seconds for each, of a program that measures itself."""
    _, output = processor_time(command)
    count, seconds, last = output.decode().split()
    if last != expected:
        sys.exit(f"{command}: {last}, not {expected}")
    return float(seconds) / int(count)


def marginal(measure, count):
    """Seconds for each, without the start of the program."""
    return (measure(count) - measure(1)) / (count - 1)


def best(measure):
    return min(measure() for _ in range(REPEAT))


def policyd(count, configuration):
    requests = "".join(
        f"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nhelo_name=mail.example.com\n"
        f"queue_id=\ninstance={number}\nsender=user{number}@example.com\nrecipient=user@example.net\n"
        f"client_address=192.0.2.{64 + number % 64}\nclient_name=unknown\n\n" for number in range(count))
    seconds, output = processor_time([PYTHON, "-c", POLICYD, configuration], requests.encode())
    if output.count(b"action=") != count or output.count(b"Pass") < count:
        sys.exit(f"policyd-spf: {output[-300:]}")
    return seconds


def measure_spf(folder):
    configuration = f"{folder}/policyd.conf"
    with open(configuration, "w") as file:
        file.write("debugLevel = 0\nTestOnly = 1\nHELO_reject = False\nMail_From_reject = Fail\n")
    rows = {
        "postern": best(lambda: told([AUTHBENCH, "spf", "postern", "20000"], "pass")),
        "postern with libspf2": best(lambda: told([AUTHBENCH, "spf", "libspf2", "5000"], "pass")),
        "policyd-spf": best(lambda: marginal(lambda count: policyd(count, configuration), 1000)),
    }
    print("\nSPF, a policy with an MX and two includes, one identity (policyd-spf: two)\n")
    print("| | checks/s | us |\n| --- | --: | --: |")
    for name, seconds in rows.items():
        print(f"| {name} | {1 / seconds:.0f} | {seconds * 1e6:.0f} |")


def message(size):
    header = (
        "Received: from mail.example.com (mail.example.com [192.0.2.65])\r\n\tby mx.example.net; "
        "Sat, 21 Nov 2026 04:50:00 +0000\r\nDate: Sat, 21 Nov 2026 04:50:00 +0000\r\nFrom: Somebody <user@example.com>\r\n"
        "To: user@example.net\r\nSubject: A message of some size\r\nMessage-ID: <1@example.com>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
    line = "The quick brown fox  jumps over the lazy dog, and then it does so again. \r\n"
    return (header + line * (size // len(line) + 1)).encode()


def opendkim(count, configuration, path):
    seconds, output = processor_time([f"{PEER}/usr/sbin/opendkim", "-x", configuration, "-t", ",".join([path] * count)])
    if output.count(b"succeeded") != count:
        sys.exit(f"opendkim: {output[-300:]}")
    return seconds


def sign(folder, key, size, form):
    path, configuration = f"{folder}/message-{size}-{form}", f"{folder}/sign.conf"
    with open(path, "wb") as file:
        file.write(message(size))
    with open(configuration, "w") as file:
        file.write(
            f"Mode s\nSyslog no\nDomain example.com\nSelector s\nKeyFile {key}\nCanonicalization {form}/{form}\n"
            "RequireSafeKeys no\n")
    _, output = processor_time([f"{PEER}/usr/sbin/opendkim", "-x", configuration, "-t", path, "-vv"])
    value = output.decode().split("hvalue='")[1].rstrip().rstrip("'")
    with open(path, "wb") as file:
        file.write(b"DKIM-Signature: " + value.replace("\n", "\r\n").encode() + b"\r\n" + message(size))
    return path


def measure_dkim(folder):
    key = f"{folder}/key"
    with open(key, "wb") as file:
        file.write(subprocess.check_output(["openssl", "genrsa", "-traditional", "2048"], stderr=subprocess.DEVNULL))
    public = subprocess.check_output(["openssl", "rsa", "-in", key, "-pubout"], stderr=subprocess.DEVNULL).decode()
    record = "v=DKIM1; k=rsa; p=" + "".join(line for line in public.splitlines() if not line.startswith("-----"))
    record_file, keys, configuration = f"{folder}/record", f"{folder}/keys", f"{folder}/verify.conf"
    for path, text in (
        (record_file, record), (keys, f"s._domainkey.example.com {record}\n"),
        (configuration, f"Mode v\nSyslog no\nTestPublicKeys {keys}\n")):
        with open(path, "w") as file:
            file.write(text)
    print("\nDKIM, verifying one signature of rsa-sha256 with 2048 bits\n")
    print("| | size | form | messages/s | MB/s |\n| --- | --: | --- | --: | --: |")
    for size, count in ((4000, 1000), (1_000_000, 50)):
        for form in ("relaxed", "simple"):
            path = sign(folder, key, size, form)
            octets = os.path.getsize(path)
            rows = {
                "postern": best(lambda: told([AUTHBENCH, "dkim", path, record_file, str(count)], "pass")),
                "opendkim": best(lambda: marginal(lambda n: opendkim(n, configuration, path), min(count, 300))),
                "dkimpy": best(lambda: told([PYTHON, "-c", DKIMPY, path, record_file, str(max(count // 10, 5))], "pass")),
            }
            for name, seconds in rows.items():
                print(f"| {name} | {octets} | {form} | {1 / seconds:.0f} | {octets / seconds / 1e6:.1f} |")


with tempfile.TemporaryDirectory() as folder:
    measure_spf(folder)
    measure_dkim(folder)
