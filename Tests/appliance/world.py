"""What is around the relays: signed zones from the root down, a primary, clients, and the controller's inventory."""

import os
import shutil
import subprocess
from pathlib import Path

from machines import GATEWAY, Failed, run, wait_until

PEERS = Path(__file__).resolve().parents[2] / ".build/peers"
DNS = PEERS / "dns"
# Clients: their reverse names are in the zone of the network. The second is on the DNS list.
GOOD, LISTED, BOT = "198.51.100.100", "198.51.100.66", "198.51.100.101"
RELAYS = {"mx1": "198.51.100.11", "mx2": "198.51.100.12"}
PRIMARY = "198.51.100.20"


class Names:
    """nsd on the gateway, with a root of its own, signed down to `example.test`."""

    ZONES = (".", "test", "example.test", "client.test", "100.51.198.in-addr.arpa", "list.test")

    def __init__(self, folder):
        self.folder = folder / "names"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.records = {zone: [] for zone in self.ZONES}
        self.add(".", "test. NS ns.test.", "in-addr.arpa. NS ns.test.", "ns.test. A " + GATEWAY)
        self.add("test", "ns A " + GATEWAY)
        for zone in ("example.test", "client.test", "list.test"):
            self.add("test", f"{zone}. NS ns.test.")
        self.add("100.51.198.in-addr.arpa", *(f"{address.split('.')[3]} PTR {name}." for address, name in {
            GOOD: "good.client.test", LISTED: "listed.client.test", BOT: "bot.client.test",
            GATEWAY: "load.client.test", RELAYS["mx1"]: "mx1.example.test", RELAYS["mx2"]: "mx2.example.test"}.items()))
        self.add("client.test", "@ MX 10 good", f"good A {GOOD}", f"listed A {LISTED}", f"bot A {BOT}",
                 f"load A {GATEWAY}", f'@ TXT "v=spf1 ip4:{GOOD} ip4:{GATEWAY} ip4:{LISTED} -all"')
        self.add("list.test", "2.0.0.127 A 127.0.0.2", "66.100.51.198 A 127.0.0.2")
        self.add("example.test", "@ MX 10 mx1", "@ MX 20 mx2", f"primary A {PRIMARY}",
                 *(f"{name} A {address}" for name, address in RELAYS.items()))
        self.key = self.tool("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "-r", "/dev/urandom", ".").strip()
        self.zone_keys = {zone: self.tool("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "-r", "/dev/urandom",
                                          zone).strip() for zone in ("test", "example.test")}
        for zone, key in self.zone_keys.items():
            above = "." if zone == "test" else "test"
            self.add(above, (self.folder / f"{key}.ds").read_text().strip())
        self.process = None

    def add(self, zone, *records):
        self.records[zone] += records

    def tool(self, name, *words):
        return run(self.program(name), *words, cwd=self.folder, env=self.environment())

    def program(self, name):
        for place in ("usr/sbin", "usr/bin"):
            if (DNS / place / name).exists():
                return DNS / place / name
        raise SystemExit(f"{name} is not among the peers")

    def environment(self):
        return {**os.environ, "LD_LIBRARY_PATH": str(DNS / "usr/lib/x86_64-linux-gnu")}

    def trust_anchor(self):
        return (self.folder / f"{self.key}.ds").read_text()

    def publish(self):
        """Writes and signs the zones, and (re)starts the server."""
        zones = []
        for zone, records in self.records.items():
            origin = zone if zone == "." else zone + "."
            file = self.folder / (zone.strip(".") or "root")
            body = "\n".join(records)
            file.write_text(f"$ORIGIN {origin}\n$TTL 20\n@ SOA ns.test. admin.test. 1 60 60 60 5\n@ NS ns.test.\n{body}\n")
            key = self.key if zone == "." else self.zone_keys.get(zone)
            if key:
                self.tool("ldns-signzone", "-o", origin, "-f", f"{file}.signed", file, key)
                file = Path(f"{file}.signed")
            zones.append(f"zone:\n  name: {zone}\n  zonefile: {file}\n")
        (self.folder / "nsd.conf").write_text(
            f"server:\n  ip-address: {GATEWAY}\n  username: \"\"\n  pidfile: \"\"\n  database: \"\"\n"
            f"  zonesdir: {self.folder}\n  xfrdfile: {self.folder}/xfrd\n  zonelistfile: {self.folder}/list\n"
            f"  chroot: \"\"\n  logfile: {self.folder}/log\n  server-count: 1\nremote-control:\n  control-enable: no\n"
            + "".join(zones))
        self.stop()
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.program("nsd"), "-d", "-c", self.folder / "nsd.conf"],
                                        env=self.environment(), stdin=subprocess.DEVNULL)
        wait_until(lambda: "198.51" in self.lookup("mx1.example.test", "A"), "the name server answers", 20)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def lookup(self, name, kind):
        return self.tool("drill", "-Q", f"@{GATEWAY}", name, kind)

    def exchangers(self, domain):
        """The hosts of a domain's MX records, best first."""
        lines = [line.split() for line in self.lookup(domain, "MX").splitlines()]
        return [host.rstrip(".") for _, host in sorted((int(line[0]), line[1]) for line in lines if len(line) == 2)]


