"""A primary that comes and goes, and remembers which messages it took for whom."""

import asyncio
import collections
import random
import re

IDENTITY = re.compile(rb"^X-Soak: ([0-9a-z-]+)\r$", re.MULTILINE | re.IGNORECASE)


class Primary:
    def __init__(self, host, port, seed):
        self.host, self.port = host, port
        self.taken = collections.Counter()
        self.random = random.Random(seed)
        self.server = None
        self.writers = set()
        self.is_moody = False
        self.sessions = 0

    async def open(self):
        self.server = await asyncio.start_server(self.session, self.host, self.port, limit=1 << 26, backlog=512)

    async def close(self):
        """Goes away as a machine does whose power fails: open connections are reset."""
        server, self.server = self.server, None
        server.close()
        for writer in list(self.writers):
            writer.transport.abort()
        await server.wait_closed()

    async def session(self, reader, writer):
        self.sessions += 1
        self.writers.add(writer)
        try:
            await self.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def talk(self, reader, writer):
        recipients = []
        writer.write(b"220 primary.good.example ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-primary.good.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n")
            elif verb == b"MAIL":
                recipients = []
                writer.write(b"250 2.1.0 ok\r\n")
            elif verb == b"RCPT" and self.is_moody and self.random.random() < 0.1:
                writer.write(b"451 4.3.0 not just now\r\n")
            elif verb == b"RCPT":
                recipients.append(line.split(b"<")[1].split(b">")[0].decode())
                writer.write(b"250 2.1.5 ok\r\n")
            elif verb == b"DATA" and not recipients:
                writer.write(b"554 5.5.1 nobody is left\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go ahead\r\n")
                if not await self.content(reader, writer, recipients):
                    return
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            else:
                writer.write(b"250 2.0.0 ok\r\n")

    async def content(self, reader, writer, recipients):
        """Takes a message; false if it then falls silent instead of answering, which makes the relay repeat it."""
        content = await reader.readuntil(b"\r\n.\r\n")
        if self.is_moody and self.random.random() < 0.02:
            writer.write(b"452 4.3.1 no room just now\r\n")
            return True
        found = IDENTITY.search(content)
        self.taken.update((found.group(1).decode() if found else "?", recipient) for recipient in recipients)
        if self.is_moody and self.random.random() < 0.002:
            return False
        writer.write(b"250 2.0.0 taken\r\n")
        return True

    def count(self):
        return sum(self.taken.values())
