"""Tests of frames without pixels: encoding them, and sending them over a network that loses and reorders datagrams."""

import asyncio
from typing import cast

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.encoder import VideoPacket
from odyssey_mock.media.keyframes import GROUP_SECONDS
from odyssey_mock.media.look import Look
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.settings import Overlay
from odyssey_mock.sim.light.link import Link
from odyssey_mock.sim.light.video import FrameReceiver, FrameSender, LightFrame, LightPacket, light_frame_encoder

SIZE, OTHER = Size(176, 320), Size(320, 240)
FPS = 20


class Wire:
    """A fake link that records the datagrams sent over it and counts the requests for key frames."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.keyframes_wanted = 0

    def show(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)

    def lost_frame(self) -> None:
        self.keyframes_wanted += 1


def packet(index: int, *, key: bool = False) -> VideoPacket:
    stamp = FrameStamp(stream_tag=7, frame_index=index, prompt_revision=0, sent_at_ms=index * 50)
    return cast("VideoPacket", LightPacket(stamp, SIZE, "h264", index, FPS, key))


async def sent(*packets: VideoPacket) -> tuple[list[bytes], bytes]:
    """Send packets with a `FrameSender`; return the datagrams, and the payload of the message that ends the video."""
    wire, track, ended = Wire(), PacketTrack(limit=1000), asyncio.Event()
    for each in packets:
        track.push(each)
    track.finish()
    sender = FrameSender(cast("Link", wire), track, ended.set)
    await sender.run()
    assert ended.is_set()
    await track.drained()
    return wire.datagrams, sender.last


def received(datagrams: list[bytes]) -> tuple[list[int], int]:
    """Pass datagrams to a `FrameReceiver`; return the indexes of the frames that it shows.

    Also return how many key frames it requests.
    """
    wire, shown = Wire(), list[av.VideoFrame]()
    receiver = FrameReceiver(cast("Link", wire), shown.append)
    for datagram in datagrams:
        receiver.take(datagram)
    stamps = [frame.stamp for frame in cast("list[LightFrame]", shown)]
    return [stamp.frame_index for stamp in stamps if stamp is not None], wire.keyframes_wanted


async def test_loss_requests_one_key_frame() -> None:
    datagrams, last = await sent(packet(0, key=True), *(packet(index) for index in range(1, 10)))
    assert received(datagrams) == ([*range(10)], 0)
    assert received(datagrams[:3] + datagrams[5:]) == ([0, 1, 2, 5, 6, 7, 8, 9], 1)
    assert last == (10).to_bytes(4)


async def test_frames_are_skipped_until_a_key_frame() -> None:
    datagrams, _ = await sent(packet(0, key=True), packet(1), packet(2), packet(3, key=True), packet(4))
    assert received(datagrams[1:]) == ([3, 4], 2)


@given(st.permutations(range(12)), st.lists(st.integers(0, 11), max_size=6))
def test_frame_indexes_only_grow(order: list[int], again: list[int]) -> None:
    with asyncio.Runner() as runner:
        datagrams, _ = runner.run(sent(*(packet(index, key=True) for index in range(12))))
    shown, _ = received([datagrams[place] for place in [*order, *again]])
    assert shown == sorted(set(shown))
    assert shown[-1] == 11


def test_end_waits_for_frames_in_flight() -> None:
    class Later(Wire):
        def later(self, seconds: float, then: object) -> None:
            asked.append((seconds, then))

    asked: list[tuple[float, object]] = []
    with asyncio.Runner() as runner:
        datagrams, last = runner.run(sent(packet(0, key=True), packet(1)))
    shown, ends = list[av.VideoFrame](), list[str]()
    receiver = FrameReceiver(cast("Link", Later()), shown.append)
    receiver.take(datagrams[0])
    receiver.after(last, lambda: ends.append("late"), 0.1)
    assert (ends, [seconds for seconds, _ in asked]) == ([], [0.1])
    receiver.take(datagrams[1])
    assert len(shown) == 2
    receiver.after(last, lambda: ends.append("at once"), 0.1)
    assert ends == ["at once"]
    receiver.take(datagrams[1])
    assert len(shown) == 2, f"expected the receiver to drop frames after the end, got frames {shown}"


def test_light_encoder_makes_regular_key_frames() -> None:
    frame_encoder = light_frame_encoder(Timeline(tag=7, size=SIZE, fps=FPS), None)
    group = round(FPS * GROUP_SECONDS)

    def stamp(index: int) -> FrameStamp:
        return FrameStamp(7, index, 0, 0)

    made = [frame_encoder.make(stamp(at), at, {"h264"}, keyframe=at == 3).packets["h264"] for at in range(group + 10)]
    assert [at for at, each in enumerate(made) if each.is_keyframe] == [0, 3, 3 + group]
    assert [each.pts for each in made] == list(range(group + 10))
    both = frame_encoder.make(stamp(99), 99, {"h264", "vp8"}, keyframe=False).packets
    assert (both["h264"].is_keyframe, both["vp8"].is_keyframe) == (False, True), (
        "expected a key frame for VP8, whose first frame this is, and none for H.264; got "
        f"{both['vp8'].is_keyframe} for VP8 and {both['h264'].is_keyframe} for H.264"
    )
    other = frame_encoder.make(stamp(100), 100, {"vp8"}, keyframe=False, resized=("h264", OTHER))
    assert other.resized is not None
    assert other.resized.is_keyframe
    assert cast("LightPacket", other.resized).size == OTHER
    assert frame_encoder.frames == {"h264": group + 11, "vp8": 2}
    assert frame_encoder.is_instant
    frame_encoder.close()


@pytest.mark.parametrize("index", [0, 2**32 - 1])
def test_frame_has_the_values_of_its_packet(index: int) -> None:
    for stamp in (FrameStamp(65535, index, 2**24 - 1, 2**48 - 1), FrameStamp(None, index, None, 5)):
        made = LightPacket(stamp, OTHER, "vp8", 45, FPS, True)
        frame = LightFrame(made.body)
        assert (frame.stamp, frame.width, frame.height, frame.time) == (stamp, 320, 240, 2.25)
        assert (frame.pts, frame.time_base, frame.key_frame) == (45, made.time_base, True)
        assert frame.format.name == "yuv420p"
        assert repr(made) == f"<LightPacket {stamp} in vp8, 320x240, key>"


@pytest.mark.parametrize(("overlay", "has_stamp"), [("full", True), ("stamp", True), ("none", False)])
def test_light_frame_follows_the_overlay(overlay: Overlay, has_stamp: bool) -> None:
    frame_encoder = light_frame_encoder(Timeline(tag=7, size=SIZE, look=Look(overlay=overlay)), None)
    stamp = FrameStamp(7, 3, 0, 0)
    packet = cast("LightPacket", frame_encoder.make(stamp, 3, {"h264"}, keyframe=False).packets["h264"])
    frame = LightFrame(packet.body)
    assert frame.stamp == (stamp if has_stamp else None)
    assert read_stamp(frame.drawn.to_ndarray(format="gray")) == frame.stamp


def test_packet_bytes_can_be_decoded() -> None:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    frames = [decoder.decode(av.Packet(bytes(packet(at, key=at == 0)))) for at in range(2)] + [decoder.decode(None)]
    assert [(each.width, each.height) for some in frames for each in some] == [(176, 320)] * 2
