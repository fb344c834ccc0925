"""The streamer's light peer, the counterpart of `odyssey_mock/rtc/streamer_peer.py`."""

import asyncio
import re
from collections.abc import Callable
from types import TracebackType
from typing import Self

from odyssey_mock.core.redaction import get_logger
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.protocols import DatagramNetwork
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sim.light.description import CODECS, MAX_MESSAGE, Description, Section, check_candidate
from odyssey_mock.sim.light.link import Link, LinkListener, LinkState, MessageKind
from odyssey_mock.sim.light.video import FrameSender

logger = get_logger(__name__)

STREAMER_TO_CLIENT, CLIENT_TO_STREAMER = b"streamerToClient", b"clientToStreamer"
DRAIN_LIMIT = 1.0
"""Maximum seconds to wait until the last messages are sent."""
DISCARD = 9
"""The port number in an offer without candidates, which names no real port (RFC 8839 section 4.1.1)."""

_FINGERPRINT = re.compile(r"(?<=a=fingerprint:sha-256 )[0-9A-F:]+")
_HEX = re.compile(r"[0-9A-F]")


class LightStreamerPeer:
    """The mock's `StreamerPeer`, with a `Link` instead of WebRTC; an async context manager."""

    def __init__(
        self,
        host: str,
        track: PacketTrack,
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_message: Callable[[str | bytes], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        self.was_closed = False
        self.is_congested = False
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_message = on_message
        self._on_open: Callable[[], None]
        """Called once the client has accepted both channels."""
        self._outbox: list[str] = []
        self._channels: dict[bytes, bool] = {}
        """The open data channels by label; the value is True if the client has accepted the channel."""
        self._observers: list[Callable[[str, str], object]] = []
        self._closes_channels = False
        self._has_opened = False
        self._opening: asyncio.TimerHandle | None = None
        self._unreachable = False
        self._wrong_certificate = False
        self._sending: asyncio.Task[None] | None = None
        listener = LinkListener(self._state, self._told, _nothing, on_keyframe_wanted)
        self._host = host
        self._sections = [Section("video", "sendonly", CODECS), Section("application")]
        self._link = Link(host, listener, self._sections)
        self._sender = FrameSender(self._link, track, self._say_end)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def offer(self) -> str:
        try:
            own = await self._link.gather(listens=True)
        except OSError:
            logger.info("no socket could be opened on host %s; the offer has no candidates", self._host)
            own = Description.of(self._host, DISCARD, None, self._sections)
        sdp = own.text("actpass")
        if self._unreachable:
            self._link.cut()
        if self._wrong_certificate:
            sdp = _FINGERPRINT.sub(lambda found: _HEX.sub("0", found[0]), sdp)
        return sdp

    async def answer(self, sdp: str) -> Codec:
        try:
            other = Description.parse(sdp)
        except ValueError as error:
            raise DescriptionError(f"the answer's SDP cannot be used: {error}") from error
        if [each.kind for each in other.sections] != ["video", "application"]:
            raise DescriptionError(
                "the answer's SDP cannot be used: expected the same media sections as in the offer, got different ones"
            )
        codec = next((codec for codec in CODECS if codec in other.sections[0].codecs), None)
        if codec is None:
            raise DescriptionError("the answer's SDP cannot be used: expected a video codec of the offer, got none")
        self._link.expect(other)
        return codec

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None) -> None:  # noqa: ARG002 - candidates are only checked
        check_candidate(candidate)

    def fail_ice(self) -> None:
        self._unreachable = True

    def fail_dtls(self) -> None:
        self._wrong_certificate = True

    def vanish(self) -> None:
        self._link.cut()

    def impair(self, network: DatagramNetwork) -> None:
        self._link.impair(network)

    def observe(self, observer: Callable[[str, str], object]) -> None:
        self._observers.append(observer)

    async def statistics(self) -> dict[str, dict[str, JSON]]:
        """Return no reports, because light peers send no packets of RTP."""
        return {}

    async def end_track(self) -> None:
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            await asyncio.wait([self._sending])
            self._say_end()

    def open_channels(self, delay: float, on_open: Callable[[], None]) -> None:
        self._on_open = on_open
        self._opening = asyncio.get_running_loop().call_later(delay, self._open_channels)

    def close_channels(self) -> None:
        self._closes_channels = True
        for label in [label for label, is_open in self._channels.items() if is_open]:
            self._shut(label)

    def send(self, text: str) -> None:
        is_open = self._channels.get(STREAMER_TO_CLIENT)
        if is_open:
            data = text.encode()
            if len(data) > MAX_MESSAGE:
                raise ValueError(f"expected a message of at most {MAX_MESSAGE} bytes, got {len(data)}")
            self._link.say(MessageKind.TEXT, data)
        elif is_open is False or not self._has_opened:
            self._outbox.append(text)

    def undelivered(self) -> list[str]:
        """Return the messages that wait for the channel. The link does not know which of the sent ones have arrived."""
        return [*self._outbox]

    async def drain(self) -> None:
        if not await self._link.flush(DRAIN_LIMIT):
            logger.info("a client did not receive the last messages within %s s; its connection is closed", DRAIN_LIMIT)

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        await self._link.close(self._sender.last)

    def _state(self, state: LinkState) -> None:
        for observer in self._observers:
            observer("connection", state)
        if state is LinkState.CONNECTED:
            self._sending = self._link.run(self._sender.run())
            self._on_connected()
        else:
            self._on_lost()

    def _told(self, kind: MessageKind, payload: bytes) -> None:
        match kind:
            case MessageKind.TEXT if self._channels.get(CLIENT_TO_STREAMER):
                self._on_message(payload.decode())
            case MessageKind.OPENED if payload in self._channels:
                self._opened(payload)
            case MessageKind.BYE:
                self.was_closed = True
                self._channels.clear()
                self._link.said_goodbye()
            case _:
                pass

    def _open_channels(self) -> None:
        self._has_opened = True
        for label in (STREAMER_TO_CLIENT, CLIENT_TO_STREAMER):
            self._channels[label] = False
            self._link.say(MessageKind.OPEN, label)

    def _opened(self, label: bytes) -> None:
        self._channels[label] = True
        if label == STREAMER_TO_CLIENT:
            outbox, self._outbox = self._outbox, []
            for text in outbox:
                self.send(text)
        if self._closes_channels:
            self._shut(label)
        elif all(self._channels.values()):
            self._on_open()

    def _shut(self, label: bytes) -> None:
        del self._channels[label]
        self._link.say(MessageKind.SHUT, label)

    def _say_end(self) -> None:
        self._link.say(MessageKind.END, self._sender.last)


def _nothing(_datagram: bytes) -> None:
    """Ignore frames: the client sends no video."""
