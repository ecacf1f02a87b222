#!/usr/bin/env python3
"""An hour of mixed load on one relay: is its memory flat, are its descriptors given back, is nothing lost?

Good mail from many clients, a third of it by TLS, large messages, bots of eight kinds, a reload every minute (each
fifth of a broken file, which must be refused), and a primary that is gone every few minutes and moody in between. At the
end the primary stays, and what was promised is counted. Ends with 1 if anything was lost or has grown.

    soak.py --binary .build/release/postern --minutes 60
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import clients
import names
import primary

LISTEN, PRIMARY, NAMES = ("127.0.0.1", 2625), ("127.0.0.1", 2626), ("127.0.0.1", 2653)

CONFIGURATION = """
hostname: relay.good.example
listen: ["127.0.0.1:2625"]
state: {folder}/state
control: {folder}/control
rules: {folder}/rules
resolver: {{forwarders: ["127.0.0.1:2653"]}}
relay_domains: [relay.example]
relay_recipients: texthash:relay_recipients
transport: texthash:transport
screener: {{greet_wait: 2s, dnsbl: ["list.example=127.0.0.2*3"], dnsbl_threshold: 3, pipelining: enforce, non_smtp: drop}}
restrictions:
  client: [{{check_client_access: "cidr:clients.cidr"}}, reject_unknown_reverse_client_hostname]
  helo: [reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname]
  sender: [reject_non_fqdn_sender, reject_unknown_sender_domain]
  relay: [reject_unauth_destination]
  recipient: [reject_non_fqdn_recipient, check_spf]
  data: [reject_unauth_pipelining]
