"""What the mock needs of its WebRTC ends, whoever makes them: `Network` does."""

from types import TracebackType
from typing import Protocol, Self

from odyssey_mock.media.encoder import Codec


class Peer(Protocol):
    """An async context manager around one peer connection, of which nothing is left on leaving."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None) -> None:
        """Add a trickled candidate (RFC 8838); one that comes before the description waits for it.

        Raises:
            DescriptionError: the text is no candidate line.
        """

    def vanish(self) -> None:
        """Say and hear nothing any more, without a goodbye, as when a cable is cut; to be closed all the same."""

    async def close(self) -> None:
        """Close the connection; may be called more than once."""


class StreamerPeer(Peer, Protocol):
    """The streamer's end: it makes the offer, sends one video track and opens both data channels."""

    @property
    def was_closed(self) -> bool:
        """Whether the client has closed it, rather than being lost."""

    async def offer(self) -> str:
        """The complete SDP offer, with every host candidate in it."""

    async def answer(self, sdp: str) -> Codec:
        """Apply the client's answer; return the codec that was agreed on.

        Raises:
            DescriptionError: the text is no answer to the offer.
        """

    def fail_ice(self) -> None:
        """From the offer on, answer no connectivity check, and wait for a candidate of the client for ever."""

    def fail_dtls(self) -> None:
        """Put into the offer the fingerprint of a certificate that is not the one that DTLS will show."""

    async def end_track(self) -> None:
        """End the video track, and say so (RTCP BYE); the rest of the connection goes on."""

    def open_channels(self, delay: float) -> None:
        """Open both data channels, `streamerToClient` first, after `delay` seconds of the event loop's time."""

    def close_channels(self) -> None:
        """Close both data channels, or as soon as they are open; the rest of the connection goes on."""

    def send(self, text: str) -> None:
        """Send on `streamerToClient`, in order; kept until that channel is open, dropped once it is closed."""

    async def drain(self) -> None:
        """Let what was said go out, within a limit; to be called before the connection is closed."""


class SpectatorPeer(Peer, Protocol):
    """The mock's end to one spectator: it answers an offer, and sends a video track."""

    async def answer(self, offer: str) -> tuple[str, Codec]:
        """Apply the offer; return the answer, complete with every candidate, and the codec that was agreed on.

        Raises:
            DescriptionError: it cannot be answered.
        """
