"""Tests of responses that arrive byte by byte: every call ends at its time limit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from odyssey_client import (
    AdvancedConfig,
    ConnectTimeoutError,
    OdysseyError,
    ServiceUnreachableError,
)
from tests.support.client_calls import Call, connecting, rest, signaling, whep
from tests.support.peer_closing import closing_of_peer

LIMIT_S = 0.4
PAUSE_S = 0.02

SETTINGS = AdvancedConfig(
    request_timeout_s=LIMIT_S, connect_timeout_s=LIMIT_S, request_max_retries=0, max_retries=0, telemetry=False
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


@asynccontextmanager
async def dripping(head: bytes) -> AsyncIterator[int]:
    """Run a server that sends `head` at once, and then the rest of a response, one byte at a time. Yield its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        async with closing_of_peer(reader) as closing:
            for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Header: value\r\n" * 10_000:
                if (await asyncio.wait({closing}, timeout=PAUSE_S))[0]:
                    break
                writer.write(bytes([byte]))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


CALLS: dict[Call, type[OdysseyError]] = {
    rest: ServiceUnreachableError,
    connecting: ServiceUnreachableError,
    signaling: ConnectTimeoutError,
    whep: ConnectTimeoutError,
}


@pytest.mark.parametrize("head", [b"", HEAD], ids=["headers", "body"])
@pytest.mark.parametrize(("call", "error"), CALLS.items(), ids=lambda each: each.__name__)
async def test_dripping_response_ends_at_time_limit(call: Call, error: type[OdysseyError], head: bytes) -> None:
    async with dripping(head) as port, asyncio.timeout(10):
        with pytest.raises(error, match=f"within {LIMIT_S:g} s"):
            await call(port, SETTINGS, tls=False)
