"""The streamer's aiortc peer (`protocol.md` section 4).

It creates the offer, sends one video track and opens both data channels.
"""

import asyncio
import functools
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import override

from aiortc import RTCDataChannel, RTCDtlsTransport, RTCSctpTransport
from aiortc.rtcsctptransport import SCTP_DATA_LAST_FRAG, WEBRTC_DCEP

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.packet_sender import send_packets
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.peer_connection import PeerConnection, agreed_codec, preferred_codecs
from odyssey_mock.rtc.remote_description import DescriptionError

logger = get_logger(__name__)

DRAIN_LIMIT = 1.0
"""Maximum seconds to wait until the last messages are sent."""

CONGESTED = 1.5
"""Seconds after which a message without acknowledgment shows that the client or the server is overloaded.

SCTP repeats a message after 1 second at the earliest (RFC 9260 section 16), so one lost datagram is no sign of it.
"""

_FINGERPRINT = re.compile(r"(?<=a=fingerprint:)(\S+ )([0-9A-F:]+)")
_HEX = re.compile(r"[0-9A-F]")
_CANDIDATES = re.compile(r"^a=(candidate:.*|end-of-candidates)\r?\n", re.MULTILINE)

_PLACEHOLDER_ID = 1023
"""Id of the negotiated data channel that adds SCTP to the offer. It is far from the ids of other data channels."""


