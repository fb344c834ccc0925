"""Tests that client and mock, which read stamps with separate code, read the same stamps from the mock's frames."""

from collections.abc import Iterator

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from odyssey_client.media.frames import VideoFrame
from odyssey_client.media.stamp import Stamp, read_stamp
from odyssey_mock.media.encoder import Codec, VideoEncoder
from odyssey_mock.media.planes import planes_of
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.stamp import read_stamp as read_by_the_mock
from odyssey_mock.media.timeline import Size, Timeline

type Luma = NDArray[np.uint8]

SIZES = (Size(704, 1280), Size(1280, 704), Size(176, 320))
DECODERS: dict[Codec, str] = {"h264": "h264", "vp8": "libvpx"}

indexes, times = st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1)
stamps = st.builds(
    FrameStamp,
    stream_tag=st.integers(0, 2**16 - 1),
    frame_index=indexes,
    prompt_revision=st.integers(0, 2**24 - 1),
    sent_at_ms=times,
) | st.builds(FrameStamp, stream_tag=st.none(), frame_index=indexes, prompt_revision=st.none(), sent_at_ms=times)
sizes = (
    st.tuples(st.integers(44, 700), st.integers(44, 700))
    .map(lambda half: (half[0] * 2, half[1] * 2))
    .filter(lambda size: min(size) >= 88 and max(size) >= 160)
)


def stamped(stamp: FrameStamp, size: tuple[int, int], level: int) -> av.VideoFrame:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane in planes_of(frame):
        plane[:] = level
    draw_stamp(frame, stamp)
    return frame


def luma(frame: av.VideoFrame) -> Luma:
    return VideoFrame(frame, 0.0).luma


def scaled(picture: Luma, width: int, height: int) -> Luma:
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((width, height), Image.Resampling.BILINEAR))


def both(picture: Luma) -> tuple[Stamp | None, Stamp | None]:
    """Return the stamp that the client reads, and the stamp that the mock reads. An unreadable stamp is None.

    The mock's stamp is converted to the client's type.
    """
    stamp = read_by_the_mock(picture)
    return read_stamp(picture), None if stamp is None else as_read(stamp)


def as_read(stamp: FrameStamp) -> Stamp:
    return Stamp(stamp.stream_tag, stamp.frame_index, stamp.sent_at_ms)


def as_drawn(stamp: FrameStamp) -> tuple[Stamp, Stamp]:
    return as_read(stamp), as_read(stamp)


@given(stamp=stamps, size=sizes, level=st.integers(0, 255))
@settings(max_examples=150)
def test_stamp_is_readable_at_every_size(stamp: FrameStamp, size: tuple[int, int], level: int) -> None:
    assert both(luma(stamped(stamp, size, level))) == as_drawn(stamp)


@given(stamp=stamps, portrait=st.booleans(), across=st.floats(0.5, 2.0), stretch=st.floats(0.8, 1.25))
@settings(max_examples=40)
def test_stamp_is_readable_after_scaling(stamp: FrameStamp, portrait: bool, across: float, stretch: float) -> None:
    width, height = SIZES[0 if portrait else 1].width, SIZES[0 if portrait else 1].height
    picture = luma(stamped(stamp, (width, height), 90))
    other = scaled(picture, round(width * across), round(height * across * stretch))
    assert both(other) == as_drawn(stamp)
    assert both(scaled(other, width, height)) == as_drawn(stamp)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("codec", DECODERS)
@given(stamp=stamps, bitrate=st.integers(250_000, 1_500_000))
@settings(max_examples=5)
def test_stamp_is_readable_after_coding(size: Size, codec: Codec, stamp: FrameStamp, bitrate: int) -> None:
    for drawn, decoded in coded(size, codec, stamp, bitrate):
        assert both(luma(decoded)) == as_drawn(drawn)
        if size.width >= 704:
            assert both(scaled(luma(decoded), size.width // 2, size.height // 2)) == as_drawn(drawn)


def coded(size: Size, codec: Codec, stamp: FrameStamp, bitrate: int) -> Iterator[tuple[FrameStamp, av.VideoFrame]]:
    """Encode and decode four frames with much motion. For each, yield the stamp drawn on it and the decoded frame."""
    renderer = Renderer(Timeline(tag=1, size=size, prompt="A snowy city at night"))
    encoder = VideoEncoder(codec, size, 20, bitrate)
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    for index in range(4):
        frame = renderer.render(index)
        drawn = FrameStamp(
            stamp.stream_tag, (stamp.frame_index + index) % 2**32, stamp.prompt_revision, stamp.sent_at_ms
        )
        draw_stamp(frame, drawn)
        (decoded,) = decoder.decode(av.Packet(bytes(encoder.encode(frame, index))))
        yield drawn, decoded
    encoder.close()


@given(stamp=stamps, contrast=st.floats(0.3, 1.0), lift=st.integers(0, 70))
@settings(max_examples=40)
def test_stamp_is_readable_at_other_contrast(stamp: FrameStamp, contrast: float, lift: int) -> None:
    picture = luma(stamped(stamp, (176, 320), 90)) * contrast + lift
    assert both(np.clip(picture, 0, 255).astype(np.uint8)) == as_drawn(stamp)


@given(stamp=stamps, cells=st.sets(st.tuples(st.integers(0, 1), st.integers(0, 87)), min_size=1, max_size=6))
@settings(max_examples=100)
def test_client_and_mock_agree_on_damaged_stamps(stamp: FrameStamp, cells: set[tuple[int, int]]) -> None:
    picture = luma(stamped(stamp, (176, 320), 90)).copy()
    for row, column in cells:
        cell = picture[row * 2 : row * 2 + 2, column * 2 : column * 2 + 2]
        cell[:] = 251 - cell
    mine, theirs = both(picture)
    assert mine == theirs


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_scene_without_stamp_reads_as_none(size: Size) -> None:
    renderer = Renderer(Timeline(tag=1, size=size, prompt="A snowy city at night"))
    assert [both(luma(renderer.render(index))) for index in range(3)] == [(None, None)] * 3


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(80, 200), height=st.integers(80, 200))
@settings(max_examples=50)
def test_noise_reads_as_none(seed: int, width: int, height: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    assert both(picture) == (None, None)
