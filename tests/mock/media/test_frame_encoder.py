"""Tests of `DrawnFrameEncoder`: stamps in frames, encoding in a second size, and closing."""

import av
import pytest

from odyssey_mock.media.encoder import Codec, EncoderError, VideoPacket
from odyssey_mock.media.frame_encoder import drawn
from odyssey_mock.media.look import Look
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline
from tests.support.image_files import png_with

SIZE, OTHER, THIRD = Size(176, 320), Size(320, 240), Size(240, 320)


def stamp(index: int) -> FrameStamp:
    return FrameStamp(stream_tag=7, frame_index=index, prompt_revision=0, sent_at_ms=index)


def seen(packet: VideoPacket | None) -> tuple[Size, FrameStamp | None]:
    """Decode a key frame packet and return its size and stamp."""
    assert packet is not None
    assert packet.is_keyframe
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    (frame,) = [*decoder.decode(av.Packet(bytes(packet))), *decoder.decode(None)]
    return Size(frame.width, frame.height), read_stamp(frame.to_ndarray(format="gray"))


def test_frame_is_also_encoded_in_another_size() -> None:
    timeline = Timeline(tag=7, size=SIZE)
    frame_encoder = drawn(timeline, None)
    frame_encoder.prepare(timeline.at(0))
    first = frame_encoder.make(stamp(0), 0, {"h264"}, keyframe=False, resized=("h264", OTHER))
    assert seen(first.packets["h264"]) == (SIZE, stamp(0))
    assert seen(first.resized) == (OTHER, stamp(0))
    again = frame_encoder.make(stamp(1), 1, {"h264"}, keyframe=False, resized=("h264", OTHER))
    assert again.resized is not None
    assert not again.resized.is_keyframe, (
        "expected no key frame from the encoder of the second size, which must be reused; got one"
    )
    third = frame_encoder.make(stamp(2), 2, set(), keyframe=False, resized=("h264", THIRD))
    assert (third.packets, seen(third.resized)) == ({}, (THIRD, stamp(2)))
    assert frame_encoder.make(stamp(3), 3, {"h264"}, keyframe=False).resized is None
    back = frame_encoder.make(stamp(4), 4, {"h264"}, keyframe=False, resized=("h264", THIRD))
    assert (got := seen(back.resized)) == (THIRD, stamp(4)), (
        f"expected frame 4 in the size {THIRD}, although frame 3 was not encoded in this size; got {got}"
    )
    assert frame_encoder.frames == {"h264": 4}
    frame_encoder.close()


@pytest.mark.parametrize(
    ("size", "codec", "expected"),
    [
        (SIZE, "h264", [False, True, True, False, True]),
        (SIZE, "vp8", [False] * 5),
        (Size(1280, 720), "h264", [False] * 5),
    ],
    ids=["h264", "vp8", "large"],
)
def test_quick_frames_need_no_painting_and_encoder(size: Size, codec: Codec, expected: list[bool]) -> None:
    timeline = Timeline(tag=7, size=size, prompt="A cat")
    frame_encoder = drawn(timeline, None)
    seen_quick = []
    for index in range(5):
        if index == 3:
            timeline.interact(3, "a dog")
        seen_quick.append(frame_encoder.is_quick(index, {codec}))
        frame_encoder.make(stamp(index), index, {codec}, keyframe=False)
    assert seen_quick == expected
    assert not frame_encoder.is_quick(5, {codec, "vp8"})
    frame_encoder.rest()
    assert not frame_encoder.is_quick(5, {codec}), "expected False while no encoder is open"
    assert frame_encoder.make(stamp(5), 5, {codec}, keyframe=False).packets[codec].is_keyframe
    assert frame_encoder.frames == {codec: 6}
    frame_encoder.close()


def test_frames_of_a_start_image_are_not_quick() -> None:
    frame_encoder = drawn(Timeline(tag=7, size=SIZE, prompt="A cat", image=png_with()), None)
    for index in range(2):
        assert not frame_encoder.is_quick(index, {"h264"})
        frame_encoder.make(stamp(index), index, {"h264"}, keyframe=False)
    frame_encoder.close()


def test_second_size_has_no_stamp_either_without_stamps() -> None:
    frame_encoder = drawn(Timeline(tag=7, size=SIZE, look=Look(overlay="none")), None)
    made = frame_encoder.make(stamp(0), 0, {"h264"}, keyframe=False, resized=("h264", OTHER))
    assert seen(made.packets["h264"]) == (SIZE, None)
    assert seen(made.resized) == (OTHER, None)
    frame_encoder.close()


def test_closed_frame_encoder_raises_and_keeps_its_counts() -> None:
    frame_encoder = drawn(Timeline(tag=7, size=SIZE), None)
    frame_encoder.make(stamp(0), 0, {"h264"}, keyframe=True)
    frame_encoder.close()
    frame_encoder.close()
    with pytest.raises(EncoderError, match="closed"):
        frame_encoder.make(stamp(1), 1, {"h264"}, keyframe=True)
    assert (frame_encoder.frames, frame_encoder.is_instant) == ({"h264": 1}, False)
