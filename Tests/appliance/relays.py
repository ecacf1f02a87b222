"""The relays as their administrator has them: the inventory, the play, the commands."""

import json
import os
import re
import shutil
import socket
import tempfile
import threading
from pathlib import Path

from machines import Failed, Machine, run
from world import RELAYS

ROLE = Path(__file__).resolve().parents[2] / "ansible"


def upgraded(package, folder):
    """The same package with a higher version."""
    tree = folder / "upgraded"
    shutil.rmtree(tree, ignore_errors=True)
    run("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: (.*)$", r"Version: \1+1", control.read_text(), flags=re.MULTILINE))
    newer = folder / "postern-newer.deb"
    run("dpkg-deb", "--root-owner-group", "-b", tree, newer)
    return newer


class Controller:
    """ansible-playbook on this side of the network, over SSH."""

    def __init__(self, folder, machines, package, variables):
        self.folder = folder / "controller"
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "files/rules").mkdir(parents=True)
        self.machines = machines
        self.connections = tempfile.mkdtemp(prefix="appliance")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "id")
        for machine in machines:
            machine.write("/root/.ssh/authorized_keys", (self.folder / "id.pub").read_text(), 0o600)
        self.variables = {"postern_package": str(package), **variables}

    def play(self, *words, check=True, timeout=600):
        """Returns the recap: host -> (ok, changed, failed); with the whole output."""
        hosts = {machine.name: {"ansible_host": machine.address, "postern_hostname": f"{machine.name}.example.test",
                                "postern_dns_file": str(self.folder / f"records-{machine.name}")}
                 for machine in self.machines}
        options = {"ansible_user": "root", "ansible_ssh_private_key_file": str(self.folder / "id"),
                   "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
                   "ansible_python_interpreter": "/usr/bin/python3"}
        inventory = {"relays": {"hosts": hosts, "vars": options | self.variables}}
        # JSON is YAML.
        (self.folder / "hosts.yml").write_text(json.dumps(inventory, indent=1))
        # Connections that are kept are found by address: not those of an earlier run, to machines that are gone.
        output = run("ansible-playbook", "-i", self.folder / "hosts.yml", ROLE / "site.yml", *words, cwd=ROLE,
                     timeout=timeout, check=check,
                     env={**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": self.connections})
        (self.folder / "last.log").write_text(output)
        recap = {name: (int(ok), int(changed), int(unreachable) + int(failed)) for name, ok, changed, unreachable, failed
                 in re.findall(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", output,
                               re.MULTILINE)}
        return recap, output


class Relay:
    def __init__(self, machine):
        self.machine, self.name = machine, machine.name

    def postern(self, *words, check=True):
        return self.machine.shell("postern " + " ".join(words), check=check)

    def status(self):
        return json.loads(self.postern("status", "--json"))

    def waiting(self):
        return self.status()["queue"]["messages"]

    def alarms(self):
        return self.status()["alarms"]


class Knocking:
    """Connects all the time while something is done, and counts who was turned away by the system."""

    def __init__(self, name):
        self.address = (RELAYS[name], 25)
        self.answered = self.refused = 0
        self.ending = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.knock)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def knock(self):
        while not self.ending.wait(0.02):
            try:
                with socket.create_connection(self.address, 30) as connection:
                    connection.settimeout(60)
                    if connection.recv(3):
                        self.answered += 1
                    else:
                        self.refused += 1
            except OSError:
                self.refused += 1


def machine_with_relay(name, prepared, folder, network, names):
    """A fresh machine in a world whose root is another one: Debian's key and hints are diverted."""
    machine = Machine(name, RELAYS[name], prepared, folder, network, disk=("/var/lib/postern", 1000))
    machine.boot()
    machine.shell("mkdir -p /usr/share/dns; for file in root.key root.ds; do dpkg-divert --quiet --add --rename "
                  "--divert /usr/share/dns/$file.world /usr/share/dns/$file; done")
    for file in ("root.key", "root.ds"):
        machine.write(f"/usr/share/dns/{file}", names.trust_anchor())
    return machine


__all__ = ["Controller", "Failed", "Knocking", "Relay", "machine_with_relay", "upgraded"]
