"""Those who bring mail to the relay under test, and those who only bother it."""

import asyncio
import contextlib
import random
import ssl

RECIPIENTS = [f"user{number}@relay.example" for number in range(50)]


class Refused(Exception):
    """A reply that was not the wanted one."""


class Session:
    """An SMTP client from an address of its own."""

    def __init__(self, target, address):
        self.target, self.address = target, address

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(
            *self.target, local_addr=(self.address, 0), limit=1 << 20)
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await asyncio.wait_for(self.writer.wait_closed(), 10)

    async def reply(self, wanted=None):
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 120)
            if not line:
                raise Refused("closed")
            if line[3:4] != b"-":
                break
        if wanted and not line.startswith(wanted):
            raise Refused(line.decode("latin-1").strip())
        return line

    async def command(self, text, wanted=b"2"):
        self.writer.write(text.encode() + b"\r\n")
        return await self.reply(wanted)

    async def greet(self, name, tls=False):
        await self.reply(b"220")
        await self.command(f"EHLO {name}")
        if tls:
            await self.command("STARTTLS")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            await self.writer.start_tls(context)
            await self.command(f"EHLO {name}")

    async def deliver(self, sender, recipients, content):
        """Returns after the 250: from then on the relay answers for the message."""
        await self.command(f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            await self.command(f"RCPT TO:<{recipient}>")
        await self.command("DATA", b"354")
        self.writer.write(content + b"\r\n.\r\n")
        await self.reply(b"250")


class Load:
    """Counts what was promised; the relay is asked for no more than it promised."""

    def __init__(self, target, seed, pace):
        self.target, self.pace = target, pace
        self.random = random.Random(seed)
        self.messages = 0
        self.promised = set()  # (identity, recipient)
        self.refusals = {}
        self.bothered = 0
        self.number = 0
        self.ending = asyncio.Event()

    def identity(self, kind):
        self.number += 1
        return f"{kind}-{self.number}"

    def content(self, identity, size):
        head = (f"From: someone@good.example\r\nTo: user@relay.example\r\nSubject: {identity}\r\n"
                f"X-Soak: {identity}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{identity}@good.example>\r\n"
                "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=part\r\n\r\n"
                "--part\r\nContent-Type: text/plain\r\n\r\nSome text.\r\n"
                "--part\r\nContent-Type: application/octet-stream; name=data.bin\r\n"
                "Content-Transfer-Encoding: base64\r\n\r\n")
        line = b"VGhlIHNvYWsgb2YgUG9zdGVybiBoYXMgbG9uZyBsaW5lcyBvZiBub3RoaW5nIGluIGl0LCBh\r\n"
        return head.encode() + line * (size // len(line)) + b"--part--"

    def promise(self, identity, recipients):
        self.messages += 1
        self.promised.update((identity, recipient) for recipient in recipients)

    def note(self, error):
        text = str(error)[:60] or type(error).__name__
        self.refusals[text] = self.refusals.get(text, 0) + 1

    async def pause(self, seconds):
        """True when it is time to end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), seconds)
        return self.ending.is_set()

    async def good(self, worker):
        """Mail of 1 to 20 KB, several messages a session, some by TLS, from some two hundred clients."""
        while not await self.pause(self.random.uniform(0.05, 0.35) * self.pace):
            address = f"127.77.{worker}.{self.random.randint(1, 25)}"
            try:
                async with Session(self.target, address) as session:
                    await session.greet(f"client-127-77-{worker}.good.example", tls=self.random.random() < 0.3)
                    for _ in range(self.random.randint(1, 6)):
                        identity = self.identity("good")
                        recipients = self.random.sample(RECIPIENTS, self.random.choice([1, 1, 1, 3]))
                        content = self.content(identity, self.random.randint(500, 20_000))
                        await session.deliver("someone@good.example", recipients, content)
                        self.promise(identity, recipients)
                    await session.command("QUIT")
            except (Refused, OSError, asyncio.TimeoutError) as error:
                self.note(error)

    async def big(self):
        while not await self.pause(self.random.uniform(2, 8) * self.pace):
            try:
                async with Session(self.target, "127.77.200.1") as session:
                    await session.greet("big.good.example", tls=self.random.random() < 0.5)
                    identity = self.identity("big")
                    size = self.random.randint(2_000_000, 20_000_000)
                    await session.deliver("someone@good.example", [RECIPIENTS[0]], self.content(identity, size))
                    self.promise(identity, [RECIPIENTS[0]])
                    await session.command("QUIT")
            except (Refused, OSError, asyncio.TimeoutError) as error:
                self.note(error)

    async def bot(self, worker):
        """One of many ways to be no mail server."""
        ways = [self.pregreet, self.listed, self.dictionary, self.cut_off, self.silent, self.garbage, self.half_tls,
                self.oversized]
        while not await self.pause(self.random.uniform(0.1, 1.5) * self.pace):
            self.bothered += 1
            listed = f"127.66.{self.random.randint(0, 255)}.{self.random.randint(1, 254)}"
            address = f"127.78.{worker}.{self.random.randint(1, 254)}"
            way = self.random.choice(ways)
            try:
                async with Session(self.target, listed if way == self.listed else address) as session:
                    await asyncio.wait_for(way(session), 90)
            except (Refused, OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                pass  # That is what they come for.

    async def pregreet(self, session):
        session.writer.write(b"EHLO bot\r\nMAIL FROM:<a@b.example>\r\n")
        await session.reader.read(4096)
        await session.reader.read(4096)

    async def listed(self, session):
        await session.greet("client.good.example")
        await session.deliver("someone@good.example", [RECIPIENTS[0]], b"Subject: spam\r\n\r\nspam")

    async def dictionary(self, session):
        await session.greet("client.good.example")
        await session.command("MAIL FROM:<someone@good.example>")
        for number in range(40):
            await session.command(f"RCPT TO:<nobody{number}@relay.example>", None)

    async def cut_off(self, session):
        await session.greet("client.good.example")
        await session.command("MAIL FROM:<someone@good.example>")
        await session.command(f"RCPT TO:<{RECIPIENTS[1]}>")
        await session.command("DATA", b"354")
        session.writer.write(self.content("cut", 400_000)[:self.random.randint(10, 400_000)])
        await session.writer.drain()
        session.writer.transport.abort()

    async def silent(self, session):
        await session.reader.read(4096)
        await self.pause(self.random.uniform(5, 60))

    async def garbage(self, session):
        await session.reply(b"220")
        session.writer.write(self.random.randbytes(5000) + b"\r\n" + self.random.randbytes(100))
        await session.writer.drain()
        await session.reader.read(65536)

    async def half_tls(self, session):
        await session.greet("client.good.example")
        await session.command("STARTTLS")
        session.writer.write(b"\x16\x03\x01\x02\x00" + self.random.randbytes(self.random.randint(0, 300)))
        await session.writer.drain()
        session.writer.transport.abort()

    async def oversized(self, session):
        await session.greet("client.good.example")
        await session.command("MAIL FROM:<someone@good.example> SIZE=999999999", None)
        await session.command("MAIL FROM:<someone@nowhere.invalid>", None)
        await session.command(f"RCPT TO:<{RECIPIENTS[0]}>", None)
        await session.command("QUIT")
