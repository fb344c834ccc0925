"""Tests of the idle scenes that sessions share, alone and with frame pumps."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import override

import pytest
from aiortc.codecs.h264 import H264Decoder
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame

from odyssey_mock.faults.fault import Fault
from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.frame_encoder import DrawnFrameEncoder, Made
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.sessions.frame_pump import FramePump, StreamSource, frame_turns
from odyssey_mock.sessions.idle_scenes import IdleScenes, SceneMember
from tests.support.simulated_loops import play
from tests.support.simulated_worlds import wait

LIMIT = 20
SIZE = Size(176, 320)
FPS = 10
GROUP = 20
"""Number of slots between two key frames, and of the frames that a session encodes alone at first."""


class Encoder(DrawnFrameEncoder):
    """An encoder that counts its frames, and that a test can stop."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(Renderer(timeline), Encoders(timeline.size, timeline.fps, None), timeline.fps)
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.has_begun = threading.Event()
        self.threads: list[threading.Thread] = []
        """The thread in which each frame was made."""
        self.is_closed = False
        self.fails = False

    @override
    def make(
        self,
        stamp: FrameStamp,
        slot: int,
        codecs: Collection[Codec],
        *,
        keyframe: bool,
        resized: tuple[Codec, Size] | None = None,
    ) -> Made:
        self.has_begun.set()
        self.threads.append(threading.current_thread())
        assert self.may_go_on.wait(LIMIT), f"expected the test to let the encoder go on within {LIMIT} s"
        if self.fails:
            raise MemoryError
        return super().make(stamp, slot, codecs, keyframe=keyframe, resized=resized)

    @override
    def close(self) -> None:
        self.is_closed = True
        super().close()


class Bench:
    """Idle scenes, with the encoders that they have created."""

    def __init__(self) -> None:
        self.encoders: list[Encoder] = []
        self.scenes = IdleScenes(self._encoder, lambda: 12.345)
        self.timeline = Timeline(tag=None, size=SIZE, fps=FPS)

    def enter(self, slot: int, codec: Codec = "h264", *, begin: bool = True) -> SceneMember | None:
        return self.scenes.enter(self.timeline, None, codec, slot, begin=begin)

    def entered(self, slot: int) -> SceneMember:
        member = self.enter(slot)
        assert member is not None
        return member

    def _encoder(self, timeline: Timeline, bitrate: int | None) -> Encoder:
        assert bitrate is None
        self.encoders.append(Encoder(timeline))
        return self.encoders[-1]


async def packets(member: SceneMember, slot: int) -> list[VideoPacket]:
    taken = await member.packets(slot)
    assert taken is not None
    return list(taken)


async def test_members_share_packets_from_a_key_frame_on() -> None:
    bench = Bench()
    assert bench.enter(99, begin=False) is None
    first = bench.entered(100)
    seen = [await packets(first, slot) for slot in range(100, 110)]
    assert bench.enter(109) is None
    assert bench.enter(110) is None
    seen += [await packets(first, slot) for slot in range(110, 100 + GROUP)]
    second = bench.enter(100 + GROUP, begin=False)
    assert second is not None
    (key,) = await packets(second, 100 + GROUP)
    assert await packets(first, 100 + GROUP) == [key]
    third = bench.entered(100 + GROUP)
    assert await packets(third, 100 + GROUP) == [key]
    assert [[(packet.pts, packet.is_keyframe) for packet in each] for each in [*seen, [key]]] == [
        [(slot, slot in {100, 100 + GROUP})] for slot in range(100, 101 + GROUP)
    ]
    assert [encoder.frames for encoder in bench.encoders] == [{"h264": GROUP + 1}]
    for member in (first, second, third):
        member.leave()


async def test_members_with_other_codecs_have_another_scene() -> None:
    bench = Bench()
    members = [bench.entered(5), bench.enter(5, "vp8")]
    for member in members:
        assert member is not None
        (packet,) = await packets(member, 5)
        assert packet.is_keyframe
        member.leave()
    assert [encoder.frames for encoder in bench.encoders] == [{"h264": 1}, {"vp8": 1}]


async def test_late_member_gets_the_frames_that_it_missed() -> None:
    bench = Bench()
    punctual, late = bench.entered(0), bench.entered(0)
    await packets(late, 0)
    made = [packet for slot in range(6) for packet in await packets(punctual, slot)]
    assert await packets(late, 5) == made[1:]
    assert await packets(punctual, 20) != []
    assert [packet.pts for packet in await packets(late, 19)] == [], "frame 19 was not made: all members skipped it"
    assert [packet.pts for packet in await packets(late, 20)] == [20]
    for slot in range(21, 40):
        await packets(punctual, slot)
    assert await late.packets(25) is None, "expected None, because the scene no longer keeps the next frame"
    assert await late.packets(39) is None, "expected None again, because the frame is still missing"
    punctual.leave()
    late.leave()


