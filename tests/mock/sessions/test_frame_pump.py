"""Tests of the frame pump, which sends the video of a session, and of its pacer, which times the frames."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import override

import av
import pytest
from aiortc.codecs.h264 import H264Decoder
from aiortc.jitterbuffer import JitterFrame
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.faults.fault import Fault
from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.frame_encoder import DrawnFrameEncoder
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.media.timeline import Moment, Size, Timeline
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.sessions.frame_pump import CONGESTED_STRIDE, FramePump, FrameSink, Pacer, StreamSource, frame_turns
from tests.support.simulated_loops import play
from tests.support.simulated_worlds import wait

SIZE = Size(176, 320)
LIMIT = 10.0


def numbers(track: PacketTrack) -> list[int | None]:
    return [each.pts for each in track._packets]


async def test_late_caller_of_the_pacer_skips_slots() -> None:
    loop = asyncio.get_running_loop()
    pacer = Pacer(100)
    slots = [await pacer.next() for _ in range(3)]
    assert slots == sorted(set(slots))
    later = loop.create_future()
    loop.call_later(0.055, later.set_result, None)
    await later
    late = await pacer.next()
    assert late >= slots[-1] + 5
    assert await pacer.next() > late


@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from([0, 0.01, 0.05, 0.12]),
            st.sampled_from([None, 0, 0.02, 0.07]),
            st.sampled_from([0, 0.03, 0.2]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_hurried_pacer_is_at_most_one_slot_early(calls: list[tuple[float, float | None, float]]) -> None:
    """Each of `calls` is a call of `next`: (delay before it, delay from it to `hurry`, duration of the preparation).

    None instead of the second delay means that `hurry` is not called. Otherwise it is called again 5 ms later.
    """

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        origin, pacer, last = loop.time(), Pacer(20), 0
        for pause, hurry, duration in calls:
            prepared: list[float] = []

            async def prepare(duration: float = duration, prepared: list[float] = prepared) -> None:
                await wait(duration)
                prepared.append(loop.time() - origin)

            await wait(pause)
            called = loop.time() - origin
            first = 1 if hurry is None else hurry
            hurrying = [loop.call_later(delay, pacer.hurry) for delay in (first, first + 0.005)]
            slot = await pacer.next(prepare=prepare)
            returned = loop.time() - origin
            for timer in hurrying:
                timer.cancel()
            earliest = hurrying[0].when() - origin
            begins = slot * 0.05
            assert slot > last
            assert returned == pytest.approx(max(called, min(begins, max(earliest, begins - 0.05)), *prepared))
            assert len(prepared) <= 1
            if earliest < begins - 0.001:
                assert prepared == pytest.approx([earliest + duration])
            elif earliest > max(called, begins) + 0.001:
                assert prepared == []
            last = slot

    play(scenario)


async def frames(pump: FramePump, track: PacketTrack, count: int) -> list[VideoPacket]:
    async with asyncio.timeout(LIMIT):
        return [await track.recv() for _ in range(count)]


def decode(packets: list[VideoPacket]) -> list[av.VideoFrame]:
    decoder = H264Decoder()
    decoded = [decoder.decode(JitterFrame(bytes(each), each.pts or 0)) for each in packets]
    return [frame for each in decoded for frame in each if isinstance(frame, av.VideoFrame)]


def stamps(packets: list[VideoPacket]) -> list[FrameStamp | None]:
    return [read_stamp(frame.to_ndarray(format="gray")) for frame in decode(packets)]


def showing(timeline: Timeline, *, renderer: Renderer | None = None, audience: FrameSink | None = None) -> StreamSource:
    encoders = Encoders(timeline.size, timeline.fps, None)
    return StreamSource(timeline, DrawnFrameEncoder(renderer or Renderer(timeline), encoders, timeline.fps), audience)


def idle() -> StreamSource:
    return showing(Timeline(tag=None, size=SIZE))


def failing(source: StreamSource, fault: Callable[[], Fault | None]) -> StreamSource:
    source.frame_fault = fault
    return source


def pump_on(
    track: PacketTrack,
    keyframes: Keyframes | None = None,
    *,
    codec: Codec = "h264",
    on_frame: Callable[[Timeline, int], None] = lambda timeline, index: None,
    turns: asyncio.Semaphore | None = None,
    source: StreamSource | None = None,
) -> FramePump:
    """Return a pump that sends `source`, by default the idle scene, to `track` at 100 frames per second."""
    pump = FramePump(
        source or idle(),
        keyframes or Keyframes(10),
        fps=100,
        now=lambda: 12.345,
        on_frame=on_frame,
        turns=turns or frame_turns(),
    )
    pump.attach(track, codec)
    return pump


@asynccontextmanager
async def running(pump: FramePump) -> AsyncIterator[None]:
    task = asyncio.create_task(pump.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def test_each_timeline_is_shown_from_frame_zero() -> None:
    shown: list[tuple[int | None, int]] = []
    track = PacketTrack(limit=1000)
    pump = pump_on(track, on_frame=lambda timeline, index: shown.append((timeline.tag, index)))
    async with running(pump):
        packets = await frames(pump, track, 2)
        pump.show(showing(Timeline(tag=7, size=SIZE, prompt="A cat")))
        packets += await frames(pump, track, 4)
    read = [stamp for stamp in stamps(packets) if stamp is not None]
    assert len(read) == 6
    tags = [stamp.stream_tag for stamp in read]
    assert tags == sorted(tags, key=lambda tag: tag is not None), (
        f"expected all frames of the idle scene (tag None) before those of the stream, got the tags {tags}"
    )
    for tag in (None, 7):
        indexes = [stamp.frame_index for stamp in read if stamp.stream_tag == tag]
        assert indexes == list(range(len(indexes)))
    assert {stamp.sent_at_ms for stamp in read} == {12345}
    assert shown[: len(read)] == [(stamp.stream_tag, stamp.frame_index) for stamp in read]


async def test_new_size_and_keyframe_request_make_key_frames() -> None:
    track, keyframes = PacketTrack(limit=1000), Keyframes(gap=2)
    pump = pump_on(track, keyframes)
    async with running(pump):
        first = await frames(pump, track, 3)
        assert [each.is_keyframe for each in first] == [True, False, False]
        keyframes.lost()
        assert any(each.is_keyframe for each in await frames(pump, track, 5))
        pump.show(showing(Timeline(tag=1, size=Size(320, 176), prompt="Wide")))
        wide = next(each for each in await frames(pump, track, 3) if each.is_keyframe)
        (picture,) = decode([wide])
        assert (picture.width, picture.height) == (320, 176)


class HeldRenderer(Renderer):
    """A renderer that sets `begun` when it begins a frame, then blocks until `go` is set."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.begun = threading.Event()
        self.go = threading.Event()

    @override
    def render(self, index: int) -> av.VideoFrame:
        self.begun.set()
        assert self.go.wait(LIMIT)
        return super().render(index)


