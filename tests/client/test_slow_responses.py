"""Tests of responses that arrive byte by byte: every call ends at its time limit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from odyssey_client import (
    AdvancedConfig,
    ClientCredentials,
    ConnectTimeoutError,
    Odyssey,
    OdysseyError,
    ServiceUnreachableError,
    connect_to_stream,
)

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
        gone = asyncio.ensure_future(reader.read())
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Header: value\r\n" * 10_000:
            if (await asyncio.wait({gone}, timeout=PAUSE_S))[0]:
                break
            writer.write(bytes([byte]))
        gone.cancel()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def rest(port: int) -> None:
    async with Odyssey("ody_test", api_url=f"http://127.0.0.1:{port}", advanced=SETTINGS) as client:
        await client.list_simulations()


async def connecting(port: int) -> None:
    async with Odyssey("ody_test", api_url=f"http://127.0.0.1:{port}", advanced=SETTINGS) as client:
        await client.connect()


async def signaling(port: int) -> None:
    credentials = ClientCredentials("session-1", f"ws://127.0.0.1:{port}", "token", 600)
    async with Odyssey.keyless(advanced=SETTINGS) as client:
        await client.connect_with_credentials(credentials)


async def whep(port: int) -> None:
    await connect_to_stream(f"http://127.0.0.1:{port}/stream", "token", advanced=SETTINGS)


CALLS: dict[Callable[[int], Awaitable[None]], type[OdysseyError]] = {
    rest: ServiceUnreachableError,
    connecting: ServiceUnreachableError,
    signaling: ConnectTimeoutError,
    whep: ConnectTimeoutError,
}


@pytest.mark.parametrize("head", [b"", HEAD], ids=["headers", "body"])
@pytest.mark.parametrize(("call", "error"), CALLS.items(), ids=lambda each: each.__name__)
async def test_dripping_response_ends_at_time_limit(
    call: Callable[[int], Awaitable[None]], error: type[OdysseyError], head: bytes
) -> None:
    async with dripping(head) as port, asyncio.timeout(10):
        with pytest.raises(error, match=f"within {LIMIT_S:g} s"):
            await call(port)