async def test_failed_frame_is_missing_for_all_members() -> None:
    bench = Bench()
    members = [bench.entered(0), bench.entered(0)]
    for member in members:
        await packets(member, 0)
    bench.encoders[0].fails = True
    assert await asyncio.gather(*(member.packets(1) for member in members)) == [None, None]
    for member in members:
        member.leave()
    assert bench.encoders[0].is_closed


async def test_early_frames_are_made_on_the_event_loop() -> None:
    bench = Bench()
    members = [bench.entered(0), bench.entered(0)]
    for slot in range(3):
        shared = [await member.packets(slot, is_early=True) for member in members]
        assert shared[0] is not None
        assert [packet.pts for packet in shared[0]] == [slot]
        assert shared[1] == shared[0]
    await members[0].packets(3, is_early=False)
    here = threading.current_thread()
    assert [thread is here for thread in bench.encoders[0].threads] == [False, True, True, False], (
        "expected the first frame, which opens the encoder, and the late one to be made in a thread"
    )
    bench.encoders[0].fails = True
    assert await members[0].packets(4, is_early=True) is None
    for member in members:
        member.leave()
    assert bench.encoders[0].is_closed


async def test_frame_outlives_the_member_that_requested_it() -> None:
    bench = Bench()
    maker, other = bench.entered(0), bench.entered(0)
    (encoder,) = bench.encoders
    encoder.may_go_on.clear()
    making = asyncio.create_task(maker.packets(0))
    await asyncio.to_thread(encoder.has_begun.wait, LIMIT)
    waiting = asyncio.create_task(packets(other, 0))
    making.cancel()
    await asyncio.wait([making])
    maker.leave()
    encoder.may_go_on.set()
    assert [packet.is_keyframe for packet in await waiting] == [True]
    assert not encoder.is_closed
    other.leave()
    assert encoder.is_closed


async def test_scene_is_closed_after_its_last_frame() -> None:
    bench = Bench()
    member = bench.entered(0)
    (encoder,) = bench.encoders
    encoder.may_go_on.clear()
    making = asyncio.create_task(member.packets(0))
    await asyncio.to_thread(encoder.has_begun.wait, LIMIT)
    member.leave()
    closed = [encoder.is_closed]
    encoder.may_go_on.set()
    await making
    closed.append(encoder.is_closed)
    assert closed == [False, True], "expected the encoder to stay open while it is in use"
    bench.entered(1).leave()
    assert len(bench.encoders) == 2, "expected a new scene after the last member had left"


# Frame pumps


class Session:
    """A frame pump that shows the idle scene, with its track and the packets that it has sent."""

    def __init__(self, bench: Bench, fault: Callable[[], Fault | None] = lambda: None) -> None:
        self.track = PacketTrack(limit=1000)
        self.keyframes = Keyframes(5)
        self.own = Encoder(bench.timeline)
        enter = partial(bench.scenes.enter, bench.timeline, None)
        self.pump = FramePump(
            StreamSource(bench.timeline, self.own, frame_fault=fault, enter_scene=enter),
            self.keyframes,
            fps=FPS,
            now=lambda: 12.345,
            on_frame=lambda timeline, index: None,
            turns=frame_turns(),
            first_slot=partial(bench.scenes.slot, FPS),
        )
        self.pump.attach(self.track, "h264")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.pump.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    async def packets(self, count: int) -> list[VideoPacket]:
        return [await self.track.recv() for _ in range(count)]


def indexes(taken: list[VideoPacket]) -> list[int]:
    """Decode consecutive packets from a key frame on, and return the frame indexes of the stamps."""
    decoder = H264Decoder()
    found = []
    for packet in taken:
        (frame,) = decoder.decode(JitterFrame(bytes(packet), packet.pts or 0))
        assert isinstance(frame, VideoFrame)
        stamp = read_stamp(frame.to_ndarray(format="gray"))
        assert stamp is not None
        assert (stamp.stream_tag, stamp.frame_index) == (None, packet.pts)
        found.append(stamp.frame_index)
    return found