class Primary:
    """Debian's Postfix on a machine of its own: whatever comes for the domain is put into one Maildir."""

    def __init__(self, machine):
        self.machine = machine
        machine.boot()
        machine.shell("echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections; "
                      "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install postfix", 300)
        machine.shell("useradd -m catch")
        machine.write("/etc/postfix/main.cf", "\n".join((
            "compatibility_level = 3.6", "myhostname = primary.example.test", "mydestination = $myhostname example.test",
            "inet_interfaces = all", "inet_protocols = ipv4", "local_recipient_maps =", "luser_relay = catch",
            "home_mailbox = Maildir/", "mynetworks = 127.0.0.0/8", "smtpd_client_connection_rate_limit = 0",
            "alias_maps =", "message_size_limit = 0", "mailbox_size_limit = 0",
            "smtpd_authorized_xforward_hosts = 198.51.100.0/24", "")))
        machine.shell("systemctl restart postfix; systemctl is-active postfix")

    def stop(self):
        self.machine.shell("postfix stop", check=False)

    def start(self):
        self.machine.shell("postfix start", check=False)  # It may run already.
        self.machine.shell("postfix status")

    def subjects(self):
        """The subjects of what arrived, repeats included."""
        text = self.machine.shell("grep -rhi -m1 '^Subject: ' /home/catch/Maildir/new 2>/dev/null", check=False)
        return [line.split(":", 1)[1].strip() for line in text.splitlines() if line.lower().startswith("subject:")]


class Client:
    """A mail server of somebody else, at an address of its own."""

    def __init__(self, names, address=GOOD, name="good.client.test"):
        self.names, self.address, self.name = names, address, name

    def swaks(self, subject, recipient="user@example.test", server=None, *words, check=True):
        """Finds the server by MX lookup and hands it one message; swaks' own dialog."""
        output = ""
        for host in [server] if server else self.names.exchangers("example.test"):
            done = subprocess.run(
                ["perl", PEERS / "swaks/usr/bin/swaks", "--server", host, "--local-interface", self.address,
                 "--ehlo", self.name, "--from", "sender@client.test", "--to", recipient,
                 "--header", f"Subject: {subject}", "--timeout", "60", *words],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=180,
                env={**os.environ, "PERL5LIB": str(PEERS / "swaks/usr/share/perl5") + ":"
                     + str(PEERS / "swaks/usr/lib/x86_64-linux-gnu/perl5/5.36")})
            output = done.stdout
            if done.returncode == 0 or not check:
                return output
        raise Failed(f"no exchanger took {subject}:\n{output[-2000:]}")

    def load(self, subject, count, server):
        """Postfix's load generator, ten sessions at a time; it ends with an error if one message is not taken."""
        postfix = PEERS / "postfix"
        run(postfix / "usr/sbin/smtp-source", "-s", "10", "-m", count, "-l", "3000", "-S", subject, "-M", "load.client.test",
            "-f", "sender@client.test", "-t", "user@example.test", f"inet:{server}:25", timeout=300,
            env={**os.environ, "LD_LIBRARY_PATH": f"{postfix}/usr/lib/postfix:{postfix}/usr/lib/x86_64-linux-gnu"})