class Listeners:
    """A `FrameSink` that stores the packets pushed to it and counts the calls of its `end` method."""

    def __init__(self, *codecs: Codec) -> None:
        self.codecs = set(codecs)
        self.pushed: list[dict[Codec, VideoPacket]] = []
        self.ends = 0

    def push(self, packets: Mapping[Codec, VideoPacket]) -> None:
        assert not self.ends, "expected no push() after end(), got one"
        self.pushed.append(dict(packets))

    def end(self) -> None:
        self.ends += 1


async def test_host_and_audience_share_packets_of_one_encoder() -> None:
    track, audience = PacketTrack(limit=1000), Listeners("h264")
    pump = pump_on(track)
    shown = showing(Timeline(tag=7, size=SIZE, prompt="A cat"), audience=audience)
    pump.show(shown)
    async with running(pump):
        packets = await frames(pump, track, 10)
    assert [pushed["h264"] for pushed in audience.pushed[:10]] == packets
    assert shown.encoder.frames == {"h264": len(audience.pushed)}


async def test_second_codec_is_encoded_only_while_wanted() -> None:
    track, audience = PacketTrack(limit=1000), Listeners()
    pump = pump_on(track)
    shown = showing(Timeline(tag=7, size=SIZE, prompt="A cat"), audience=audience)
    pump.show(shown)
    async with running(pump):
        await frames(pump, track, 3)
        audience.codecs.add("vp8")
        await frames(pump, track, 5)
        audience.codecs.clear()
        await frames(pump, track, 3)
    both = [pushed for pushed in audience.pushed if "vp8" in pushed]
    assert both[0]["vp8"].is_keyframe
    assert 0 < len(both) < len(audience.pushed)
    assert shown.encoder.frames == {"h264": len(audience.pushed), "vp8": len(both)}


