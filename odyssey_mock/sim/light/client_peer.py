"""The client's light peer of a live connection, the counterpart of `odyssey_client/rtc/client_peer.py`."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from odyssey_client.errors import PeerError
from odyssey_client.models import JSON
from odyssey_client.platform import IceServer, PeerListener
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sim.light.description import MAX_MESSAGE, Description, Section, check_candidate
from odyssey_mock.sim.light.link import LATE, Link, LinkListener, LinkState, MessageKind
from odyssey_mock.sim.light.streamer_peer import CLIENT_TO_STREAMER, STREAMER_TO_CLIENT
from odyssey_mock.sim.light.video import FrameReceiver


class LightClientPeer:
    """A `ClientPeer` that uses a `Link` instead of WebRTC; an async context manager."""

    def __init__(self, host: str, listener: PeerListener) -> None:
        self._host = host
        self._listener = listener
        self._link: Link | None = None
        self._receiver: FrameReceiver | None = None
        self._answer = ""
        self._channels: dict[bytes, None] = {}
        self._over = asyncio.Event()
        """Set when no more frames will arrive."""
        self._closing = False
        self._changed: Callable[[str, str], None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing = True
        self._over.set()
        if self._link is not None:
            await self._link.close()

    async def pump(self) -> None:
        # FrameReceiver delivers frames as they arrive; only the end is awaited.
        await self._over.wait()

    def stats(self) -> dict[str, JSON]:
        return {}

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._changed = changed

    async def answer(self, offer: str, ice_servers: list[IceServer]) -> str:  # noqa: ARG002 - no ICE server is needed
        if self._answer:
            return self._answer  # the service has sent its offer again
        try:
            other = Description.parse(offer)
            video = other.section("video")
            if video is None or other.section("application") is None:
                raise ValueError("the offer has no video track or no data channels")
            if other.tcp_port is None:
                raise ValueError("expected a TCP host candidate in the offer, got none")
            sections = [Section("video", "recvonly", video.codecs), Section("application")]
            self._link = link = Link(self._host, self._told_by(), sections)
            self._receiver = FrameReceiver(link, self._listener.frame)
            self._report("video", "added")
            self._listener.video_added()
            own = await link.gather(listens=False)
        except (ValueError, OSError) as error:
            raise PeerError(f"The service's offer cannot be answered: {type(error).__name__}: {error}") from error
        self._answer = own.text("active")
        link.dial(other)
        return self._answer

    async def add_candidate(self, line: str, mid: str | None, mline_index: int | None) -> None:  # noqa: ARG002 - candidates are only checked
        try:
            check_candidate(line)
        except DescriptionError:
            why = "the text is not an ICE candidate line (RFC 8839 section 5.1)"
            raise PeerError(f"The service sent an invalid ICE candidate: {why}") from None

    def send(self, text: str) -> bool:
        data = text.encode()
        if self._link is None or CLIENT_TO_STREAMER not in self._channels or len(data) > MAX_MESSAGE:
            return False
        self._link.say(MessageKind.TEXT, data)
        return True

    def _told_by(self) -> LinkListener:
        return LinkListener(self._state, self._told, self._frame, _nothing)

    def _frame(self, datagram: bytes) -> None:
        if self._receiver is not None:
            self._receiver.take(datagram)

    def _state(self, state: LinkState) -> None:
        self._report("connection", state)
        if state is not LinkState.CONNECTED:
            self._over.set()
            self._channels.clear()
            self._lost(f"its state is {state}")

    def _told(self, kind: MessageKind, payload: bytes) -> None:
        assert self._link is not None
        assert self._receiver is not None
        match kind:
            case MessageKind.OPEN if payload in {STREAMER_TO_CLIENT, CLIENT_TO_STREAMER}:
                self._channels[payload] = None
                self._link.say(MessageKind.OPENED, payload)
                self._report("channel", f"{payload.decode()} open")
                if payload == CLIENT_TO_STREAMER:
                    self._listener.channel_opened()
            case MessageKind.TEXT if STREAMER_TO_CLIENT in self._channels:
                self._listener.message(payload.decode())
            case MessageKind.SHUT if payload in self._channels:
                self._shut(payload)
            case MessageKind.END:
                self._receiver.after(payload, self._ended, LATE)
            case MessageKind.BYE:
                self._receiver.after(payload, self._closed, LATE)
            case _:
                pass

    def _shut(self, label: bytes) -> None:
        del self._channels[label]
        self._report("channel", f"{label.decode()} closed")
        self._lost(f"the data channel {label.decode()} closed")

    def _ended(self) -> None:
        self._over.set()
        self._lost("the video track ended")

    def _closed(self) -> None:
        for label in list(self._channels):
            self._shut(label)
        self._ended()
        if self._link is not None:
            self._link.said_goodbye()

    def _report(self, transport: str, state: str) -> None:
        if self._changed is not None:
            self._changed(transport, state)

    def _lost(self, why: str) -> None:
        if not self._closing:
            self._listener.lost(PeerError(f"The peer connection to the streamer was lost: {why}."))


def _nothing() -> None:
    """Ignore reports of lost frames: the client sends no video."""
