"""Test of a client that floods a signaling socket with pings and does not read the pongs."""

import asyncio
import base64
import socket
from urllib.parse import urlsplit

import pytest

from odyssey_mock import MockOdyssey
from tests.support.raw import LIMIT, RawApi

PING = b"\x89\xfd\0\0\0\0" + b"x" * 125
"""A ping with the longest payload, masked with zeros (RFC 6455 section 5.5.2)."""
MOST = 64 << 20
"""Number of bytes of pings that are sent at most; the buffers of the sockets hold a few million bytes of pongs."""


async def flood(writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(LIMIT):
        for _ in range(MOST // (1000 * len(PING))):
            writer.write(PING * 1000)
            await writer.drain()


@pytest.mark.off_contract("a client that does not read")
async def test_client_not_reading_pongs_is_cut_off(odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    url = urlsplit(f"{session['signalling_url']}/client/{session['session_id']}?token={token}")
    client = socket.create_connection((url.hostname or "", url.port or 0))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader, writer = await asyncio.open_connection(sock=client)
    key = base64.b64encode(b"k" * 16).decode()
    upgrade = f"Host: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    writer.write(f"GET {url.path}?{url.query} HTTP/1.1\r\n{upgrade}Sec-WebSocket-Key: {key}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    with pytest.raises(ConnectionError):
        await flood(writer)
    assert "a client sent more than 262144 bytes on a WebSocket without reading" in caplog.text
    writer.close()
    with pytest.raises(ConnectionError):
        await writer.wait_closed()