async def test_audience_ends_after_last_frame_of_its_stream() -> None:
    track, audience = PacketTrack(limit=1000), Listeners()
    stream = Timeline(tag=7, size=SIZE, prompt="A cat")
    held = HeldRenderer(stream)
    pump = pump_on(track)
    pump.show(showing(stream, renderer=held, audience=audience))
    async with running(pump):
        assert await asyncio.to_thread(held.begun.wait, LIMIT)
        stream.end(pump.next_index)
        pump.show(idle())
        assert (len(audience.pushed), audience.ends) == (0, 0), (
            "expected no frame and no end for the audience while the last frame is rendered, "
            f"got {len(audience.pushed)} frames and {audience.ends} ends"
        )
        held.go.set()
        await frames(pump, track, 3)
        assert (len(audience.pushed), audience.ends) == (1, 1)


async def test_audience_ends_with_stream_without_frames() -> None:
    audience = Listeners()
    pump = pump_on(PacketTrack())
    pump.show(showing(Timeline(tag=7, size=SIZE), audience=audience))
    pump.show(idle())
    assert (audience.pushed, audience.ends) == ([], 1)


@pytest.mark.parametrize("times", [1, 2])
async def test_begun_frame_is_pushed_despite_cancellation(
    times: int,
) -> None:
    shown: list[tuple[int | None, int]] = []
    track, audience = PacketTrack(), Listeners()
    stream = Timeline(tag=7, size=SIZE, prompt="A cat")
    held = HeldRenderer(stream)
    pump = pump_on(track, on_frame=lambda timeline, index: shown.append((timeline.tag, index)))
    pump.show(showing(stream, renderer=held, audience=audience))
    task = asyncio.create_task(pump.run())
    assert await asyncio.to_thread(held.begun.wait, LIMIT)
    stream.end(pump.next_index)
    for _ in range(times):
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
    held.go.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert (stream.frames, shown, len(numbers(track))) == (1, [(7, 0)], 1)
    assert (len(audience.pushed), audience.ends) == (1, 1)


async def test_without_receivers_frames_are_counted_but_not_drawn() -> None:
    shown: list[int] = []
    reached = asyncio.Event()

    def on_frame(_: Timeline, index: int) -> None:
        shown.append(index)
        if index == 5:
            reached.set()

    stream = Timeline(tag=7, size=SIZE, prompt="A cat")
    renderer = HeldRenderer(stream)
    renderer.go.set()
    track = PacketTrack(limit=1000)
    pump = pump_on(track, on_frame=on_frame)
    pump.detach()
    pump.show(showing(stream, renderer=renderer))
    async with asyncio.timeout(LIMIT), running(pump):
        await reached.wait()
        assert not renderer.begun.is_set()
        pump.attach(track, "h264")
        packets = await frames(pump, track, 3)
    assert [each.is_keyframe for each in packets] == [True, False, False]
    read = [stamp.frame_index for stamp in stamps(packets) if stamp is not None]
    assert read == list(range(read[0], read[0] + 3))
    assert read[0] > 5
    assert shown[:6] == [0, 1, 2, 3, 4, 5]


