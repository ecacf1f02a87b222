"""Machines with systemd in a network of their own, made of one Debian tree by overlays.

All of it lives in namespaces of the program that runs it (see run.sh) and is gone with them.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

GATEWAY = "198.51.100.1"


class Failed(Exception):
    """A command did not succeed, or a condition did not come true."""


def run(*words, timeout=120, check=True, **options):
    """A command of this side; returns its standard output and error together."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(str(word) for word in words)}: status {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def wait_until(condition, what, seconds=60, pause=0.25):
    """Polls; what the condition returned at last. The tests wait for states, never for times."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Failed, ValueError, OSError):
            if value := condition():
                return value
        if time.monotonic() > end:
            raise Failed(f"after {seconds} s still not: {what}")
        time.sleep(pause)


class Network:
    """A bridge on which all machines are, with this program at its gateway address, and addresses for clients."""

    def __init__(self, clients=()):
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge")
        for address in (GATEWAY, *clients):
            run("ip", "address", "add", f"{address}/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        Path("/run/netns").mkdir(exist_ok=True)

    def plug(self, name, address):
        """A network namespace with one interface on the bridge."""
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "host0", "netns", name)
        run("ip", "link", "set", name, "master", "br0", "up")
        for words in (("link", "set", "lo", "up"), ("address", "add", f"{address}/24", "dev", "host0"),
                      ("link", "set", "host0", "up"), ("route", "add", "default", "via", GATEWAY)):
            run("ip", "-n", name, *words)


class Machine:
    """One machine: what it changes is in a folder of its own; its state folder may be a disk of its own."""

    def __init__(self, name, address, prepared, folder, network, disk=None):
        self.name, self.address = name, address
        self.prepared, self.folder = prepared, folder / name
        self.root = self.folder / "root"
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        run("mount", "-t", "overlay", "overlay", "-o",
            f"lowerdir={prepared}/base,upperdir={self.folder}/upper,workdir={self.folder}/work", self.root)
        network.plug(name, address)
        self.write("/etc/hostname", f"{name}\n")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n{address} {name}.example.test {name}\n")
        self.unlink("/etc/resolv.conf")
        self.write("/etc/resolv.conf", f"nameserver {GATEWAY}\n")
        if disk:
            self.add_disk(*disk)

    def add_disk(self, path, megabytes):
        """A small file system of its own at a path, so that it can be filled."""
        image = self.folder / "disk"
        run("truncate", "-s", f"{megabytes}M", image)
        run("mkfs.ext4", "-q", "-m", "0", image)
        (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        run("mount", "-o", "loop", image, self.root / path.lstrip("/"))

    # Power

    def boot(self):
        group = Path("/sys/fs/cgroup") / f"appliance-{self.name}"
        group.mkdir(exist_ok=True)

        def enter():
            (group / "cgroup.procs").write_text("0")

        self.log = open(self.folder / "console", "ab")
        self.process = subprocess.Popen(
            ["systemd-nspawn", "-q", "-D", self.root, "-M", self.name, "--keep-unit", "--register=no",
             "--console=pipe", f"--network-namespace-path=/run/netns/{self.name}", "--resolv-conf=off",
             "--link-journal=no", "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
             f"--bind-ro={self.prepared}/repository:/srv/repository", "-b"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=enter)
        self.init = wait_until(self.find_init, f"{self.name} has an init")
        wait_until(self.is_up, f"{self.name} is up", 300)

    def find_init(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[-1]) if children else None

    def is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended while it booted: {self.folder}/console")
        return self.shell("systemctl is-system-running", check=False).strip() in ("running", "degraded")

    def cut_power(self):
        """Kills everything that runs there, at once."""
        os.kill(self.init, signal.SIGKILL)
        self.process.wait(30)

    def shut_down(self):
        self.shell("systemctl poweroff --no-block")
        self.process.wait(90)

    # Use

    def shell(self, script, timeout=120, check=True):
        words = ["nsenter", "-t", self.init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "/bin/sh", "-c", script]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return run(*words, timeout=timeout, check=check, env=environment)

    def inside(self, path):
        return self.root / path.lstrip("/")

    def write(self, path, text, mode=0o644):
        self.inside(path).parent.mkdir(parents=True, exist_ok=True)
        self.inside(path).write_text(text)
        self.inside(path).chmod(mode)

    def unlink(self, path):
        self.inside(path).unlink(missing_ok=True)
