"""Tests that a broadcast pushes the right frames to each spectator, and that a slow spectator does not delay others."""

import asyncio
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, override

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock.broadcasts.spectator import Spectator
from odyssey_mock.media.encoder import Codec
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.frame_encoder import DrawnFrameEncoder
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.timeline import Timeline
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sessions.frame_pump import FramePump, StreamSource, frame_turns
from tests.support.raw import LIMIT
from tests.support.stand_ins import (
    GAP,
    StandIns,
    backend_with,
    gone,
    opened,
    packet,
    record_of,
    show,
    stand_ins,
    watching,
)


async def test_leaving_spectator_gets_no_more_frames() -> None:
    backend = backend_with()
    with stand_ins() as peers:
        broadcast = opened(backend)
        spectator = await watching(broadcast, backend, peers, "vp8")
        show(broadcast, 1, key=True)
        await peers[0].caught_up()
        assert set(broadcast.codecs) == {"h264", "vp8"}
        spectator.leave("it was deleted")
        assert set(broadcast.codecs) == {"h264"}
        broadcast.push({"h264": packet(2), "vp8": packet(2)})
        spectator.end()
        await gone(backend, spectator)
        assert (peers[0].slots, peers[0].ended) == ([1], False), (
            f"expected frame 1 only, because the spectator left before frame 2; got {peers[0].slots}"
        )
        await backend.broadcasts.close()


async def test_new_codec_starts_with_the_next_frame() -> None:
    backend = backend_with()
    with stand_ins() as peers:
        broadcast = opened(backend)
        spectator = await watching(broadcast, backend, peers, "vp8")
        broadcast.push({"h264": packet(1, key=True)})
        show(broadcast, 2, key=True)
        await peers[0].caught_up()
        assert (peers[0].slots, spectator.frames_dropped) == ([2], 0)
        await backend.broadcasts.close()


