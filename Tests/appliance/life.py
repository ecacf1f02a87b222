"""A relay's life: set up, used, without its primary for a while, restarted, upgraded, and drained."""

import collections
import json
import re

from machines import Failed, wait_until
from relays import Knocking, upgraded
from world import LISTED, Client


def expect(condition, what):
    if not condition:
        raise Failed(what)


class Ledger:
    """What was promised, by subject; and what the primary has of it."""

    def __init__(self, appliance):
        self.appliance = appliance
        self.promised = collections.Counter()

    def swaks(self, subject, *words, server=None):
        self.appliance.client.swaks(subject, "user@example.test", server, *words)
        self.promised[subject] += 1

    def load(self, subject, count, server):
        """Postfix's smtp-source: each of its messages was answered 250, or it would say so."""
        self.appliance.client.load(subject, count, server)
        self.promised[subject] += count

    def missing(self):
        return self.promised - collections.Counter(self.appliance.primary.subjects())

    def repeated(self):
        arrived = collections.Counter(self.appliance.primary.subjects())
        return sum((arrived - self.promised)[subject] for subject in self.promised)

    def wait_until_arrived(self, seconds=60):
        """Flushes, so that nobody waits for the next attempt."""
        def arrived():
            for relay in self.appliance.relays.values():
                relay.postern("queue flush", check=False)
            return not self.missing()
        try:
            wait_until(arrived, "everything arrived", seconds, 1)
        except Failed:
            raise Failed(f"missing: {dict(self.missing())}") from None
        return f"{self.promised.total()} arrived, {self.repeated()} of them twice"


def set_up(appliance):
    recap, _ = appliance.controller.play()
    expect(len(recap) == 2 and all(failed == 0 for _, _, failed in recap.values()), f"recap {recap}")
    for relay in appliance.relays.values():
        wait_until(relay.status, f"{relay.name} answers")
    return ", ".join(f"{name}: {ok} ok, {changed} changed" for name, (ok, changed, _) in recap.items())


def live(appliance):
    appliance.ledger = Ledger(appliance)
    for what, action in (
        ("a second play changes nothing", second_play),
        ("a look with --check --diff changes nothing", looking),
        ("systemd-analyze security is at most 1.5", exposure),
        ("no warnings, no alarms", quiet),
        ("mail comes by MX records, from swaks and smtp-source", mail),
        ("TLS with DANE: the certificate is the one that the DNS has", dane),
        ("a listed client, a stranger's relaying and an unknown recipient are refused", refusals),
        ("a refused rule file fails the play and leaves the old rules", bad_rule),
        ("a good one is in force after the play", good_rule),
        ("the primary is stopped: mail waits", outage),
        ("a relay is booted again, the other restarted under connections", restarts),
        ("the package is upgraded under connections: none is refused", upgrade),
        ("the primary is back: drained and counted", drained),
        ("a message is found in the log", log),
        ("the report of today has its numbers", report),
        ("metrics are there", metrics),
        ("a backup is taken and can be read", backup),
    ):
        appliance.step(what, lambda action=action: action(appliance))


def second_play(appliance):
    recap, output = appliance.controller.play()
    changes = re.findall(r"^(?:TASK|RUNNING HANDLER) \[(.*?)\][^\n]*\n(?:(?!TASK|RUNNING).*\n)*?changed: ", output, re.M)
    expect(all(changed == 0 and failed == 0 for _, changed, failed in recap.values()), f"{recap}: {changes}")


def looking(appliance):
    recap, _ = appliance.controller.play("--check", "--diff")
    expect(all(changed == 0 and failed == 0 for _, changed, failed in recap.values()), f"recap {recap}")


def exposure(appliance):
    found = {}
    for relay in appliance.relays.values():
        text = relay.machine.shell("systemd-analyze security --no-pager postern.service | tail -1")
        found[relay.name] = float(re.search(r": (\d+\.\d+) ", text).group(1))
    expect(all(value <= 1.5 for value in found.values()), str(found))
    return str(found)


