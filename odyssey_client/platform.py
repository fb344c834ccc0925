"""What a client takes from the world: time, chance, the network, and the WebRTC peers that the network makes.

They are passed in, so that a test or a simulation can put its own in their place. Nothing else in this package reads a
clock, draws a random number or opens a socket. Here are only their protocols; the real ones are in `system.py` and
`rtc/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from odyssey_client.errors import PeerError

if TYPE_CHECKING:  # a client that is only constructed needs none of them, and av alone takes 60 ms to import
    import httpx
    from av import VideoFrame
    from websockets.asyncio.client import ClientConnection


class Clock(Protocol):
    """Time, and waiting for it."""

    def time(self) -> float:
        """Seconds since the epoch, for timestamps."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, never going back, for measuring."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Limit a block as `asyncio.timeout` does: after ``seconds``, `TimeoutError`; None for no limit."""
        ...


class Entropy(Protocol):
    """Chance: ids and jitter."""

    def uuid(self) -> str:
        """Draw a random UUID, in its usual text form."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """Draw a number between ``low`` and ``high``."""
        ...


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of `iceServers` (W3C WebRTC section 4.2.4)."""

    urls: list[str]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PeerListener:
    """Whom a `ClientPeer` tells; all are called on the event loop and must neither block nor raise."""

    video_added: Callable[[], None]
    channel_opened: Callable[[], None]
    frame: Callable[[VideoFrame], None]
    message: Callable[[str | bytes], None]
    """A message on `streamerToClient`."""
    lost: Callable[[PeerError], None]
    """The peer connection is gone; may be called more than once."""


class Peer(Protocol):
    """An async context manager; on leaving, no task, thread or socket of it is left."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def pump(self) -> None:
        """Hand every frame on, from the video's beginning to its end; to run as long as the connection lives."""
        ...


class ClientPeer(Peer, Protocol):
    """The end of a live connection: it answers the streamer's offer; `PeerListener` is told what happens."""

    async def answer(self, offer: str, ice_servers: list[IceServer]) -> str:
        """Apply the SDP ``offer``; return the answer, complete with every candidate.

        Raises:
            PeerError: the offer cannot be answered.
        """
        ...

    async def add_candidate(self, line: str, mid: str | None, mline_index: int | None) -> None:
        """Take a trickled candidate; an empty ``line`` marks the end of them.

        Raises:
            PeerError: it is none.
        """
        ...

    def send(self, text: str) -> bool:
        """Send on `clientToStreamer`; False when it is not open, or ``text`` is longer than the service takes there."""
        ...


class SpectatorPeer(Peer, Protocol):
    """The end of a spectator: it offers to receive."""

    async def offer(self, ice_servers: Iterable[IceServer]) -> str:
        """Make the offer, complete with every candidate.

        Raises:
            PeerError: it cannot be made.
        """
        ...

    async def apply(self, answer: str) -> None:
        """Apply the SDP ``answer``; the connection comes up, or is lost, by itself.

        Raises:
            PeerError: it cannot be applied, or has no video.
        """
        ...


class Network(Protocol):
    """Ways out of the process."""

    def http_transport(self) -> httpx.AsyncBaseTransport:
        """Make a new transport for an HTTP client, which closes it."""
        ...

    def websocket(self, url: str) -> AbstractAsyncContextManager[ClientConnection]:
        """Connect to ``url``; close on leaving. There is no limit on the time to open: the caller's clock has it."""
        ...

    def ice_addresses(self) -> list[str] | None:
        """List the addresses for ICE host candidates; None to let the ICE library look for itself."""
        ...

    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        """Make the WebRTC end of a live connection."""
        ...

    def spectator_peer(
        self,
        clock: Clock,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[[VideoFrame], None],
        lost: Callable[[PeerError], None],
    ) -> SpectatorPeer:
        """Make the WebRTC end of a spectator; ``ended`` is for a close by the service, ``lost`` for anything else.

        The callbacks run on the event loop and must neither block nor raise; ``lost`` may come more than once.
        """
        ...


class Platform(NamedTuple):
    """All that one client takes from the world."""

    clock: Clock
    entropy: Entropy
    network: Network
