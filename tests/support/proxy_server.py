"""A real HTTP proxy on loopback, which connects every request to one server, for any host in the request."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

LARGEST_HEAD = 64 << 10


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        target: the port on 127.0.0.1 of the server.
        port: the port on 127.0.0.1 on which it listens.
        requests: the request lines that it received, without the HTTP version, for example `CONNECT example.org:443`.
        credentials: the values of `Proxy-Authorization` that it received.
    """

    target: int
    port: int = 0
    requests: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry out the request of a new connection, and pass on all data until one side closes."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line = head.partition(" HTTP/1.1\r\n")[0]
        self.requests.append(line)
        self.credentials.update(re.findall(r"(?im)^proxy-authorization: (.*)\r$", head))
        to_client, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        if line.startswith("CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            # From absolute form to origin form (RFC 9112 section 3.2). The server must close the connection after the
            # response, because this proxy does not read the next request.
            origin = re.sub(r"^(\S+) http://[^/ ]+", r"\1 ", head)
            last = re.sub(r"(?im)^connection: .*\r\n", "", origin).removesuffix("\r\n")
            to_server.write(f"{last}Connection: close\r\n\r\n".encode())
        await asyncio.gather(_pass_on(reader, to_server), _pass_on(to_client, writer))


@asynccontextmanager
async def proxying(target: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy that connects every request to the server on port `target` of 127.0.0.1."""
    proxy = Proxy(target)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=LARGEST_HEAD, ssl=tls) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write everything that `reader` receives to `writer`, then close the writer."""
    with suppress(ConnectionError):
        while data := await reader.read(LARGEST_HEAD):
            writer.write(data)
            await writer.drain()
    writer.close()
