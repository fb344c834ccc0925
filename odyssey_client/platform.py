"""Protocols of the clock, entropy, network and WebRTC peers that a client uses.

A test or a simulation can pass its own implementations. No other code in this package reads a clock, draws a random
number or opens a socket. The implementations for real use are in `system.py` and `rtc/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from odyssey_client.errors import PeerError
from odyssey_client.models import JSON

if TYPE_CHECKING:  # a client that is only constructed does not need them, and av alone takes 60 ms to import
    import httpx
    from av import VideoFrame
    from websockets.asyncio.client import ClientConnection


class Clock(Protocol):
    """A source of time, with waiting and timeouts."""

    def time(self) -> float:
        """Return the seconds since the epoch, for timestamps."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary time, for measuring; the value never decreases."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Return a context manager like `asyncio.timeout`: `TimeoutError` after ``seconds``; None for no limit."""
        ...


class Entropy(Protocol):
    """A source of random ids and numbers."""

    def uuid(self) -> str:
        """Return a random UUID in its canonical text form."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """Return a random number between ``low`` and ``high``."""
        ...


@dataclass(frozen=True, slots=True)
class IceServer:
    """One entry of `iceServers` (W3C WebRTC section 4.2.4)."""

    urls: list[str]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PeerListener:
    """Callbacks of a `ClientPeer`. They are called on the event loop and must neither block nor raise."""

    video_added: Callable[[], None]
    channel_opened: Callable[[], None]
    frame: Callable[[VideoFrame], None]
    message: Callable[[str | bytes], None]
    """A message arrived on `streamerToClient`."""
    lost: Callable[[PeerError], None]
    """The peer connection was lost; may be called more than once."""


class Peer(Protocol):
    """A WebRTC peer: an async context manager whose exit ends all its tasks, threads and sockets."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def pump(self) -> None:
        """Pass every received frame to the callback ``frame``, until the video ends.

        Run this method for the whole connection, because a track that is not read buffers every frame.
        """
        ...

    def stats(self) -> dict[str, JSON]:
        """Return the statistics as JSON: dictionaries of the W3C's webrtc-stats, by their ids.

        A peer returns the values that it knows; the dictionary is empty if it knows none.
        """
        ...

    def watch(self, changed: Callable[[str, str], None]) -> None:
        """Call ``changed(transport, state)`` at each change of a state from now on.

        The transport is ``ice``, ``gathering``, ``dtls``, ``connection``, ``signaling``, ``channel`` or ``video``; the
        state is that of WebRTC, for a channel with its label. The function must neither block nor raise.
        """
        ...


class ClientPeer(Peer, Protocol):
    """The client's peer of a live connection. It answers the streamer's offer and reports to a `PeerListener`."""

    async def answer(self, offer: str, ice_servers: list[IceServer]) -> str:
        """Apply the SDP ``offer``; return the answer with all candidates.

        Raises:
            PeerError: the offer cannot be answered.
            OdysseyConfigError: a TURN server needs TLS, and a file with root certificates cannot be used.
        """
        ...

    async def add_candidate(self, line: str, mid: str | None, mline_index: int | None) -> None:
        """Add a trickled candidate; an empty ``line`` marks the end of candidates.

        Raises:
            PeerError: the candidate is invalid.
        """
        ...

    def send(self, text: str) -> bool:
        """Send ``text`` on `clientToStreamer`; return False if the channel is not open or ``text`` is too long."""
        ...


class SpectatorPeer(Peer, Protocol):
    """The peer of a spectator. It sends the offer and receives the video."""

    async def offer(self, ice_servers: Iterable[IceServer]) -> str:
        """Return an SDP offer with all candidates.

        Raises:
            PeerError: the offer cannot be created.
            OdysseyConfigError: a TURN server needs TLS, and a file with root certificates cannot be used.
        """
        ...

    async def apply(self, answer: str) -> None:
        """Apply the SDP ``answer``. Callbacks report whether the connection opens or is lost.

        Raises:
            PeerError: the answer cannot be applied, or has no video.
        """
        ...


class Network(Protocol):
    """Creates HTTP, WebSocket and WebRTC connections."""

    def http_transport(self) -> httpx.AsyncBaseTransport:
        """Return a new transport for an HTTP client; the HTTP client closes it."""
        ...

    def websocket(self, url: str) -> AbstractAsyncContextManager[ClientConnection]:
        """Return a context manager that connects to ``url`` and closes the socket on exit.

        Opening has no time limit; the caller limits it with its clock.
        """
        ...

    def ice_addresses(self) -> list[str] | None:
        """Return the addresses for ICE host candidates; None if the ICE library should find them."""
        ...

    def peer(self, clock: Clock, listener: PeerListener) -> ClientPeer:
        """Return a new peer for a live connection."""
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
        """Return a new peer for a spectator.

        ``ended`` is called if the service closes the connection, ``lost`` if the connection ends for another reason.
        The callbacks run on the event loop and must neither block nor raise; ``lost`` may be called more than once.
        """
        ...


class Platform(NamedTuple):
    """Clock, entropy and network of one client."""

    clock: Clock
    entropy: Entropy
    network: Network
