"""A WebSocket client that sends raw bytes: frames and handshakes that WebSocket libraries would not send."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.raw import LIMIT

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
"""The headers of an opening handshake (RFC 6455 section 4.1); the key is the example of the RFC."""


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, length: int | None = None
) -> bytes:
    """Return a frame (RFC 6455 section 5.2). `length` is the stated length, by default that of the payload.

    The masking key is 0, so that the payload is sent unchanged.
    """
    size = len(payload) if length is None else length
    first, mask = (fin << 7) | (rsv << 4) | opcode, masked << 7
    if size < 126:
        head = bytes([first, mask | size])
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    return head + (bytes(4) if masked else b"") + payload


@dataclass(frozen=True)
class RawConnection:
    """A TCP connection to the mock."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        """Read a status line with the headers."""
        async with asyncio.timeout(LIMIT):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        """Read until the mock closes the connection."""
        async with asyncio.timeout(LIMIT):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def upgrade(
    url: str,
    *headers: str,
    method: str = "GET",
    body: bytes = b"",
    handshake: Sequence[str] = UPGRADE,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[RawConnection]:
    """Connect to a URL, and send an opening handshake with further `headers`."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = RawConnection(*await asyncio.open_connection(parts.hostname, parts.port, ssl=tls))
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = (f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", *handshake, *headers, "", "")
    connection.writer.write("\r\n".join(lines).encode() + body)
    try:
        yield connection
    finally:
        connection.writer.close()
