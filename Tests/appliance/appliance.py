#!/usr/bin/env python3
"""The life of two relays, and what may befall them. Run by run.sh, in namespaces of its own."""

import argparse
import sys
import time
from pathlib import Path

import drill
import life
from machines import Network, run
from relays import Controller, Relay, machine_with_relay
from machines import GATEWAY, Machine
from world import BOT, GOOD, LISTED, PRIMARY, RELAYS, Client, Names, Primary

VARIABLES = {
    "postern_domains": [{"name": "example.test", "primary": "[primary.example.test]:25",
                         "recipients": ["user", "info", "postmaster"]}],
    "postern_dnsbls": ["list.test=127.0.0.2*3"],
    "postern_report_to": ["postmaster@example.test"],
    # The zones of the test, all at one server; and names and networks that unbound keeps from the world by itself.
    "postern_unbound_extra": "\n".join((
        "server:", "  local-zone: \"test.\" nodefault", "  local-zone: \"100.51.198.in-addr.arpa.\" nodefault",
        "stub-zone:", "  name: \".\"", f"  stub-addr: {GATEWAY}", "  stub-prime: no", "")),
}


class Appliance:
    """Everything there is, and what was found out."""

    def __init__(self, options):
        self.folder = Path(options.folder).absolute()
        self.package = Path(options.package).absolute()
        self.passed = self.failed = 0
        run("mount", "--make-rprivate", "/")
        run("umount", "-R", "/sys/fs/cgroup", check=False)
        run("mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup")
        run("mount", "-t", "tmpfs", "tmpfs", "/run/netns", check=False)
        self.network = Network(clients=(GOOD, LISTED, BOT))
        self.names = Names(self.folder)
        self.names.publish()
        resolver = self.folder / "resolv.conf"
        resolver.write_text(f"nameserver {GATEWAY}\n")
        run("mount", "--bind", resolver, "/etc/resolv.conf")
        self.client = Client(self.names)

    def build(self):
        machines = self.folder / "machines"
        self.primary = Primary(Machine("primary", PRIMARY, self.folder, machines, self.network))
        self.machines = [machine_with_relay(name, self.folder, machines, self.network, self.names) for name in RELAYS]
        self.relays = {machine.name: Relay(machine) for machine in self.machines}
        self.controller = Controller(self.folder, self.machines, self.package, VARIABLES)

    def step(self, what, action):
        """One thing that must be so; what went wrong is said at once, and the rest is tried all the same."""
        begin = time.monotonic()
        try:
            found = action()
        except Exception as error:  # noqa: BLE001 a test that breaks in any way has failed
            self.failed += 1
            print(f"FAIL {what} ({time.monotonic() - begin:.0f} s)\n     " + str(error).replace("\n", "\n     "),
                  flush=True)
            return False
        self.passed += 1
        print(f"ok   {what}{': ' + str(found) if found else ''} ({time.monotonic() - begin:.0f} s)", flush=True)
        return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--package", required=True, help="the .deb that `make deb` writes")
    parser.add_argument("parts", nargs="*", help="life or drill; both where none is named")
    options = parser.parse_args()
    options.parts = options.parts or ["life", "drill"]
    if not {"life", "drill"}.issuperset(options.parts):
        parser.error("a part is life or drill")
    begin = time.monotonic()
    appliance = Appliance(options)
    if appliance.step("a primary and two fresh machines boot", appliance.build):
        if appliance.step("the play sets both relays up", lambda: life.set_up(appliance)):
            if "life" in options.parts:
                life.live(appliance)
            if "drill" in options.parts:
                drill.drill(appliance)
    print(f"{(time.monotonic() - begin) / 60:.1f} minutes")
    print(f"{appliance.passed} passed, {appliance.failed} failed")
    sys.exit(1 if appliance.failed else 0)


if __name__ == "__main__":
    main()