def quiet(appliance):
    for relay in appliance.relays.values():
        text = relay.postern("check")
        expect("warning" not in text.lower(), text)
        expect(not relay.alarms(), str(relay.alarms()))
        failed = relay.machine.shell("systemctl --failed --no-legend --plain", check=False)
        expect("postern" not in failed and "unbound" not in failed and "nftables" not in failed, failed)


def mail(appliance):
    best = appliance.names.exchangers("example.test")
    expect(best == ["mx1.example.test", "mx2.example.test"], str(best))
    appliance.ledger.swaks("first")
    appliance.ledger.swaks("second", "--tls", server=best[1])
    appliance.ledger.load("load-1", 200, best[0])
    return appliance.ledger.wait_until_arrived()


def dane(appliance):
    """The records that the role shows are published; then one relay would trust the other by DANE."""
    records = (appliance.controller.folder / "records-mx1").read_text()
    found = re.search(r"_25\._tcp\.mx1\.example\.test\.?\s+(?:\d+\s+)?(?:IN\s+)?TLSA\s+(3 1 1 [0-9a-fA-F]+)", records)
    expect(found, records)
    appliance.names.add("example.test", f"_25._tcp.mx1 TLSA {found.group(1)}")
    appliance.names.publish()
    machine = appliance.relays["mx2"].machine
    machine.shell("systemctl restart unbound postern.service")
    wait_until(appliance.relays["mx2"].status, "it answers")
    text = machine.shell("postern tls '[mx1.example.test]'")
    expect("dane" in text.lower(), text)
    return text.strip().splitlines()[-1]


def refusals(appliance):
    client = Client(appliance.names, LISTED, "listed.client.test")
    text = client.swaks("spam", "user@example.test", "mx1.example.test", check=False)
    expect(re.search(r"^<\S*\s+5\d\d ", text, re.M), text)
    text = appliance.client.swaks("relaying", "somebody@elsewhere.test", "mx1.example.test", check=False)
    expect(re.search(r"^<\*\*\s+554 5\.7\.1", text, re.M), text)
    text = appliance.client.swaks("unknown", "nobody@example.test", "mx1.example.test", check=False)
    expect(re.search(r"^<\*\*\s+550 5\.1\.1", text, re.M), text)


def bad_rule(appliance):
    rules = appliance.controller.folder / "files/rules"
    before = {relay.name: relay.machine.shell("cat /etc/postern/rules/*") for relay in appliance.relays.values()}
    (rules / "clients.cidr").write_text("192.0.2.0/24 REJECT go away\nnot a network\n")
    recap, output = appliance.controller.play("--tags", "rules", check=False)
    expect(all(failed for _, _, failed in recap.values()), f"recap {recap}")
    expect("clients.cidr" in output and "2" in output, output[-2000:])
    for relay in appliance.relays.values():
        expect(before[relay.name] == relay.machine.shell("cat /etc/postern/rules/*"), "rules have changed")


def good_rule(appliance):
    rules = appliance.controller.folder / "files/rules"
    (rules / "clients.cidr").write_text("198.51.100.101/32 REJECT no bots\n")
    recap, _ = appliance.controller.play("--tags", "rules")
    expect(all(changed > 0 and failed == 0 for _, changed, failed in recap.values()), f"recap {recap}")
    for relay in appliance.relays.values():
        text = relay.postern("explain", "--client 198.51.100.101 --helo bot.client.test --from a@client.test",
                             "--to user@example.test", check=False)
        expect("no bots" in text, text)
    again, _ = appliance.controller.play("--tags", "rules")
    expect(all(changed == 0 for _, changed, _ in again.values()), f"a second time: {again}")


def outage(appliance):
    appliance.primary.stop()
    for name in appliance.relays:
        appliance.ledger.load(f"backlog-{name}", 150, f"{name}.example.test")
        appliance.ledger.swaks(f"waiting-{name}", server=f"{name}.example.test")
    for relay in appliance.relays.values():
        wait_until(lambda relay=relay: any("is down" in alarm for alarm in relay.alarms()), f"{relay.name} notices")
        expect(relay.waiting() == 151, f"{relay.name} has {relay.waiting()}")
    return "151 messages wait in each"