class AiortcStreamerPeer(PeerConnection):
    """The streamer's peer connection: an async context manager around one aiortc `RTCPeerConnection`.

    `PeerFactory.streamer_peer` describes the callbacks.
    """

    def __init__(
        self,
        track: PacketTrack,
        addresses: Sequence[str],
        offered: HostCandidates,
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        super().__init__(addresses, offered, on_connected=on_connected, on_lost=on_lost)
        self._on_message = on_message
        self._outbox: list[str] = []
        """Messages that were sent while the channel was not open."""
        self._sent: deque[tuple[str, float]] = deque()
        """Messages that were given to the channel, and that the client may not have received, with their times."""
        self._opening: asyncio.TimerHandle | None = None
        self._to_client: RTCDataChannel | None = None
        self._from_client: RTCDataChannel | None = None
        self.was_closed = False
        """Whether the client closed the connection; False if the connection was lost."""
        self._closes_channels = False
        self._unreachable = False
        self._wrong_certificate = False
        self._transceiver = self._connection.addTransceiver("video", direction="sendonly")
        self._transceiver.setCodecPreferences(preferred_codecs())
        send_packets(self._transceiver, track, on_keyframe_wanted)
        self._context.run(
            lambda: self._connection.createDataChannel("placeholder", negotiated=True, id=_PLACEHOLDER_ID)
        )

    async def offer(self) -> str:
        """Create the SDP offer, with all host candidates."""
        sdp = await self._describe_local(self._connection.createOffer)
        if self._unreachable:
            self.vanish()
        if self._wrong_certificate:
            sdp = _FINGERPRINT.sub(lambda found: found[1] + _HEX.sub("0", found[2]), sdp)
        return sdp

    def fail_ice(self) -> None:
        """Make ICE fail: after the offer, answer no connectivity checks and ignore the client's candidates.

        The client's checks time out. The mock's peer reports no failure.
        """
        self._unreachable = True

    def fail_dtls(self) -> None:
        """Make DTLS fail: put a wrong certificate fingerprint into the offer."""
        self._wrong_certificate = True

    async def end_track(self) -> None:
        """End the video track with RTCP BYE; the data channels stay open."""
        await self._within(self._transceiver.sender.stop())

    def close_channels(self) -> None:
        """Close both data channels, now or as soon as they are open; the connection stays up."""
        self._closes_channels = True
        for channel in (self._to_client, self._from_client):
            if channel is not None and channel.readyState == "open":
                self._context.run(channel.close)

    @override
    async def add_candidate(self, candidate: str, mid: str | None, line: int | None) -> None:
        await super().add_candidate("" if self._unreachable else candidate, mid, line)

    async def answer(self, sdp: str) -> Codec:
        """Apply the client's answer and return the negotiated codec.

        Raises:
            DescriptionError: the text is not a valid answer to the offer.
        """
        await self._describe_remote(_CANDIDATES.sub("", sdp) if self._unreachable else sdp, "answer")
        # Only after the answer: bundling (RFC 9143) has then made it the transport of all sections.
        assert self._connection.sctp is not None
        transport = self._connection.sctp.transport
        transport.on("statechange", lambda: self._transport_changed(transport))
        codec = agreed_codec(self._transceiver)
        if codec is None:
            raise DescriptionError("the answer's SDP cannot be used: expected a video codec of the offer, got none")
        return codec

    def open_channels(self, delay: float, on_open: Callable[[], None]) -> None:
        """Open both data channels after `delay` seconds of the event loop's time, `streamerToClient` first.

        `on_open()` is called once the client has accepted both channels.
        """
        self._opening = asyncio.get_running_loop().call_later(
            delay, self._open_channels, on_open, context=self._context
        )

    def send(self, text: str) -> None:
        """Send a message on `streamerToClient`.

        Messages are queued until the channel is open. Once the channel is closed, they are only kept for `undelivered`.
        """
        if self._to_client is None or self._to_client.readyState != "open":
            self._outbox.append(text)
            return
        self._context.run(self._to_client.send, text)
        self._sent.append((text, asyncio.get_running_loop().time()))
        self._forget_delivered()

    @property
    def is_congested(self) -> bool:
        """Whether the client has not acknowledged a message within `CONGESTED` seconds."""
        if not self._sent or self._sent[0][1] + CONGESTED > asyncio.get_running_loop().time():
            return False
        self._forget_delivered()
        return bool(self._sent) and self._sent[0][1] + CONGESTED <= asyncio.get_running_loop().time()

    def undelivered(self) -> list[str]:
        """Return the messages of `send` that the client has not acknowledged, oldest first."""
        self._forget_delivered()
        return [*(text for text, _ in self._sent), *self._outbox]

    def _forget_delivered(self) -> None:
        """Drop the sent messages that SCTP has delivered, which it does in order (RFC 8831 section 6.6)."""
        if self._to_client is None or self._connection.sctp is None:
            return
        waiting = _waiting(self._connection.sctp, self._to_client)
        while len(self._sent) > waiting:
            self._sent.popleft()

    async def drain(self) -> None:
        """Wait until queued messages are sent, for `DRAIN_LIMIT` seconds at most; call this before `close`."""
        channel = self._to_client
        if channel is None or channel.readyState != "open" or not channel.bufferedAmount:
            return
        gone = asyncio.Event()
        channel.on("bufferedamountlow", gone.set)
        try:
            async with asyncio.timeout(DRAIN_LIMIT):
                await gone.wait()
        except TimeoutError:
            logger.info("a client did not receive the last messages within %s s; its connection is closed", DRAIN_LIMIT)

    @override
    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        await super().close()

    def _transport_changed(self, transport: RTCDtlsTransport) -> None:
        # The state of aiortc is `closed` in both cases. If the client closes the connection (close_notify, RFC 8446
        # section 6.1), DTLS ends first. If the client falls silent (RFC 7675), ICE ends first.
        is_silent = transport.transport._connection._closing  # noqa: SLF001 - there is no public attribute for it
        self.was_closed = self.was_closed or (transport.state == "closed" and not is_silent)

    def _open_channels(self, on_open: Callable[[], None]) -> None:
        self._to_client = self._connection.createDataChannel("streamerToClient")
        self._to_client.on("open", self._flush)
        self._from_client = self._connection.createDataChannel("clientToStreamer")
        for channel in (self._to_client, self._from_client):
            channel.on("open", functools.partial(self._channel_opened, channel, on_open))
        self._from_client.on("message", self._on_message)

    def _channel_opened(self, channel: RTCDataChannel, on_open: Callable[[], None]) -> None:
        if self._closes_channels:
            channel.close()
        elif all(each is not None and each.readyState == "open" for each in (self._to_client, self._from_client)):
            on_open()

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        for text in outbox:
            self.send(text)


def _waiting(sctp: RTCSctpTransport, channel: RTCDataChannel) -> int:
    """Return how many messages of `channel` SCTP has not sent yet, or its peer has not acknowledged (RFC 9260).

    aiortc has no public way to ask. Its queues keep their contents when the connection is lost.
    """
    chunks = (*sctp._sent_queue, *sctp._outbound_queue)  # noqa: SLF001
    protocols: list[int] = [
        *(each.protocol for each in chunks if each.stream_id == channel.id and each.flags & SCTP_DATA_LAST_FRAG),
        *(protocol for each, protocol, _ in sctp._data_channel_queue if each is channel),  # noqa: SLF001
    ]
    return len(protocols) - protocols.count(WEBRTC_DCEP)
