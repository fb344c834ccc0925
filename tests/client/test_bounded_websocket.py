"""Tests of the connection of the signaling socket: its limits, against floods from a hostile service, and its log."""

import asyncio
import itertools
import logging
from collections.abc import Iterable

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidHandshake, NegotiationError, WebSocketException

from odyssey_client.bounded_websocket import WebSocketLogger
from odyssey_client.system import MAX_MESSAGE_BYTES, SystemNetwork
from tests.support.hostile_service import Asked, Respond, frame, hostile_service, websocket_accepted
from tests.support.loop_watchdog import again_if_slow, loop_watchdog

LIMIT_S = 20


def then(*pieces: Iterable[bytes], headers: tuple[str, ...] = ()) -> Respond:
    """Return a service that accepts the handshake, and sends `pieces`."""

    def respond(asked: Asked) -> Iterable[bytes]:
        return itertools.chain([websocket_accepted(asked, *headers)], *pieces)

    return respond


async def read_until_closed(url: str) -> int:
    """Read messages until the connection is lost; return how many were received in the meantime."""
    count = 0
    async with asyncio.timeout(LIMIT_S), SystemNetwork().websocket(url.replace("http", "ws")) as socket:
        while True:
            await socket.recv()
            count += 1


@again_if_slow
async def test_flood_of_short_messages_leaves_the_loop_responsive() -> None:
    flood = [frame(b"") * 131_072, frame(b"", opcode=8)]
    with hostile_service(then(flood)) as service, loop_watchdog() as watchdog:
        async with SystemNetwork().websocket(service.url.replace("http", "ws")) as socket, asyncio.timeout(LIMIT_S):
            await socket.recv()
            waiting = len(socket.recv_messages.frames)
    assert waiting <= 8192, f"expected at most 16 KiB of frames in the queue, got {waiting} frames of 2 bytes"
    watchdog.assert_responsive()


@again_if_slow
async def test_flood_of_pings_closes_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    pings = itertools.repeat(frame(b"x" * 120, opcode=9) * 1000)
    with hostile_service(then(pings)) as service, loop_watchdog() as watchdog, pytest.raises(ConnectionClosedError):
        await read_until_closed(service.url)
    watchdog.assert_responsive()
    assert caplog.messages == [
        "the service sent more than 262144 bytes that the client did not ask for; aborting the connection"
    ]


async def test_large_message_closes_the_connection() -> None:
    flood = [frame(b"x" * (MAX_MESSAGE_BYTES + 1))]
    with (
        hostile_service(then(flood)) as service,
        pytest.raises(ConnectionClosedError, match="exceeds limit of 1048576 bytes"),
    ):
        await read_until_closed(service.url)


async def test_endless_fragments_close_the_connection() -> None:
    fragments = itertools.chain([frame(b"x", final=False)], itertools.repeat(frame(b"", opcode=0, final=False) * 1000))
    with hostile_service(then(fragments)) as service, pytest.raises(ConnectionClosedError):
        await read_until_closed(service.url)


@pytest.mark.parametrize("piece", [b"\xff" * 2**16, b"a: b\r\n" * 10_000], ids=["garbage", "headers"])
async def test_endless_handshake_ends_quickly(piece: bytes) -> None:
    start = b"HTTP/1.1 101 Switching Protocols\r\n" if piece.startswith(b"a") else b""
    endless = itertools.chain([start], itertools.repeat(piece))
    with hostile_service(lambda _: endless) as service, pytest.raises(WebSocketException):
        await read_until_closed(service.url)
    assert service.sent < 2**25, f"expected less than 32 MiB, most of it in buffers of the kernel, got {service.sent}"


async def test_compression_is_rejected() -> None:
    headers = ("Sec-WebSocket-Extensions: permessage-deflate",)
    with hostile_service(then([], headers=headers)) as service, pytest.raises((InvalidHandshake, NegotiationError)):
        await read_until_closed(service.url)


@pytest.mark.parametrize(
    ("error", "level"),
    [(ConnectionClosedError(None, None), "DEBUG"), (ValueError("no such opcode"), "ERROR"), (None, "ERROR")],
)
async def test_only_lost_connection_lowers_ping_log_level(
    caplog: pytest.LogCaptureFixture, error: Exception | None, level: str
) -> None:
    log = WebSocketLogger()
    caplog.set_level(logging.DEBUG)
    try:
        if error is not None:
            raise error
        log.error("keepalive ping failed")
    except type(error or ValueError()):
        log.exception("keepalive ping failed")
    assert [record.levelname for record in caplog.records] == [level]
    assert caplog.records[0].getMessage().startswith("keepalive ping failed")
