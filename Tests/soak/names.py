"""Answers questions about the names of the soak: enough DNS for a relay, on one UDP port of the loopback."""

import asyncio
import ipaddress
import struct

A, MX, TXT, PTR = 1, 15, 16, 12


def encode(name):
    labels = [part for part in name.rstrip(".").split(".") if part]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


class Zone:
    """What is known: every `*.good.example` has an address and MX records, clients have names, bots are listed."""

    def answer(self, name, kind):
        """The data of the records, or None for a name that does not exist."""
        name = name.lower().rstrip(".")
        if name.endswith(".list.example"):
            return self.listing(name.removesuffix(".list.example"), kind)
        if name.endswith(".in-addr.arpa"):
            octets = name.removesuffix(".in-addr.arpa").split(".")
            return [encode("client-%s.good.example" % "-".join(reversed(octets)))] if kind == PTR else []
        if name == "good.example" or name.endswith(".good.example"):
            return self.good(name, kind)
        return None

    def listing(self, name, kind):
        octets = name.split(".")
        listed = len(octets) == 4 and octets[3] == "127" and octets[2] == "66"
        if not listed:
            return None
        return [bytes([127, 0, 0, 2])] if kind == A else []

    def good(self, name, kind):
        if kind == MX:
            return [struct.pack(">H", 10) + encode("mail.good.example")]
        if kind == TXT and name.count(".") == 1:
            text = b"v=spf1 ip4:127.77.0.0/16 ~all"
            return [bytes([len(text)]) + text]
        if kind != A:
            return []
        if name.startswith("client-"):
            return [ipaddress.IPv4Address(name.split(".")[0].removeprefix("client-").replace("-", ".")).packed]
        return [bytes([127, 77, 0, 1])]


class NameServer(asyncio.DatagramProtocol):
    def __init__(self):
        self.zone = Zone()
        self.questions = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.questions += 1
        position, labels = 12, []
        while data[position]:
            labels.append(data[position + 1:position + 1 + data[position]].decode("latin-1"))
            position += 1 + data[position]
        kind = struct.unpack_from(">H", data, position + 1)[0]
        question = data[12:position + 5]
        records = self.zone.answer(".".join(labels), kind)
        flags = 0x8580 | (3 if records is None else 0)
        head = data[:2] + struct.pack(">HHHHH", flags, 1, len(records or []), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 30, len(record)) + record
                        for record in records or [])
        self.transport.sendto(head + question + body, peer)


async def serve(host, port):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(NameServer, local_addr=(host, port))
    return transport