def test_idle_sessions_enter_one_scene_without_a_gap() -> None:
    bench, count = Bench(), 70

    async def scenario() -> list[tuple[Session, list[VideoPacket]]]:
        async with AsyncExitStack() as stack:
            sessions = []
            for phase in (0.0, 0.53, 1.38):
                await wait(phase)
                sessions.append(Session(bench))
                await stack.enter_async_context(sessions[-1].running())
            return [(session, await session.packets(count)) for session in sessions]

    sent = play(scenario)
    for session, taken in sent:
        found = indexes(taken)
        assert all(after - before == 1 for before, after in pairwise(found)), f"expected no gap, got {found}"
        assert 0 < session.own.frames["h264"] <= GROUP
    # In the last slots, all sessions have the same packets.
    slots = {slot for _, taken in sent for slot in [packet.pts for packet in taken[-10:]]}
    by_slot = {slot: {id(packet) for _, taken in sent for packet in taken if packet.pts == slot} for slot in slots}
    assert {len(each) for each in by_slot.values()} == {1}
    assert [encoder.is_closed for encoder in bench.encoders] == [True]


class TimedTrack(PacketTrack):
    """A track that notes when each packet is pushed."""

    def __init__(self) -> None:
        super().__init__(limit=1000)
        self.times: dict[int, float] = {}

    @override
    def push(self, packet: VideoPacket) -> bool:
        self.times[packet.pts or 0] = asyncio.get_running_loop().time()
        return super().push(packet)


def test_sessions_of_a_scene_send_together() -> None:
    bench = Bench()

    async def scenario() -> list[dict[int, float]]:
        async with AsyncExitStack() as stack:
            sessions = []
            for phase in (0.0, 0.53, 1.38):
                await wait(phase)
                sessions.append(Session(bench))
                sessions[-1].track = TimedTrack()
                sessions[-1].pump.attach(sessions[-1].track, "h264")
                await stack.enter_async_context(sessions[-1].running())
            for session in sessions:
                await session.packets(70)
            sessions[1].keyframes.lost()
            await wait(0.35)
            return [session.track.times for session in sessions if isinstance(session.track, TimedTrack)]

    first, *others = play(scenario)
    origins = [[at - slot / FPS for slot, at in times.items()] for times in (first, *others)]
    shared = origins[0][60]
    assert [before[60] for before in origins] == pytest.approx([shared] * 3, abs=0.01)
    assert [before[10] - shared for before in origins] == pytest.approx([0.0, 0.03, 0.01], abs=0.015), (
        "expected each session to send at its own times before it enters the scene"
    )
    assert origins[1][-1] - shared == pytest.approx(0.03, abs=0.015), "expected its own times after it left the scene"


def test_lost_frame_causes_one_separate_key_frame() -> None:
    bench = Bench()

    async def scenario() -> tuple[list[VideoPacket], list[VideoPacket]]:
        one, other = Session(bench), Session(bench)
        async with one.running(), other.running():
            await one.packets(30)
            one.keyframes.lost()
            return await one.packets(40), await other.packets(70)

    ours, others = play(scenario)
    (key, *following) = [packet.pts or 0 for packet in ours if packet.is_keyframe]
    assert key == ours[0].pts, "expected the key frame in the next slot"
    scene_keys = [packet.pts for packet in others if packet.is_keyframe]
    assert following[0] in scene_keys, "expected the scene to be entered again with a key frame"
    assert indexes(ours) == list(range(key, key + 40))
    assert key not in scene_keys, "expected no key frame for the other session"


@pytest.mark.parametrize(("do", "expected"), [("freeze", [39, 39, 41]), ("drop", [39, 41, 42])], ids=["freeze", "drop"])
def test_frame_fault_affects_only_its_session(do: str, expected: list[int]) -> None:
    bench = Bench()

    async def scenario() -> tuple[list[VideoPacket], list[VideoPacket]]:
        one, other = Session(bench, lambda: next(faults)), Session(bench)
        async with one.running(), other.running():
            return await one.packets(60), await other.packets(60)

    faults = iter([Fault(at="peer.frame", do=do) if index == 40 else None for index in range(1, 200)])
    ours, others = play(scenario)
    decoder, shown = H264Decoder(), list[int]()
    for packet in ours:
        for frame in decoder.decode(JitterFrame(bytes(packet), packet.pts or 0)):
            assert isinstance(frame, VideoFrame)
            stamp = read_stamp(frame.to_ndarray(format="gray"))
            assert stamp is not None
            shown.append(stamp.frame_index)
    at = shown.index(39)
    assert shown[at : at + 3] == expected
    assert indexes(others) == list(range(1, 61))
