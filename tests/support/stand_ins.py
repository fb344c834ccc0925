"""Helpers for tests of the mock's broadcasts without a network. Only the WebRTC peers are fakes."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from types import TracebackType
from typing import Any, Self, Unpack, cast

import av
import pytest
from aiortc.mediastreams import MediaStreamError

from odyssey_mock.backend import Backend
from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.core.clock import ManualClock
from odyssey_mock.core.entropy import SeededEntropy
from odyssey_mock.core.url_parts import is_loopback
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.settings import Settings, SettingsOverrides
from odyssey_mock.system_network import SystemNetwork
from tests.support.raw import LIMIT

SIZE = Size(176, 320)
GAP = 10
"""Minimum number of frames between two key frames that receivers request after lost frames."""

ANSWER = "v=0\r\n"


class StandInPeer:
    """A fake `SpectatorPeer` that a test controls.

    The SDP offer passed to `answer` is one word. The peer accepts the words `h264` and `vp8`, which name the codec. It
    raises `DescriptionError` for `refused`, and `RuntimeError` for any other word. `answer` waits until the test sets
    `may_answer`.
    """

    def __init__(
        self,
        track: PacketTrack,
        addresses: list[str],
        offered: HostCandidates,
        codecs: Sequence[Codec],
        *,
        on_connected: Callable[[], None],
        on_lost: Callable[[], None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        self.addresses = addresses
        self.offered = offered
        self.codecs = list(codecs)
        self.connected = on_connected
        self.lost = on_lost
        self.want_keyframe = on_keyframe_wanted
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.takes = True
        """Whether this peer reads packets from its track. If false, packets queue up, as for a slow spectator."""
        self.taken: list[VideoPacket] = []
        self.ended = False
        """Whether this peer has read its track to the end."""
        self.close_error: Exception | None = None
        self._track = track
        self._took = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._sender is not None
        self._sender.cancel()
        await asyncio.wait([self._sender])
        if self.close_error is not None:
            raise self.close_error

    async def answer(self, offer: str) -> tuple[str, Codec]:
        self.asked.set()
        await self.may_answer.wait()
        match offer:
            case "h264" | "vp8":
                return ANSWER, offer
            case "refused":
                raise DescriptionError("the offer's SDP cannot be used: expected h264 or vp8, got refused")
            case _:
                raise RuntimeError("the fake peer failed")

    async def caught_up(self) -> None:
        """Wait until this peer has read all packets in the queue of its track."""
        async with asyncio.timeout(LIMIT):
            while self._track._packets:
                self._took.clear()
                await self._took.wait()

    def resume(self) -> None:
        """Continue to read packets from the track, after the test has set `takes` to False."""
        self.takes = True
        self._sender = asyncio.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self.takes:
                self.taken.append(await self._track.recv())
                self._took.set()
        except MediaStreamError:
            self.ended = True

    @property
    def slots(self) -> list[int]:
        """The timestamps, in frames, of the packets that this peer has read."""
        return [each.pts or 0 for each in self.taken]


class StandIns(list[StandInPeer]):
    """The fake peers of all spectators, in the order of their creation."""

    def __init__(self) -> None:
        super().__init__()
        self.answering = True
        """Whether new peers answer offers at once. If false, the test sets `may_answer` of each peer."""
        self._changed = asyncio.Event()

    def make(self, *args: Any, **kwargs: Any) -> StandInPeer:  # Any: passed through unchanged
        peer = StandInPeer(*args, **kwargs)
        if self.answering:
            peer.may_answer.set()
        self.append(peer)
        self._changed.set()
        return peer

    async def asked(self) -> StandInPeer:
        """Wait until the first peer of this list exists and has received an offer; return this peer."""
        async with asyncio.timeout(LIMIT):
            while not self:
                self._changed.clear()
                await self._changed.wait()
            await self[0].asked.wait()
        return self[0]


@contextmanager
def stand_ins() -> Iterator[StandIns]:
    """Let the mock create fake peers for its spectators; yield the list of these peers."""
    made = StandIns()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odyssey_mock.rtc.spectator_peer.AiortcSpectatorPeer", made.make)
        yield made


def backend_with(**settings: Unpack[SettingsOverrides]) -> Backend:
    """Return a backend that has no server and a manual clock."""
    return Backend(
        settings=CurrentSettings(Settings().replace(**settings)),
        clock=ManualClock(),
        entropy=SeededEntropy(1),
        network=SystemNetwork(),
        listening_url="http://mock.test",
        stun_port=3478,
        accepts=is_loopback,
    )


def record_of(backend: Backend, stream_id: str = "stream-1") -> StreamRecord:
    """Return the record of a stream that has just started."""
    return StreamRecord(
        id=stream_id,
        account_id="account-1",
        session_id="session-1",
        timeline=Timeline(tag=1, size=SIZE, fps=backend.settings.now.fps),
        prompt="A cat",
        applied_prompt="A cat",
        started_at=backend.clock.time(),
        began=backend.clock.monotonic(),
        broadcast=True,
    )


def opened(backend: Backend, stream_id: str = "stream-1", keyframes: Keyframes | None = None) -> Broadcast:
    """Open a broadcast that has no frame pump, so that the test pushes its frames (`show`)."""
    record = record_of(backend, stream_id)
    backend.streams.remember(record)
    encoders = Encoders(record.timeline.size, record.timeline.fps, None)
    return backend.broadcasts.open(record, encoders, keyframes or Keyframes(GAP))


def packet(slot: int, *, key: bool = False) -> VideoPacket:
    """Return a video packet with the timestamp `slot`, in frames of 1/20 s. Its content cannot be decoded."""
    made = av.Packet(bytes([slot % 256]))
    made.pts, made.time_base, made.is_keyframe = slot, Fraction(1, 20), key
    return cast("VideoPacket", made)


async def gone(backend: Backend, spectator: Spectator) -> str:
    """Wait until the mock has removed the spectator; return the reason in the journal."""
    entry = await backend.journal.wait_for("state", "spectator", to="gone", spectator=spectator.number)
    return str(entry.data["why"])


async def watching(broadcast: Broadcast, backend: Backend, peers: StandIns, codec: Codec) -> Spectator:
    """Connect a spectator whose WebRTC peer is a fake; return the spectator."""
    spectator = backend.broadcasts.admit(broadcast, codec)
    assert await spectator.answer() == ANSWER
    peers[-1].connected()
    return spectator


def show(broadcast: Broadcast, slot: int, *, key: bool = False) -> None:
    """Push frame `slot` to a broadcast in H.264 and in every codec that its spectators use, as the frame pump does."""
    codecs: set[Codec] = {"h264", *broadcast.codecs}
    broadcast.push({codec: packet(slot, key=key) for codec in codecs})
