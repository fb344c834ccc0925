"""What light peers say: messages over TCP, which arrive in order, and datagrams over UDP, which may not."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from enum import IntEnum

logger = logging.getLogger(__name__)

CLOSE_LIMIT = 1.0
"""Seconds that the last words may take."""

_LENGTH = 4


class Kind(IntEnum):
    """What a message over TCP is."""

    HELLO = 1
    """Who it is, and with which certificate."""
    OPEN = 2
    OPENED = 3
    SHUT = 4
    """A data channel is opened, was taken, is closed: its label."""
    TEXT = 5
    BYTES = 6
    """On the data channel whose number comes first."""
    END = 7
    """The video track has ended after that frame."""
    BYE = 8
    """The connection is closed, after that frame."""


class Mark(IntEnum):
    """The first byte of a datagram. None is one that DTLS has (RFC 9443)."""

    FRAME = 0x80
    PING = 0x81
    """Asks whether the other is there."""
    PONG = 0x82
    """It is. Both say how many messages were heard."""
    LOST = 0x83
    """A frame was lost."""
    BROKEN = 0x84
    """The TCP connection is broken, and is to be made anew."""
    GONE = 0x85
    """The connection is closed; a goodbye over TCP comes as well, if it can."""


def written(kind: Kind, payload: bytes = b"") -> bytes:
    """A message as it is sent."""
    return bytes([kind]) + len(payload).to_bytes(_LENGTH) + payload


async def read(reader: asyncio.StreamReader) -> tuple[Kind, bytes]:
    """Read a message.

    Raises:
        EOFError: there is none any more.
        OSError: the connection broke, or it is no message of ours.
    """
    head = await reader.readexactly(1 + _LENGTH)
    try:
        kind = Kind(head[0])
    except ValueError as error:
        raise OSError(f"expected a message of a light peer, came {head!r}") from error
    return kind, await reader.readexactly(int.from_bytes(head[1:]))


async def pause(seconds: float) -> None:
    """Wait on the event loop's time."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()


async def after(seconds: float, then: Callable[[], None]) -> None:
    """Do something in that time."""
    await pause(seconds)
    then()


async def closed(writer: asyncio.StreamWriter, *, at_once: bool) -> None:
    """Close a connection, and wait until it is; `at_once` without what is still to be sent."""
    if at_once:
        writer.transport.abort()
    else:
        writer.close()
    with contextlib.suppress(OSError):
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                await writer.wait_closed()
        except TimeoutError:
            logger.info("a light peer took no last words within %s s", CLOSE_LIMIT)
            writer.transport.abort()
