"""Interfaces of the mock's WebRTC peers and of their factory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from odyssey_mock.core.network import Network
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.impairment.profile import Direction, TrafficKind
from odyssey_mock.rtc.host_candidates import HostCandidates

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec
    from odyssey_mock.rtc.packet_track import PacketTrack


class DatagramNetwork(Protocol):
    """A network that loses, delays and repeats the datagrams of a peer."""

    def deliveries(self, direction: Direction, kind: TrafficKind, size: int, now: float) -> Sequence[float]:
        """Return the times at which the copies of a datagram are delivered; none if it is lost.

        `size`: its length in bytes. `now`: the time of the event loop, which the results have too.
        """


class Peer(Protocol):
    """One WebRTC peer connection of the mock, as an async context manager that closes the connection on exit."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None) -> None:
        """Add a trickled candidate (RFC 8838), at once or as soon as the remote description is set.

        Raises:
            DescriptionError: the text is not a candidate line.
        """

    def vanish(self) -> None:
        """Send and receive nothing from now on, as if a cable were cut. The caller must still close the peer."""

    def impair(self, network: DatagramNetwork) -> None:
        """Let all datagrams pass through `network` from now on. Has no effect after `vanish`."""

    async def close(self) -> None:
        """Close the connection; may be called more than once."""


class StreamerPeer(Peer, Protocol):
    """The streamer's peer: it creates the offer, sends one video track and opens both data channels."""

    @property
    def was_closed(self) -> bool:
        """Whether the client closed the connection; False if the connection was lost."""

    async def offer(self) -> str:
        """Create the SDP offer, with all host candidates."""

    async def answer(self, sdp: str) -> Codec:
        """Apply the client's answer and return the negotiated codec.

        Raises:
            DescriptionError: the text is not a valid answer to the offer.
        """

    def fail_ice(self) -> None:
        """Make ICE fail: after the offer, answer no connectivity checks and ignore the client's candidates.

        The client's checks time out. The mock's peer reports no failure.
        """

    def fail_dtls(self) -> None:
        """Make DTLS fail: put a wrong certificate fingerprint into the offer."""

    async def end_track(self) -> None:
        """End the video track with RTCP BYE; the data channels stay open."""

    def open_channels(self, delay: float, on_open: Callable[[], None]) -> None:
        """Open both data channels after `delay` seconds of the event loop's time, `streamerToClient` first.

        `on_open()` is called once the client has accepted both channels.
        """

    def close_channels(self) -> None:
        """Close both data channels, now or as soon as they are open; the connection stays up."""

    def send(self, text: str) -> None:
        """Send a message on `streamerToClient`.

        Messages are queued until the channel is open. Once the channel is closed, they are only kept for `undelivered`.
        """

    @property
    def is_congested(self) -> bool:
        """Whether messages arrive late, because the client or the server is overloaded; video should then wait."""

    def undelivered(self) -> list[str]:
        """Return the messages of `send` that the client has not acknowledged, oldest first.

        If the connection is lost, another connection of the session must send them again.
        """

    def observe(self, observer: Callable[[str, str], object]) -> None:
        """Call `observer(transport, state)` for every change of a state, such as `("ice", "checking")`.

        The transports are `ice`, `gathering`, `signaling`, `connection` and `dtls`; the states are those of the W3C's
        webrtc-pc. Call this method before the peer creates or receives a description.
        """

    async def statistics(self) -> dict[str, dict[str, JSON]]:
        """Return the statistics of the connection: reports by id, with the names of the W3C's webrtc-stats."""

    async def drain(self) -> None:
        """Wait until queued messages are sent, up to a time limit; call this before closing the connection."""


class SpectatorPeer(Peer, Protocol):
    """The mock's peer of one spectator: it answers an offer and sends a video track."""

    async def answer(self, offer: str) -> tuple[str, Codec]:
        """Apply the offer; return the SDP answer with all candidates, and the negotiated codec.

        Raises:
            DescriptionError: the offer cannot be answered.
        """


class PeerFactory(Protocol):
    """A factory of the mock's peers."""

    def streamer_peer(
        self,
        track: PacketTrack,
        *,
        offered: HostCandidates,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> StreamerPeer:
        """Create the streamer's peer of a connection to a client.

        `offered`: the ICE host candidates of the peer. The callbacks run on the event loop:

        - `on_connected()` once the connection is up;
        - `on_lost()` once the connection has failed or the client has closed it;
        - `on_message(text_or_bytes)` for each message on `clientToStreamer`;
        - `on_keyframe_wanted()` when the client has lost a frame and needs a key frame.

        Raises:
            OSError: the peer cannot be created, for example because no file descriptors are left.
        """

    def spectator_peer(
        self,
        track: PacketTrack,
        codecs: Sequence[Codec],
        *,
        offered: HostCandidates,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> SpectatorPeer:
        """Create the peer of a spectator; it prefers `codecs`, which are already being encoded.

        `offered`: the ICE host candidates of the peer.

        Raises:
            OSError: the peer cannot be created, for example because no file descriptors are left.
        """


class MockNetwork(Network, PeerFactory, Protocol):
    """The network of a mock, which creates the mock's sockets and peers."""
