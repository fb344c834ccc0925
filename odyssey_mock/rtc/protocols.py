"""What the mock needs of its WebRTC ends, and of what makes them."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from odyssey_mock.core.network import Network
from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.packet_track import PacketTrack


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


class PeerFactory(Protocol):
    """Makes the mock's ends of peer connections."""

    def streamer_peer(
        self,
        track: PacketTrack,
        *,
        loopback_only: bool,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> StreamerPeer:
        """Make the streamer's end of a connection to a client.

        The callbacks run on the event loop: `on_connected()` once it is up, `on_lost()` once it failed or the client
        closed it, `on_message(text_or_bytes)` for each message on `clientToStreamer`, `on_keyframe_wanted()` when the
        client lost a picture.

        Raises:
            OSError: none can be made: out of file descriptors, say.
        """

    def spectator_peer(
        self,
        track: PacketTrack,
        codecs: Sequence[Codec],
        *,
        loopback_only: bool,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> SpectatorPeer:
        """Make the end to a spectator; `codecs`: those that are encoded anyway, and taken before others.

        Raises:
            OSError: none can be made: out of file descriptors, say.
        """


class MockNetwork(Network, PeerFactory, Protocol):
    """All that a mock takes from its surroundings to be reached: sockets and peers."""
