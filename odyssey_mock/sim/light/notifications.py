"""What a link tells, and whom."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, override

from odyssey_mock.sim.light.messages import Kind


class LinkState(StrEnum):
    """Where a link stands; `CLOSED` and `FAILED` are final."""

    NEW = "new"
    CONNECTED = "connected"
    CLOSED = "closed"
    """The other has said goodbye."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class LinkListener:
    """Whom a link tells, on the event loop; nothing is told once it is being closed."""

    state: Callable[[LinkState], None]
    message: Callable[[Kind, bytes], None]
    """Of data channels, and of the end of the track."""
    frame: Callable[[bytes], None]
    """The datagram of a frame."""
    frame_lost: Callable[[], None]
    """The other has lost a frame, and wants one that decodes by itself."""


class Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams on."""

    def __init__(self, heard: Callable[[bytes, tuple[Any, ...]], None]) -> None:  # Any: as asyncio has it
        self._heard = heard

    @override
    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if data:
            self._heard(data, addr)


class Kept:
    """Messages that were sent, and may not have been heard: they are sent once more where a connection is made anew."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._heard = 0
        """How many before those were heard."""

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._messages)

    def add(self, message: bytes) -> None:
        """Keep one that is sent."""
        self._messages.append(message)

    def heard(self, number: int) -> None:
        """The other has heard so many messages."""
        while self._messages and self._heard < number:
            self._messages.popleft()
            self._heard += 1