content: {{header_checks: ["pcre:header_checks"], decoded: true}}
authentication: {{enabled: true}}
attachments: {{rules: [{{names: ["*.exe"], action: reject, text: no programs}}]}}
queue: {{maximum_size: 16GiB, reserve: 64MiB}}
"""


class Relay:
    """The relay under test, a process of our own."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.log = open(folder / "log", "wb")
        (folder / "rules").mkdir()
        (folder / "postern.yaml").write_text(CONFIGURATION.format(folder=folder))
        rules = folder / "rules"
        (rules / "transport").write_text("relay.example smtp:[127.0.0.1]:2626\n")
        (rules / "relay_recipients").write_text("".join(f"{name} OK\n" for name in clients.RECIPIENTS))
        (rules / "header_checks").write_text("/^Subject: .*lottery/ REJECT no lottery\n")
        self.rule(0)

    def rule(self, number, broken=False):
        text = f"198.51.100.{number % 256}/32 REJECT number {number}\n"
        (self.folder / "rules" / "clients.cidr").write_text(text + ("not an address\n" if broken else ""))

    def start(self):
        self.process = subprocess.Popen(
            [self.binary, "run", "--config", self.folder / "postern.yaml"], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)

    async def command(self, *words):
        process = await asyncio.create_subprocess_exec(
            self.binary, *words, "--config", str(self.folder / "postern.yaml"), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        output, _ = await process.communicate()
        return process.returncode, output.decode()

    async def status(self):
        code, text = await self.command("status", "--json")
        return json.loads(text) if code == 0 else None

    async def wait_until_ready(self):
        for _ in range(100):
            if await self.status():
                return
            await asyncio.sleep(0.1)
        raise SystemExit(f"the relay did not start: {self.folder}/log")

    def sample(self):
        """Memory in KB, without pages of files (the queue is a mapped file); descriptors; threads; processor s."""
        process = Path(f"/proc/{self.process.pid}")
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        times = (process / "stat").read_text().rsplit(")", 1)[1].split()
        return {
            "anonymous": int(fields["RssAnon"].split()[0]),
            "peak": int(fields["VmHWM"].split()[0]),
            "descriptors": len(os.listdir(process / "fd")),
            "threads": int(fields["Threads"]),
            "processor": (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
        }


async def flap(load, server, chance):
    outages = 0
    while not await load.pause(chance.uniform(60, 200)):
        server.is_moody = not server.is_moody
        await server.close()
        outages += 1
        await load.pause(chance.uniform(15, 75))
        await server.open()
    return outages


async def reload(load, relay):
    done, refused, wrong = 0, 0, []
    while not await load.pause(60):
        broken = (done + refused) % 5 == 4
        relay.rule(done + refused, broken)
        code, text = await relay.command("reload")
        if code != (1 if broken else 0):
            wrong.append(text)
        done, refused = done + (not broken), refused + broken
    relay.rule(0)
    return done, refused, wrong


async def watch(load, relay, server, samples):
    start = time.monotonic()
    while not await load.pause(10):
        sample = relay.sample()
        status = await relay.status()
        sample.update(minute=(time.monotonic() - start) / 60, waiting=status["queue"]["messages"],
                      sessions=status["sessions"], messages=load.messages, promised=len(load.promised),
                      taken=server.count())
        samples.append(sample)
        if len(samples) % 6 == 0:
            print(json.dumps({key: round(value, 1) for key, value in sample.items()}), flush=True)


def window(samples, key, begin, end):
    last = samples[-1]["minute"]
    return statistics.median(one[key] for one in samples if begin * last <= one["minute"] <= end * last)


async def settle(relay, server, load):
    """Waits until the queue is empty and idle connections have ended."""
    for _ in range(300):
        status = await relay.status()
        if status["queue"]["messages"] == 0 and status["sessions"] == 0:
            break
        await relay.command("queue", "flush")
        await asyncio.sleep(2)
    await asyncio.sleep(10)


async def soak(options, folder):
    relay = Relay(options.binary, folder)
    load = clients.Load(LISTEN, options.seed, options.pace)
    server = primary.Primary(*PRIMARY, options.seed)
    names_server = await names.serve(*NAMES)
    await server.open()
    relay.start()
    try:
        await relay.wait_until_ready()
        before = relay.sample()
        samples = []
        tasks = [asyncio.create_task(work) for work in (
            flap(load, server, random.Random(options.seed)), reload(load, relay),
            watch(load, relay, server, samples), *(load.good(worker) for worker in range(8)), load.big(),
            *(load.bot(worker) for worker in range(12)))]
        done, _ = await asyncio.wait(tasks, timeout=options.minutes * 60, return_when=asyncio.FIRST_EXCEPTION)
        load.ending.set()
        outages, reloads, *_ = await asyncio.gather(*tasks)
        server.is_moody = False
        await settle(relay, server, load)
        after = relay.sample()
    finally:
        relay.process.terminate()
        ended = await asyncio.to_thread(relay.process.wait, 60)
        names_server.close()
    return judge(load, server, samples, before, after, outages, reloads, ended)


def judge(load, server, samples, before, after, outages, reloads, ended):
    lost = load.promised - set(+server.taken)
    repeated = sum(server.taken[one] - 1 for one in load.promised if server.taken[one] > 1)
    early, late = window(samples, "anonymous", 0.15, 0.35), window(samples, "anonymous", 0.8, 1)
    figures = {
        "minutes": round(samples[-1]["minute"]), "messages": load.messages,
        "promised": len(load.promised), "lost": len(lost),
        "repeated": repeated, "bots": load.bothered, "outages": outages,
        "reloads": reloads[0], "refusedReloads": reloads[1], "wrongReloads": reloads[2],
        "longestQueue": max(one["waiting"] for one in samples),
        "anonymousKB": {"early": early, "late": late, "afterwards": after["anonymous"], "peak": after["peak"]},
        "descriptors": {"before": before["descriptors"], "most": max(one["descriptors"] for one in samples),
                        "afterwards": after["descriptors"]},
        "threads": {"before": before["threads"], "afterwards": after["threads"]},
        "processorSeconds": round(after["processor"]), "refusals": load.refusals, "status": ended,
    }
    print(json.dumps(figures, indent=2))
    faults = []
    if lost:
        faults.append(f"{len(lost)} lost: {sorted(lost)[:5]}")
    if late > early * 1.15 + 4096:
        faults.append(f"memory grew from {early} to {late} KB")
    if after["descriptors"] > before["descriptors"] + 8:
        faults.append(f"{after['descriptors'] - before['descriptors']} descriptors were not given back")
    if reloads[2] or ended != 0 or not load.promised:
        faults.append(f"reloads: {reloads[2]}, status {ended}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=".build/release/postern")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pace", type=float, default=1, help="2: half as much load")
    parser.add_argument("--folder", help="where to work, for looking at it afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postern-soak") as temporary:
        folder = Path(options.folder or temporary).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        faults = asyncio.run(soak(options, folder))
    for fault in faults:
        print(f"FAULT {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
