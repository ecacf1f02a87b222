"""What may befall a relay. What must happen then is in README.md beside this; each is tried here."""

import smtplib
import threading
from pathlib import Path

from life import Ledger, expect
from machines import run, wait_until
from world import GOOD, LISTED, PRIMARY, Client

FOLDER = Path(__file__).resolve().parent


def drill(appliance):
    appliance.ledger = Ledger(appliance)
    for what, action in (
        ("power cut under load: what was answered 250 arrives", power_cut),
        ("disk full: 452 and an alarm, and mail again when there is room", disk_full),
        ("resolver down: put off, never refused for good", resolver_down),
        ("DNS list dead: mail goes on without it", list_dead),
        ("clock jumps two days ahead and back: mail flows, nothing is given up", clock_jump),
        ("certificate expired: an alarm, and TLS for those who do not mind", certificate_expired),
        ("PostgreSQL away: put off, never refused for good; known recipients as before", database_away),
        ("all that was promised in the drill arrived", lambda it: it.ledger.wait_until_arrived(180)),
    ):
        appliance.step(what, lambda action=action: action(appliance))


def replies(appliance, server, recipient="user@example.test", sender="sender@client.test", **words):
    """The last reply that a transaction got, by smtplib: (code, text)."""
    try:
        with smtplib.SMTP(server, 25, local_hostname="good.client.test", timeout=90,
                          source_address=(GOOD, 0)) as session:
            session.ehlo()
            for step in (lambda: session.mail(sender), lambda: session.rcpt(recipient),
                         lambda: session.data(words.get("content", "From: sender@client.test\r\nSubject: drill\r\n\r\nx\r\n"))):
                code, text = step()
                if code >= 400:
                    break
            return code, text.decode()
    except smtplib.SMTPResponseException as error:
        return error.smtp_code, error.smtp_error.decode()


class Sending:
    """One message after the other, from several sessions; remembers what was promised."""

    def __init__(self, appliance, server, sessions=4):
        self.appliance, self.server = appliance, server
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.send, args=(number,)) for number in range(sessions)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def send(self, number):
        sent = 0
        while not self.ending.is_set():
            try:
                with smtplib.SMTP(self.server, 25, local_hostname="good.client.test", timeout=20,
                                  source_address=(GOOD, 0)) as session:
                    while not self.ending.is_set():
                        subject = f"power-{number}-{sent}"
                        sent += 1
                        session.sendmail("sender@client.test", ["user@example.test"],
                                         f"From: sender@client.test\r\nSubject: {subject}\r\n\r\n" + "text\r\n" * 500)
                        self.appliance.ledger.promised[subject] += 1
            except (OSError, smtplib.SMTPException):
                self.ending.wait(0.2)


def power_cut(appliance):
    relay = appliance.relays["mx2"]
    for _ in range(2):
        before = appliance.ledger.promised.total()
        with Sending(appliance, "mx2.example.test"):
            wait_until(lambda: appliance.ledger.promised.total() > before + 200, "two hundred messages are taken", 90)
            relay.machine.cut_power()
        relay.machine.boot()
        wait_until(relay.status, "it answers after the power is back")
    found = appliance.ledger.wait_until_arrived(120)
    damaged = relay.status()["queue"]["damaged"]
    expect(damaged == 0, f"{damaged} damaged")
    return found


def disk_full(appliance):
    relay = appliance.relays["mx2"]
    machine = relay.machine
    machine.shell("dd if=/dev/zero of=/var/lib/postern/filler bs=1M 2>/dev/null; true")
    try:
        code, text = replies(appliance, "mx2.example.test")
        expect(code == 452, f"{code} {text}")
        wait_until(lambda: any("full" in alarm or "room" in alarm or "fills" in alarm for alarm in relay.alarms()),
                   "an alarm tells of it")
    finally:
        machine.unlink("/var/lib/postern/filler")
    # How much room there is is looked at every second.
    wait_until(lambda: replies(appliance, "mx2.example.test")[0] == 250, "it takes mail again", 20)
    return text


def resolver_down(appliance):
    relay = appliance.relays["mx2"]
    relay.machine.shell("systemctl stop unbound")
    try:
        code, text = replies(appliance, "mx2.example.test", sender="somebody@never-seen.client.test")
        expect(code == 250 or 400 <= code < 500, f"{code} {text}")
    finally:
        relay.machine.shell("systemctl start unbound")
    wait_until(lambda: replies(appliance, "mx2.example.test")[0] == 250, "it takes mail again", 90, 1)
    return f"{code} {text}"


def list_dead(appliance):
    names = appliance.names
    kept = names.records["test"]
    # Its name server is where nobody answers.
    names.records["test"] = [one.replace("list.test. NS ns.test.", "list.test. NS ns.list.test.") for one in kept] + [
        "ns.list A 198.51.100.250"]
    del names.records["list.test"]
    names.publish()
    relay = appliance.relays["mx1"]
    relay.machine.shell("unbound-control flush_zone list.test || systemctl restart unbound", check=False)
    try:
        appliance.ledger.swaks("without the list", server="mx1.example.test")
        listed = Client(names, LISTED, "listed.client.test")
        listed.swaks("nobody knows that it is listed", "user@example.test", "mx1.example.test")
        found = [one for one in relay.status()["screener"]["lists"] if one["unavailable"] > 0]
        expect(found, "the status says nothing of the list")
    finally:
        names.records["test"] = kept
        names.records["list.test"] = ["2.0.0.127 A 127.0.0.2", "66.100.51.198 A 127.0.0.2"]
        names.publish()
        relay.machine.shell("systemctl restart unbound")
    return found[0].get("lastProblem")


