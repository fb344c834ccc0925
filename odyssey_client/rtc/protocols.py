"""What a connection needs of its WebRTC end, whoever makes it: `Network` does. Nothing here loads aiortc."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from odyssey_client.rtc.ice_servers import IceServer


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
