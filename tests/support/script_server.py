"""A loopback HTTP server for tests of `fetch_script`; it sends its response at once, slowly or endlessly."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from odyssey_mock.settings import Settings
from odyssey_mock.simulations.script_url import ScriptUrlError, fetch_script
from odyssey_mock.simulations.scripts import Script, ScriptAction
from odyssey_mock.system_network import SystemNetwork
from tests.support.peer_closing import closing_of_peer

NETWORK = SystemNetwork()
LIMIT = 10.0
"""Timeout in seconds for every wait. Waits usually take much less."""

SCRIPT = json.dumps([{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 9000, "end": {}}]).encode()
CAT = Script((ScriptAction(0, "start", "A cat"), ScriptAction(9000, "end")))


def settings(*, timeout: float = LIMIT / 2, size: int = 10_000, hosts: tuple[str, ...] | None = None) -> Settings:
    made = Settings(script_url_timeout=timeout, script_url_bytes=size)
    return made if hosts is None else replace(made, script_url_hosts=hosts)


def ok(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return the bytes of an HTTP response with `body`, its length and the header lines `headers`."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(eq=False)
class Server:
    """A running loopback server: its port, the requests it received, and the number of connections it accepted."""

    port: int = 0
    requests: list[str] = field(default_factory=list)
    opened: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has closed the connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/cat.json"


@asynccontextmanager
async def serving(
    *parts: bytes,
    then: Iterable[bytes] = (),
    every: float | None = None,
    head: bytes = b"\r\n\r\n",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    """Run a server that sends `parts` at once, then the pieces of `then`, each after `every` seconds (None: no pause).

    Before it responds, the server reads the request up to and including the bytes `head`. It closes the connection
    only after the client has closed it. `tls` makes it an HTTPS server.
    """
    seen = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.opened += 1
        try:
            seen.requests.append((await reader.readuntil(head) if head else b"").decode())
            seen.asked.set()
            writer.writelines(parts)
            async with closing_of_peer(reader) as closing:
                for piece in then:
                    if (await asyncio.wait({closing}, timeout=every or 0))[0]:
                        break
                    writer.write(piece)
                    await writer.drain()
                await closing
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client closed the connection abruptly
        finally:
            seen.left.set()
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        seen.port = server.sockets[0].getsockname()[1]
        yield seen


async def refusal(url: str, *, network: SystemNetwork = NETWORK, using: Settings | None = None) -> str:
    """Fetch a script from `url`, assert that this raises `ScriptUrlError`, and return its message and cause."""
    with pytest.raises(ScriptUrlError) as caught:
        async with asyncio.timeout(LIMIT):
            await fetch_script(url, using or settings(), network)
    return f"{caught.value} {caught.value.cause}".strip()


async def left(server: Server) -> None:
    """Wait until the client has closed its connection to `server`."""
    async with asyncio.timeout(LIMIT):
        await server.left.wait()
