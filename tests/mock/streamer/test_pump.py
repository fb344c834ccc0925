"""Frames at a pace."""

import asyncio
import threading
from typing import override

import av
from aiortc.codecs.h264 import H264Decoder
from aiortc.jitterbuffer import JitterFrame

from odyssey_mock.media.encoder import VideoPacket
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.rtc.packets import PacketTrack
from odyssey_mock.streamer.pump import FramePump, Pacer

SIZE = Size(176, 320)
LIMIT = 10.0


def numbers(track: PacketTrack) -> list[int | None]:
    return [each.pts for each in track._packets]


async def test_slots_only_grow_and_a_late_caller_skips_instead_of_catching_up() -> None:
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


async def frames(pump: FramePump, track: PacketTrack, count: int) -> list[VideoPacket]:
    async with asyncio.timeout(LIMIT):
        return [await track.recv() for _ in range(count)]


def decode(packets: list[VideoPacket]) -> list[av.VideoFrame]:
    decoder = H264Decoder()
    decoded = [decoder.decode(JitterFrame(bytes(each), each.pts or 0)) for each in packets]
    return [frame for each in decoded for frame in each if isinstance(frame, av.VideoFrame)]


def stamps(packets: list[VideoPacket]) -> list[FrameStamp | None]:
    return [read_stamp(frame.to_ndarray(format="gray")) for frame in decode(packets)]


async def test_a_timeline_is_shown_from_its_first_frame_and_the_next_begins_anew() -> None:
    shown: list[tuple[int | None, int]] = []
    idle, stream = Timeline(tag=None, size=SIZE), Timeline(tag=7, size=SIZE, prompt="A cat")
    track = PacketTrack(limit=1000)
    pump = FramePump(
        idle, codec="h264", fps=100, bitrate=None, now=lambda: 12.345, on_frame=lambda t, i: shown.append((t.tag, i))
    )
    pump.add_track(track)
    running = asyncio.create_task(pump.run())
    packets = await frames(pump, track, 2)
    pump.show(stream)
    packets += await frames(pump, track, 4)
    running.cancel()
    await asyncio.wait([running])
    read = [stamp for stamp in stamps(packets) if stamp is not None]
    assert len(read) == 6
    tags = [stamp.stream_tag for stamp in read]
    assert tags == sorted(tags, key=lambda tag: tag is not None), "first the idle scene, then the stream"
    for tag in (None, 7):
        indexes = [stamp.frame_index for stamp in read if stamp.stream_tag == tag]
        assert indexes == list(range(len(indexes)))
    assert {stamp.sent_at_ms for stamp in read} == {12345}
    assert shown[: len(read)] == [(stamp.stream_tag, stamp.frame_index) for stamp in read]


async def test_a_change_of_size_and_a_request_make_a_frame_that_decodes_by_itself() -> None:
    track = PacketTrack(limit=1000)
    pump = FramePump(
        Timeline(tag=None, size=SIZE), codec="h264", fps=100, bitrate=None, now=lambda: 0.0, on_frame=lambda t, i: None
    )
    pump.add_track(track)
    running = asyncio.create_task(pump.run())
    first = await frames(pump, track, 3)
    assert [each.is_keyframe for each in first] == [True, False, False]
    pump.request_keyframe()
    assert any(each.is_keyframe for each in await frames(pump, track, 3))
    pump.show(Timeline(tag=1, size=Size(320, 176), prompt="Wide"))
    wide = next(each for each in await frames(pump, track, 3) if each.is_keyframe)
    (picture,) = decode([wide])
    assert (picture.width, picture.height) == (320, 176)
    running.cancel()
    await asyncio.wait([running])


class HeldRenderer(Renderer):
    """Takes its time over every frame until it is let go."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.begun = threading.Event()
        self.go = threading.Event()

    @override
    def render(self, index: int) -> av.VideoFrame:
        self.begun.set()
        assert self.go.wait(LIMIT)
        return super().render(index)


async def test_a_frame_that_was_begun_is_handed_over_even_where_the_video_is_cut_in_the_middle_of_it() -> None:
    shown: list[tuple[int | None, int]] = []
    track = PacketTrack()
    pump = FramePump(
        Timeline(tag=None, size=SIZE),
        codec="h264",
        fps=100,
        bitrate=None,
        now=lambda: 0.0,
        on_frame=lambda timeline, index: shown.append((timeline.tag, index)),
    )
    pump.add_track(track)
    stream = Timeline(tag=7, size=SIZE, prompt="A cat")
    held = HeldRenderer(stream)
    pump.show(stream, held)
    running = asyncio.create_task(pump.run())
    assert await asyncio.to_thread(held.begun.wait, LIMIT)
    stream.end(pump.next_index)
    running.cancel()
    held.go.set()
    await asyncio.wait([running])
    assert running.cancelled()
    assert (stream.frames, shown, len(numbers(track))) == (1, [(7, 0)], 1)