class HeldRenderer(Renderer):
    """A renderer whose `render` blocks while the event `go` is cleared."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.go = threading.Event()
        self.go.set()

    @override
    def render(self, index: int) -> av.VideoFrame:
        assert self.go.wait(LIMIT)
        return super().render(index)


async def test_new_spectators_share_the_next_key_frame() -> None:
    backend = backend_with(hls=False)
    keyframes, host = Keyframes(GAP), PacketTrack(limit=100)
    with stand_ins() as peers:
        record = record_of(backend)
        encoders = Encoders(record.timeline.size, 20, None)
        broadcast = backend.broadcasts.open(record, encoders, keyframes)
        renderer = HeldRenderer(record.timeline)
        showing = StreamSource(record.timeline, DrawnFrameEncoder(renderer, encoders, 20), broadcast)
        pump = FramePump(
            showing, keyframes, fps=20, now=lambda: 0.0, on_frame=lambda timeline, index: None, turns=frame_turns()
        )
        pump.attach(host, "h264")
        for slot in (1, 2, 3):
            await pump._send_next(slot)
        await watching(broadcast, backend, peers, "h264")
        await pump._send_next(5)
        await pump._send_next(6)
        for _ in range(2):
            await watching(broadcast, backend, peers, "vp8")
        await watching(broadcast, backend, peers, "h264")
        await pump._send_next(7)
        renderer.go.clear()
        making = asyncio.create_task(pump._send_next(8))
        await asyncio.wait([making], timeout=0)
        await watching(broadcast, backend, peers, "h264")
        renderer.go.set()
        await making
        await pump._send_next(9)
        for peer in peers:
            await peer.caught_up()
        firsts = [(peer.slots[0], peer.taken[0].is_keyframe) for peer in peers]
        assert firsts == [(5, True), (7, True), (7, True), (7, True), (9, True)]
        assert [each.pts for each in host._packets if each.is_keyframe] == [1, 5, 7, 9]
        assert dict(broadcast.frames_encoded) == {"h264": 8, "vp8": 3}
        encoders.close()
        await backend.broadcasts.close()


async def test_slow_spectator_continues_at_the_next_key_frame() -> None:
    backend = backend_with(hls=False)
    keyframes = Keyframes(GAP)
    with stand_ins() as peers:
        broadcast = opened(backend, keyframes=keyframes)
        slow = await watching(broadcast, backend, peers, "h264")
        quick = await watching(broadcast, backend, peers, "h264")
        keyframes.take(0)
        peers[0].takes = False
        show(broadcast, 1, key=True)
        await peers[0].caught_up()
        for slot in range(2, 100):
            show(broadcast, slot)
            await peers[1].caught_up()
            assert len(slow.track._packets) <= 20
            assert not keyframes.take(slot), "expected no key-frame request for the slow spectator, got one"
        assert (peers[0].slots, peers[1].slots) == ([1], list(range(1, 100)))
        peers[0].resume()
        dropped = slow.frames_dropped
        assert dropped > 0
        show(broadcast, 100)
        assert slow.frames_dropped == dropped + 1, (
            "expected frame 100 to be dropped for the slow spectator, because it is not a key frame; "
            f"got {slow.frames_dropped - dropped} dropped frames"
        )
        for slot in range(101, 104):
            show(broadcast, slot, key=slot == 101)
        await peers[0].caught_up()
        assert peers[0].slots == [1, 101, 102, 103]
        assert (slow.frames_dropped, quick.frames_dropped) == (99, 0)
        await backend.broadcasts.close()


async def test_wait_for_slow_spectator_is_limited_at_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("odyssey_mock.broadcasts.spectator.FINISH_LIMIT", 0.05)
    caplog.set_level("INFO", "odyssey_mock.broadcasts.spectator")
    backend = backend_with()
    with stand_ins() as peers:
        broadcast = opened(backend)
        slow = await watching(broadcast, backend, peers, "h264")
        quick = await watching(broadcast, backend, peers, "h264")
        waiting = backend.broadcasts.admit(broadcast, "h264")
        await waiting.answer()
        peers[0].takes = False
        for slot in range(1, 4):
            show(broadcast, slot, key=slot == 1)
        broadcast.end()
        assert await gone(backend, quick) == "the stream has ended"
        assert (peers[1].slots, peers[1].ended) == ([1, 2, 3], True), (
            f"expected frames 1 to 3 and the end of the track, got {peers[1].slots} and ended={peers[1].ended}"
        )
        assert await gone(backend, slow) == "the stream has ended"
        assert await gone(backend, waiting) == "the stream has ended"
        assert not peers[0].ended
        assert not peers[2].ended, "expected no end of the track for a peer that is not connected, got one"
    assert len(caplog.records) == 1
    assert "<Spectator 1 of stream-1, connected>: the last frames were not sent within 0.05 s" in caplog.text


@dataclass
class Expected:
    """The expected state of one spectator, and the slots (frame times) of the frames that it should receive."""

    codec: Codec
    state: str = "answered"
    slots: list[int] = field(default_factory=list)


STEPS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from(["h264", "vp8", "refused"])),
    st.tuples(st.sampled_from(["connect", "delete", "lose", "ask"]), st.integers(0, 5)),
    st.tuples(st.just("frame"), st.none()),
    st.tuples(st.just("frame"), st.none()),
    st.tuples(st.just("end"), st.none()),
)


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=40), st.booleans())
def test_every_connected_spectator_gets_every_frame(steps: list[tuple[str, Any]], hls: bool) -> None:
    async def run() -> None:
        with stand_ins() as peers:
            await Walk(peers, hls=hls).take(steps)

    asyncio.run(run())


class Walk:
    """A broadcast with random events, and a model that predicts which frames each spectator receives."""

    def __init__(self, peers: StandIns, *, hls: bool) -> None:
        self.backend = backend_with(hls=hls)
        self.keyframes = Keyframes(GAP)
        self.broadcast = opened(self.backend, keyframes=self.keyframes)
        if self.broadcast.hls is not None:
            self.broadcast.hls.close()  # HLS cannot mux the fake packets of this test
        self.peers = peers
        self.spectators: list[Spectator] = []
        self.expected: list[Expected] = []
        self.slot = 0
        self.keys: list[int] = []
        self.connected: list[int] = []
        """For each spectator that has connected, the slot of the latest frame at that moment."""
        self.asked: list[int] = []

    async def take(self, steps: list[tuple[str, Any]]) -> None:
        for name, value in steps:
            if name == "join":
                await self.join(value)
            elif name == "frame":
                await self.frame()
            elif name == "end":
                await self.end()
            elif self.expected:
                await self.happen(name, value % len(self.expected))
            self.look()
        await self.end()
        self.look()
        self.look_at_key_frames()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def join(self, offer: Any) -> None:
        if self.broadcast.is_over:
            return  # the route rejects offers to an ended broadcast
        spectator = self.backend.broadcasts.admit(self.broadcast, offer)
        self.spectators.append(spectator)
        self.expected.append(Expected(offer))
        if offer == "refused":
            with pytest.raises(DescriptionError):
                await spectator.answer()
            await self.went(len(self.expected) - 1)
        else:
            await spectator.answer()

    async def happen(self, what: str, who: int) -> None:
        peer, expected = self.peers[who], self.expected[who]
        match what:
            case "connect" if expected.state == "answered":
                peer.connected()
                expected.state = "connected"
                self.connected.append(self.slot)
            case "ask" if expected.state == "connected":
                peer.want_keyframe()
                self.asked.append(self.slot)
            case "delete":
                self.spectators[who].leave("it was deleted")
                await self.went(who)
            case "lose":
                peer.lost()
                await self.went(who)
            case _:
                pass

    async def frame(self) -> None:
        if self.broadcast.is_over:
            return
        self.slot += 1
        if is_key := self.keyframes.take(self.slot):
            self.keys.append(self.slot)
        show(self.broadcast, self.slot, key=is_key)
        for peer, expected in zip(self.peers, self.expected, strict=True):
            if expected.state == "connected":
                expected.slots.append(self.slot)
                await peer.caught_up()

    async def end(self) -> None:
        self.broadcast.end()
        for who in range(len(self.expected)):
            await self.went(who)
        await self.backend.broadcasts.close()

    async def went(self, who: int) -> None:
        await gone(self.backend, self.spectators[who])
        self.expected[who].state = "gone"

    def look(self) -> None:
        assert [peer.slots for peer in self.peers] == [each.slots for each in self.expected]
        assert [spectator.state for spectator in self.spectators] == [each.state for each in self.expected]
        here = [spectator for spectator in self.spectators if spectator.state != "gone"]
        assert list(self.broadcast.spectators.values()) == here
        watched = {each.codec for each in self.expected if each.state == "connected"}
        assert set(self.broadcast.codecs) == watched | ({"h264"} if self.broadcast.hls is not None else set())

    def look_at_key_frames(self) -> None:
        for slot in self.connected:
            assert slot + 1 > self.slot or slot + 1 in self.keys, (
                f"expected a key frame in slot {slot + 1}, after a spectator connected; got key frames in {self.keys}"
            )
        for slot in self.asked:
            assert slot + GAP > self.slot or set(range(slot + 1, slot + GAP + 1)) & set(self.keys)
        for one, other in pairwise(self.keys):
            got = {slot for slot in self.connected if one <= slot < other}
            assert got or other - one >= GAP, (
                f"expected at least {GAP} slots between key frames without a new spectator, "
                f"got key frames in the slots {one} and {other}"
            )