async def test_audience_continues_and_returning_host_gets_key_frame() -> None:
    first, second, audience = PacketTrack(limit=1000), PacketTrack(limit=1000), Listeners("h264")
    pump = pump_on(first, Keyframes(10_000))
    pump.show(showing(Timeline(tag=7, size=SIZE, prompt="A cat"), audience=audience))
    async with running(pump):
        await frames(pump, first, 3)
        pump.detach()
        while len(audience.pushed) < 10:
            await Pacer(100).next()
        latest = audience.pushed[-1]["h264"].pts or 0
        pump.attach(second, "h264")
        packets = await frames(pump, second, 3)
    assert packets[0].is_keyframe
    assert (packets[0].pts or 0) < latest + 10, (
        f"expected a key frame less than 10 frames after frame {latest}, when the host returned; "
        f"got one at frame {packets[0].pts}"
    )
    slots = [each["h264"].pts or 0 for each in audience.pushed]
    assert slots == sorted(set(slots))
    assert (packets[0].pts or 0) > slots[9]


async def test_resize_fault_changes_only_the_hosts_frames() -> None:
    fault = Fault.of({"at": "peer.frame", "do": "resize", "width": 320, "height": 160})
    asked: list[Fault | None] = [*[None] * 3, *[fault] * 3, *[None] * 100]
    track, audience = PacketTrack(limit=1000), Listeners("h264")
    pump = pump_on(track)
    shown = showing(Timeline(tag=7, size=SIZE, prompt="A cat"), audience=audience)
    pump.show(failing(shown, lambda: asked.pop(0) if asked else None))
    async with running(pump):
        packets = await frames(pump, track, 9)
    sizes = [(frame.width, frame.height) for frame in decode(packets)]
    assert sizes == [(176, 320)] * 3 + [(320, 160)] * 3 + [(176, 320)] * 3
    assert [number for number, each in enumerate(packets) if each.is_keyframe] == [0, 3, 6]
    theirs = decode([pushed["h264"] for pushed in audience.pushed[:9]])
    assert {(frame.width, frame.height) for frame in theirs} == {(176, 320)}
    assert len(theirs) == 9


async def test_sessions_take_turns_to_make_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    turns = frame_turns()
    timeline = Timeline(tag=7, size=SIZE, prompt="A cat")
    held, free = HeldRenderer(timeline), HeldRenderer(timeline)
    first, second = PacketTrack(), PacketTrack()
    async with running(pump_on(first, turns=turns, source=showing(timeline, renderer=held))):
        assert await asyncio.to_thread(held.begun.wait, LIMIT)
        async with running(pump_on(second, turns=turns, source=showing(timeline, renderer=free))):
            for _ in range(5):
                await Pacer(100).next()
            assert not free.begun.is_set(), "expected no frame of the second session while one of the first is made"
            held.go.set()
            free.go.set()
            async with asyncio.timeout(LIMIT):
                assert (await second.recv()).is_keyframe