def restarts(appliance):
    one, other = appliance.relays.values()
    with Knocking(one.name) as knocking:
        one.machine.shell("systemctl restart postern.service")
        wait_until(one.status, "it answers")
    expect(knocking.refused == 0 and knocking.answered, f"{knocking.refused} refused, {knocking.answered} answered")
    other.machine.shut_down()
    other.machine.boot()
    wait_until(other.status, "it answers after its boot")
    for relay in (one, other):
        expect(relay.waiting() == 151, f"{relay.name} has {relay.waiting()}")
    return f"{knocking.answered} connections, none refused"


def upgrade(appliance):
    controller = appliance.controller
    controller.variables["postern_package"] = str(upgraded(appliance.package, controller.folder))
    with Knocking("mx1") as knocking:
        recap, _ = controller.play("--tags", "package")
        wait_until(appliance.relays["mx1"].status, "it answers")
    expect(all(failed == 0 for _, _, failed in recap.values()), f"recap {recap}")
    expect(knocking.refused == 0 and knocking.answered, f"{knocking.refused} refused, {knocking.answered} answered")
    for relay in appliance.relays.values():
        version = relay.machine.shell("dpkg-query -W -f '${Version}' postern")
        expect(version.endswith("+1"), version)
        expect(relay.waiting() == 151, f"{relay.name} has {relay.waiting()}")
    return f"{knocking.answered} connections, none refused"


def drained(appliance):
    appliance.primary.start()
    found = appliance.ledger.wait_until_arrived(120)
    for relay in appliance.relays.values():
        wait_until(lambda relay=relay: relay.waiting() == 0, f"the queue of {relay.name} is empty")
        wait_until(lambda relay=relay: not relay.alarms(), f"{relay.name} has no alarms")
    return found


def log(appliance):
    text = appliance.relays["mx2"].postern("log --to user@example.test --since today --limit 2000")
    expect("delivered" in text and "queued" in text, text[-1000:])

    def search(relay, words):
        return [json.loads(line) for line in appliance.relays[relay].postern(f"log --json {words}").splitlines()]

    delivered = search("mx2", "--event delivered --only --limit 1")[0]
    story = search("mx2", delivered["id"])
    expect({"queued", "delivered"} <= {line["event"] for line in story}, story)
    expect(story == search("mx2", f"--id {delivered['id']}"), story)
    refused = search("mx1", "--event refused --to nobody@example.test --only")[0]
    expect(search("mx1", f"{refused['ref']} --only") == [refused], refused)
    expect(refused in search("mx1", refused["session"]), refused)


def report(appliance):
    text = appliance.relays["mx2"].postern("report --day today")
    expect(re.search(r"\b15[0-9]\b", text), text)
    machine = appliance.relays["mx2"].machine
    machine.shell("systemctl start postern-report.service", check=False)
    end = machine.shell("systemctl show -P Result postern-report.service").strip()
    expect(end == "success", machine.shell("journalctl --no-pager -n 20 -u postern-report.service"))
    subjects = wait_until(lambda: [one for one in appliance.primary.subjects() if "postern" in one.lower()
                                   or "mx2" in one.lower()], "the daily report arrives")
    return subjects[0]


def metrics(appliance):
    fetch = ("python3 -c \"import urllib.request as r; "
             "print(r.urlopen('http://127.0.0.1:9125/metrics').read().decode())\"")
    text = appliance.relays["mx1"].machine.shell(fetch)
    received = re.search(r"^postern_messages_received_total\S* (\d+)", text, re.M)
    expect(received and "postern_queue_messages 0" in text, text[:1500])
    return f"{len(text.splitlines())} lines"


def backup(appliance):
    machine = appliance.relays["mx1"].machine
    machine.shell("systemctl start $(systemctl list-unit-files --no-legend 'postern*backup*.service' | cut -d' ' -f1)")
    return machine.shell("ls /var/backups/postern | tail -1").strip()