def clock_jump(appliance):
    """The clock of the service alone is moved: machines here share that of the host."""
    relay = appliance.relays["mx1"]
    machine = relay.machine
    run("cc", "-shared", "-fPIC", "-O2", "-o", machine.inside("/usr/local/lib/clock.so"), FOLDER / "clock.c")
    machine.write("/etc/postern/clock", "0\n")
    machine.write("/etc/systemd/system/postern.service.d/clock.conf", "[Service]\nEnvironment="
                  "LD_PRELOAD=/usr/local/lib/clock.so POSTERN_TEST_CLOCK=/etc/postern/clock\n")
    machine.shell("systemctl daemon-reload; systemctl restart postern.service")
    wait_until(relay.status, "it answers")
    try:
        wait_until(lambda: relay.waiting() == 0, "nothing waits", 90)
        appliance.primary.stop()
        appliance.ledger.swaks("before the jump", server="mx1.example.test")
        machine.write("/etc/postern/clock", "172800\n")
        appliance.ledger.swaks("in two days", server="mx1.example.test")
        machine.write("/etc/postern/clock", "0\n")
        appliance.ledger.swaks("back again", server="mx1.example.test")
        # And a notice to the sender, whose mail seemed to be late.
        expect(relay.waiting() >= 3, f"{relay.waiting()} wait")
        appliance.primary.start()
        # Without a flush: nothing may wait until the clock is where it was.
        wait_until(lambda: not appliance.ledger.missing(), "all three arrived by themselves", 420, 2)
    finally:
        appliance.primary.start()
        machine.unlink("/etc/systemd/system/postern.service.d/clock.conf")
        machine.shell("systemctl daemon-reload; systemctl restart postern.service")
        wait_until(relay.status, "it answers")


def certificate_expired(appliance):
    relay = appliance.relays["mx1"]
    folder = appliance.folder / "controller"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
        "-subj", "/CN=mx1.example.test", "-addext", "subjectAltName=DNS:mx1.example.test",
        "-keyout", folder / "mx1.key", "-out", folder / "mx1.request")
    run("openssl", "x509", "-in", folder / "mx1.request", "-signkey", folder / "mx1.key", "-days", "-1",
        "-out", folder / "mx1.pem")
    controller = appliance.controller
    kept = dict(controller.variables)
    controller.variables |= {"postern_tls": "given", "postern_tls_certificates": [
        {"name": "mx1", "chain": str(folder / "mx1.pem"), "key": str(folder / "mx1.key")}]}
    # Of lists that cannot be asked from here there may be others.
    def alarms():
        return [one for one in relay.alarms() if "certificate" in one]

    try:
        controller.play("--tags", "tls,config", "--limit", "mx1")
        alarm = wait_until(alarms, "an alarm")
        expect("expired" in alarm[0], alarm[0])
        appliance.ledger.swaks("expired", "--tls", server="mx1.example.test")
    finally:
        controller.variables = kept
        controller.play("--tags", "tls,config", "--limit", "mx1")
    wait_until(lambda: not alarms(), "no alarm with a good one")
    return alarm[0]


def database_away(appliance):
    machine = appliance.primary.machine
    machine.shell("DEBIAN_FRONTEND=noninteractive apt-get -qq -y install postgresql >/dev/null", 300)
    machine.shell("cd /etc/postgresql/*/main && echo \"listen_addresses = '*'\" >>postgresql.conf && "
                  "echo 'host mail mail 198.51.100.0/24 trust' >>pg_hba.conf && systemctl restart postgresql")
    machine.shell("cd /; su postgres -c \"createuser mail\"; su postgres -c \"createdb -O mail mail\"; "
                  "su postgres -c \"psql -q mail -c 'create table users (name text)' "
                  "-c 'grant all on users to mail' -c \\\"insert into users values ('inthebase@example.test')\\\"\"")
    controller = appliance.controller
    kept = dict(controller.variables)
    (controller.folder / "files/rules/users.pgsql").write_text(
        f"hosts = {PRIMARY}\nuser = mail\ndbname = mail\nquery = SELECT name FROM users WHERE name = '%s'\n")
    controller.variables |= {"postern_extra": {
        "relay_recipients": ["texthash:relay_recipients", "pgsql:users.pgsql"]}}
    relay = appliance.relays["mx1"]
    try:
        controller.play("--tags", "rules,config", "--limit", "mx1")
        there = [replies(appliance, "mx1.example.test", recipient)[0]
                 for recipient in ("inthebase@example.test", "nobody@example.test")]
        expect(there == [250, 550], f"with the data base: {there}")
        # The unit without an instance is stopped before its servers are.
        machine.shell("systemctl stop 'postgresql@*-main.service'")
        away = replies(appliance, "mx1.example.test", "somebodyelse@example.test")
        expect(400 <= away[0] < 500, f"without it: {away}")
        appliance.ledger.swaks("text table", server="mx1.example.test")
        machine.shell("systemctl restart postgresql")
        wait_until(lambda: replies(appliance, "mx1.example.test", "nobody@example.test")[0] == 550, "asked again", 60)
    finally:
        controller.variables = kept
        (controller.folder / "files/rules/users.pgsql").unlink()
        controller.play("--tags", "rules,config", "--limit", "mx1")
    wait_until(relay.status, "it answers")
    return f"{away[0]} {away[1]}"
