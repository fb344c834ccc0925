"""Light peers of a spectator's connection, for the client and for the mock, in place of their WebRTC peers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

import av

from odyssey_client.errors import PeerError, excerpt
from odyssey_client.models import JSON
from odyssey_client.platform import IceServer
from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.protocols import DatagramNetwork
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sim.light.description import CODECS, Description, Direction, Section, check_candidate
from odyssey_mock.sim.light.link import LATE, Link, LinkListener, LinkState, MessageKind
from odyssey_mock.sim.light.video import FrameReceiver, FrameSender

_RECEIVES: frozenset[Direction] = frozenset({"recvonly", "sendrecv"})


class LightSpectatorPeer:
    """The mock's `SpectatorPeer`, with a `Link` instead of WebRTC; an async context manager."""

    def __init__(
        self,
        host: str,
        track: PacketTrack,
        codecs: Sequence[Codec],
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        self._host = host
        self._track = track
        self._codecs = tuple(dict.fromkeys([*codecs, *CODECS]))
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._on_keyframe_wanted = on_keyframe_wanted
        self._link: Link | None = None
        self._sender: FrameSender | None = None
        self._is_cut = False
        self._network: DatagramNetwork | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def answer(self, offer: str) -> tuple[str, Codec]:
        try:
            other = Description.parse(offer)
        except ValueError as error:
            raise DescriptionError(f"the offer's SDP cannot be used: {error}") from error
        video = other.section("video")
        codec = next((codec for codec in self._codecs if video is not None and codec in video.codecs), None)
        if video is None or codec is None or other.tcp_port is None:
            raise DescriptionError(
                "the offer's SDP cannot be used: expected a video section with H.264 or VP8, and a TCP candidate; got "
                "an offer without one of them"
            )
        if video.direction not in _RECEIVES:
            raise DescriptionError(
                "the offer's SDP cannot be used: expected a video section with a=recvonly or a=sendrecv, "
                "got one that does not receive"
            )
        sections = [
            Section("video", "sendonly", (codec,)) if each is video else Section(each.kind, "inactive")
            for each in other.sections
        ]
        listener = LinkListener(self._state, self._told, lambda _datagram: None, self._on_keyframe_wanted)
        self._link = link = Link(self._host, listener, sections)
        self._sender = FrameSender(link, self._track, self._say_end)
        if self._is_cut:
            link.cut()
        if self._network is not None:
            link.impair(self._network)
        own = await link.gather(listens=False)
        link.dial(other)
        return own.text("active"), codec

    async def add_candidate(self, candidate: str, mid: str | None, line: int | None) -> None:  # noqa: ARG002 - candidates are only checked
        check_candidate(candidate)

    def vanish(self) -> None:
        self._is_cut = True
        if self._link is not None:
            self._link.cut()

    def impair(self, network: DatagramNetwork) -> None:
        self._network = network
        if self._link is not None:
            self._link.impair(network)

    async def close(self) -> None:
        if self._link is not None and self._sender is not None:
            await self._link.close(self._sender.last)

    def _state(self, state: LinkState) -> None:
        if state is LinkState.CONNECTED and self._link is not None and self._sender is not None:
            self._link.run(self._sender.run())
            self._on_connected()
        else:
            self._on_lost()

    def _told(self, kind: MessageKind, _payload: bytes) -> None:
        if kind is MessageKind.BYE and self._link is not None:
            self._link.said_goodbye()

    def _say_end(self) -> None:
        if self._link is not None and self._sender is not None:
            self._link.say(MessageKind.END, self._sender.last)


class LightClientSpectatorPeer:
    """The client's `SpectatorPeer`, with a `Link` instead of WebRTC; an async context manager."""

    def __init__(
        self,
        host: str,
        *,
        connected: Callable[[], None],
        ended: Callable[[], None],
        frame: Callable[[av.VideoFrame], None],
        lost: Callable[[PeerError], None],
    ) -> None:
        self._connected = connected
        self._ended = ended
        self._lost = lost
        listener = LinkListener(self._state, self._told, self._frame, lambda: None)
        sections = [Section("video", "recvonly", CODECS), Section("audio", "recvonly")]
        self._link = Link(host, listener, sections)
        self._receiver = FrameReceiver(self._link, frame)
        self._over = asyncio.Event()
        self._changed: Callable[[str, str], None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        await self._link.close()

    async def pump(self) -> None:
        # FrameReceiver delivers frames as they arrive; only the end is awaited.
        await self._over.wait()

    def stats(self) -> dict[str, JSON]:
        return {}

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._changed = changed

    async def offer(self, ice_servers: Iterable[IceServer]) -> str:  # noqa: ARG002 - no ICE server is needed
        try:
            return (await self._link.gather(listens=True)).text("actpass")
        except (OSError, TypeError) as error:  # no address, or one that cannot be bound
            raise PeerError(f"Cannot create an SDP offer: {type(error).__name__}: {excerpt(str(error))}") from error

    async def apply(self, answer: str) -> None:
        try:
            other = Description.parse(answer)
            video = other.section("video")
            if video is None or video.direction not in {"sendonly", "sendrecv"}:
                raise ValueError("the answer has no video track")
        except ValueError as error:
            why = f"{type(error).__name__}: {excerpt(str(error))}"
            raise PeerError(f"The service's answer cannot be applied: {why}") from error
        self._link.expect(other)

    def _frame(self, datagram: bytes) -> None:
        self._receiver.take(datagram)

    def _state(self, state: LinkState) -> None:
        if self._changed is not None:
            self._changed("connection", state)
        match state:
            case LinkState.CONNECTED:
                self._connected()
            case LinkState.CLOSED:
                self._end()
            case _:
                self._over.set()
                self._lost(PeerError("The peer connection to the broadcast was lost: ICE or DTLS has failed."))

    def _told(self, kind: MessageKind, payload: bytes) -> None:
        match kind:
            case MessageKind.END:
                self._receiver.after(payload, self._end, LATE)
            case MessageKind.BYE:
                self._receiver.after(payload, self._link.said_goodbye, LATE)
            case _:
                pass

    def _end(self) -> None:
        self._over.set()
        self._ended()
