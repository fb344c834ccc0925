"""The streamer's end of the WebRTC connection (`protocol.md` section 4).

It makes the offer, sends one video track and opens both data channels.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self, get_args

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import candidate_from_sdp

from odyssey_mock.media.encoder import Codec
from odyssey_mock.streamer.ice import offer_addresses
from odyssey_mock.streamer.pump import PacketTrack

logger = logging.getLogger(__name__)

CLOSE_LIMIT = 5.0
"""Seconds that closing may take; aiortc's can hang when the other side is gone."""

TASKS_LIMIT = 5.0
"""Seconds that aiortc's own tasks may take to end after that; they end at once."""

# aiortc starts tasks and gives them to nobody. They inherit the context they are started in, and so can be told by it.
_owner: "contextvars.ContextVar[StreamerPeer | None]" = contextvars.ContextVar("streamer_peer", default=None)

_PLACEHOLDER_ID = 1023
"""A negotiated channel puts SCTP into the offer; its number is far from those that are given out as channels open."""


class DescriptionError(ValueError):
    """A session description or a candidate that cannot be used."""


class StreamerPeer:
    """An async context manager around one `RTCPeerConnection`.

    The callbacks run on the event loop: `on_connected()` once ICE and DTLS are up, `on_lost()` once the connection
    failed or the client closed it, `on_message(text_or_bytes)` for each message on `clientToStreamer`,
    `on_keyframe_wanted()` when the receiver lost a picture.
    """

    def __init__(
        self,
        track: PacketTrack,
        addresses: list[str],
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        self._addresses = addresses
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_message = on_message
        self._closing = False
        self._answered = False
        self._early_candidates: list[RTCIceCandidate] = []
        self._outbox: list[str] = []
        self._opening: asyncio.TimerHandle | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._to_client: RTCDataChannel | None = None
        # No default STUN server: it would delay the offer by 5 s off line (notes: aiortc asks Google's).
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection.on("connectionstatechange", self._state_changed)
        self._transceiver = self._connection.addTransceiver(track, direction="sendonly")
        self._transceiver.setCodecPreferences(_preferred_codecs())
        # aiortc answers PLI and FIR in its encoder, which ready-made packets go around.
        self._transceiver.sender._send_keyframe = on_keyframe_wanted  # type: ignore[method-assign] # noqa: SLF001
        self._connection.createDataChannel("placeholder", negotiated=True, id=_PLACEHOLDER_ID)

    async def __aenter__(self) -> Self:
        _owner.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def offer(self) -> str:
        """The complete SDP offer, with every host candidate in it."""
        # Cut short, aioice would forget the sockets that it has just opened; `close` waits for what goes on.
        self._gathering = asyncio.create_task(self._gather())
        await asyncio.shield(self._gathering)
        return self._connection.localDescription.sdp

    async def answer(self, sdp: str) -> Codec:
        """Apply the client's answer; return the codec that was agreed on.

        Raises:
            DescriptionError: the text is no answer to the offer.
        """
        if "a=fingerprint:" not in sdp:
            # aiortc takes it, and fails later in a task of its own where nobody hears of it.
            raise DescriptionError("the answer's SDP cannot be used: it has no a=fingerprint line (RFC 8122)")
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=_without_mdns(sdp), type="answer"))
        except Exception as error:
            # aiortc's parser meets garbage with whatever Python raises; all of it means the same.
            raise DescriptionError(f"the answer's SDP cannot be used: {type(error).__name__}: {error}") from error
        self._answered = True
        for candidate in self._early_candidates:
            await self._connection.addIceCandidate(candidate)
        name = self._transceiver._codecs[0].name.lower()  # noqa: SLF001 - nothing public says what was agreed on
        codecs: dict[str, Codec] = {codec: codec for codec in get_args(Codec.__value__)}
        return codecs[name]

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None) -> None:
        """Add a trickled candidate (RFC 8838); one that comes before the answer waits for it.

        Host names under `.local` are dropped: looking them up takes up to a second and the client's checks reveal its
        address anyway. So is the end-of-candidates mark, which would make ICE fail before those checks arrive.

        Raises:
            DescriptionError: the text is no candidate line.
        """
        if not candidate or ".local " in candidate:
            return
        try:
            parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        except (ValueError, IndexError, AssertionError) as error:
            raise DescriptionError("the candidate is no ICE candidate line (RFC 8839 section 5.1)") from error
        parsed.sdpMid = mid
        parsed.sdpMLineIndex = 0 if mid is None and line is None else line
        if self._answered:
            await self._connection.addIceCandidate(parsed)
        else:
            self._early_candidates.append(parsed)

    def open_channels(self, delay: float) -> None:
        """Open both data channels, `streamerToClient` first, after `delay` seconds of the event loop's time."""
        self._opening = asyncio.get_running_loop().call_later(delay, self._open_channels)

    def send(self, text: str) -> None:
        """Send on `streamerToClient`, in order; kept until that channel is open, dropped once it is closed."""
        if self._to_client is None or self._to_client.readyState == "connecting":
            self._outbox.append(text)
        elif self._to_client.readyState == "open":
            self._to_client.send(text)

    async def close(self) -> None:
        """Close the connection, within `CLOSE_LIMIT`; may be called more than once."""
        self._closing = True
        if self._opening is not None:
            self._opening.cancel()
        orphans = self._orphans()
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                if self._gathering is not None:
                    await asyncio.wait([self._gathering])
                await self._connection.close()
        except TimeoutError:
            logger.warning("a peer connection did not close within %s s; its tasks are ended", CLOSE_LIMIT)
        await self._end_orphans()
        for task in orphans:
            if task.done() and not task.cancelled():
                # aiortc's handshake fails when it is closed half-way, and asyncio would complain that nobody was told.
                task.exception()

    async def _gather(self) -> None:
        offer_addresses(self._connection, self._addresses)
        await self._connection.setLocalDescription(await self._connection.createOffer())

    def _orphans(self) -> list[asyncio.Task[object]]:
        """The tasks that aiortc has started for this peer and given to nobody."""
        current = asyncio.current_task()
        return [task for task in asyncio.all_tasks() if task is not current and task.get_context().get(_owner) is self]

    async def _end_orphans(self) -> None:
        # Some start others as they end: aioice asks for consent for ever when it connects just as it is closed.
        try:
            async with asyncio.timeout(TASKS_LIMIT):
                while orphans := self._orphans():
                    for task in orphans:
                        task.cancel()
                    await asyncio.wait(orphans)
        except TimeoutError:
            logger.warning("tasks of a closed peer connection did not end within %s s; they are left", TASKS_LIMIT)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if self._closing:
            return
        if state == "connected":
            self._on_connected()
        elif state in {"failed", "closed"}:
            self._on_lost()

    def _open_channels(self) -> None:
        self._to_client = self._connection.createDataChannel("streamerToClient")
        self._to_client.on("open", self._flush)
        from_client = self._connection.createDataChannel("clientToStreamer")
        from_client.on("message", self._on_message)

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        for text in outbox:
            self.send(text)


def _preferred_codecs() -> list[RTCRtpCodecCapability]:
    """H.264 first, which is the cheaper to encode, then VP8, each with its retransmission format (RFC 4588)."""
    order = {"video/h264": 0, "video/vp8": 1, "video/rtx": 2}
    codecs = [codec for codec in RTCRtpSender.getCapabilities("video").codecs if codec.mimeType.lower() in order]
    return sorted(codecs, key=lambda codec: order[codec.mimeType.lower()])


def _without_mdns(sdp: str) -> str:
    lines = sdp.splitlines(keepends=True)
    return "".join(line for line in lines if not (line.startswith("a=candidate") and ".local " in line))