class ThreadsRenderer(Renderer):
    """A renderer that notes for each frame whether it is rendered in the thread `loop`."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.loop = threading.get_ident()
        self.on_loop: list[bool] = []

    @override
    def render(self, index: int) -> av.VideoFrame:
        self.on_loop.append(threading.get_ident() == self.loop)
        return super().render(index)


async def test_punctual_frames_are_made_on_event_loop() -> None:
    timeline = Timeline(tag=None, size=SIZE)
    renderer, track = ThreadsRenderer(timeline), PacketTrack(limit=1000)
    pump = pump_on(track, source=showing(timeline, renderer=renderer))
    async with running(pump), asyncio.timeout(LIMIT):
        while not any(renderer.on_loop):
            await track.recv()
    assert not renderer.on_loop[0], "expected a thread to make the first frame, which takes long"


async def test_late_frames_are_made_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.sessions.frame_pump.LATE", -1.0)
    timeline = Timeline(tag=None, size=SIZE)
    renderer, track = ThreadsRenderer(timeline), PacketTrack(limit=1000)
    pump = pump_on(track, source=showing(timeline, renderer=renderer))
    async with running(pump):
        await frames(pump, track, 10)
    assert not any(renderer.on_loop)


class HeldPainter(Renderer):
    """A renderer that sets `begun` when it paints in advance, then blocks until `go` is set.

    `early` has the indexes of the frames that are the first with their prompt, and were painted before they were made.
    """

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.timeline = timeline
        self.begun = threading.Event()
        self.go = threading.Event()
        self.early: list[int] = []

    @override
    def paint(self, moment: Moment) -> None:
        self.begun.set()
        assert self.go.wait(LIMIT)
        super().paint(moment)

    @override
    def render(self, index: int) -> av.VideoFrame:
        if self.timeline.at(index).changed_at == index and self.has_painted(index):
            self.early.append(index)
        return super().render(index)


async def test_new_prompt_is_painted_before_its_frame() -> None:
    stream, track = Timeline(tag=7, size=SIZE, prompt="A cat"), PacketTrack(limit=1000)
    painter = HeldPainter(stream)
    painter.go.set()
    pump = pump_on(track, source=showing(stream, renderer=painter))
    async with running(pump), asyncio.timeout(LIMIT):
        while not painter.early:
            await track.recv()
            stream.interact(pump.next_index, "A dog")
            pump.hurry()


async def begin_painting(painter: HeldPainter, pump: FramePump, track: PacketTrack) -> None:
    """Interact until `painter` paints, because a frame that is due is not painted in advance."""
    await frames(pump, track, 1)
    async with asyncio.timeout(LIMIT):
        while True:
            painter.timeline.interact(pump.next_index, "A dog")
            pump.hurry()
            if await asyncio.to_thread(painter.begun.wait, 0.1):
                return


async def test_stream_may_end_while_its_frame_is_painted() -> None:
    stream, track, audience = Timeline(tag=7, size=SIZE, prompt="A cat"), PacketTrack(limit=1000), Listeners("h264")
    painter = HeldPainter(stream)
    pump = pump_on(track, source=showing(stream, renderer=painter, audience=audience))
    async with running(pump):
        await begin_painting(painter, pump, track)
        stream.end(pump.next_index)
        pump.show(idle())
        assert audience.ends == 0, "expected no end for the audience while a thread uses its encoder, got one"
        painter.go.set()
        while pump.next_index < 3:
            await frames(pump, track, 1)
    assert audience.ends == 1
    assert stream.frames == len(audience.pushed)


async def test_painting_ends_before_a_cancelled_pump() -> None:
    stream, track = Timeline(tag=7, size=SIZE, prompt="A cat"), PacketTrack(limit=1000)
    painter = HeldPainter(stream)
    pump = pump_on(track, source=showing(stream, renderer=painter))
    task = asyncio.create_task(pump.run())
    await begin_painting(painter, pump, track)
    task.cancel()
    await asyncio.wait([task], timeout=0.01)
    assert not task.done(), "expected the pump to wait for the thread that paints, got its end"
    painter.go.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert painter.has_painted(pump.next_index)


async def test_host_with_late_messages_gets_fewer_frames() -> None:
    is_congested = True
    track = PacketTrack(limit=1000)
    pump = pump_on(track)
    pump.attach(track, "h264", is_congested=lambda: is_congested)
    async with running(pump):
        slow = [each.pts or 0 for each in await frames(pump, track, 4)]
        is_congested = False
        usual = [each.pts or 0 for each in await frames(pump, track, 4)]
    assert all(later - earlier >= CONGESTED_STRIDE for earlier, later in pairwise(slow)), (
        f"expected one frame in {CONGESTED_STRIDE} slots at most, got the slots {slow}"
    )
    # The first of these frames may have been paced before.
    assert usual[-1] - usual[1] < 2 * CONGESTED_STRIDE


async def test_stream_with_an_audience_keeps_its_frame_rate() -> None:
    track = PacketTrack(limit=1000)
    pump = pump_on(track)
    pump.show(showing(Timeline(tag=7, size=SIZE, prompt="A cat"), audience=Listeners("h264")))
    pump.attach(track, "h264", is_congested=lambda: True)
    async with running(pump):
        slots = [each.pts or 0 for each in await frames(pump, track, 10)]
    assert min(later - earlier for earlier, later in pairwise(slots)) < CONGESTED_STRIDE
