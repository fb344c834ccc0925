"""Tests of `MediaStream`, its frames and its frame readers, without a connection."""

import asyncio
import gc
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import ConnectionClosedError, FrameReader, MediaStream, OdysseyConfigError, VideoFrame
from tests.support.pictures import fill, picture


async def times(reader: FrameReader) -> list[int]:
    return [round(frame.timestamp_ms) async for frame in reader]


def test_frame_has_size_and_relative_time() -> None:
    stream = MediaStream()
    fill(stream, 3)
    frame = stream.latest_frame
    assert frame is not None
    assert (frame.width, frame.height) == (64, 96)
    assert frame.timestamp_ms == pytest.approx(100.0)
    assert stream.frames_received == 3


@given(pauses=st.lists(st.floats(0, 100), max_size=4), counts=st.lists(st.integers(1, 4), min_size=5, max_size=5))
def test_frames_after_reconnect_follow_after_the_pause(pauses: list[float], counts: list[int]) -> None:
    stream = MediaStream()
    reader = stream.frames(buffer=100)
    fill(stream, counts[0])
    expected = [50.0 * number for number in range(counts[0])]
    for pause, count in zip(pauses, counts[1:], strict=False):
        stream.splice(pause)
        first = expected[-1] + max(pause * 1000, 1.0)
        expected += [first + 50.0 * number for number in range(count)]
        fill(stream, count)
    seen = [frame.timestamp_ms for frame in reader._frames]
    assert seen == pytest.approx(expected)
    assert all(later > earlier for earlier, later in pairwise(seen))


def test_splice_before_first_frame_has_no_effect() -> None:
    stream = MediaStream()
    stream.splice(7)
    fill(stream, 2)
    assert stream.latest_frame is not None
    assert stream.latest_frame.timestamp_ms == pytest.approx(50.0)


def test_frame_has_the_time_of_its_reception() -> None:
    stream = MediaStream()
    stream.push(picture(0), 1_790_000_000.25)
    assert stream.latest_frame is not None
    assert stream.latest_frame.received_at == 1_790_000_000.25
    assert VideoFrame(picture(0), 0.0).received_at is None


def test_frame_is_converted_to_rgb_once() -> None:
    frame = VideoFrame(picture(5), 0.0)
    assert frame.data.shape == (96, 64, 3)
    assert frame.data.dtype == np.uint8
    assert frame.data is frame.data
    assert abs(int(frame.data[50, 30, 1]) - 56) <= 2
    assert frame.to_ndarray("bgr24") is not frame.to_ndarray("bgr24")


@pytest.mark.parametrize("width", [64, 62, 30])
def test_luma_is_brightness_without_row_padding(width: int) -> None:
    ramp = np.tile(np.linspace(0, 255, width).astype(np.uint8)[None, :, None], (96, 1, 3))
    frame = VideoFrame(av.VideoFrame.from_ndarray(ramp, format="rgb24").reformat(format="yuv420p"), 0.0)
    assert frame.luma.shape == (96, width)
    assert (np.diff(frame.luma[40].astype(int)) >= 0).all()
    assert frame.luma[0, 0] == 16
    assert VideoFrame(av.VideoFrame.from_ndarray(ramp, format="rgb24"), 0.0).luma.shape == (96, width)


async def test_reader_gets_frames_from_creation_until_end() -> None:
    stream = MediaStream()
    stream.push(picture(0))
    reader = stream.frames()
    for index in (1, 2):
        stream.push(picture(index))
    stream.end()
    stream.push(picture(3))
    assert await times(reader) == [50, 100]


async def test_reader_waits_for_frames() -> None:
    stream = MediaStream()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(times(stream.frames()))
        await asyncio.wait({reading}, timeout=0.01)
        fill(stream, 2)
        stream.end()
    assert reading.result() == [0, 50]


async def test_readers_raise_connection_error_after_buffered_frames() -> None:
    stream = MediaStream()
    early = stream.frames()
    fill(stream, 1)
    failure = ConnectionClosedError("gone")
    stream.end(failure)
    assert round((await anext(early)).timestamp_ms) == 0
    for reader in (early, stream.frames()):
        with pytest.raises(ConnectionClosedError, match="gone"):
            await anext(reader)


@given(buffer=st.integers(1, 20), count=st.integers(0, 40))
def test_slow_reader_drops_and_counts_oldest_frames(buffer: int, count: int) -> None:
    async def scenario() -> None:
        stream = MediaStream()
        slow, roomy = stream.frames(buffer=buffer), stream.frames(buffer=100)
        frame = picture(0)
        for index in range(count):
            frame.pts = 4500 * index
            stream.push(frame)
        stream.end()
        assert slow.dropped == max(0, count - buffer)
        everything = await times(roomy)
        assert everything == [50 * index for index in range(count)]
        assert await times(slow) == everything[-buffer:]

    asyncio.run(scenario())


async def test_unreferenced_reader_is_removed() -> None:
    stream = MediaStream()
    fill(stream, 1)
    reader = stream.frames()
    assert len(stream._readers) == 1
    del reader
    gc.collect()
    assert len(stream._readers) == 0


@pytest.mark.parametrize("buffer", [0, -1, True, 1.5, "16"])
def test_invalid_buffer_is_rejected(buffer: Any) -> None:
    with pytest.raises(OdysseyConfigError, match=f"1 or more, got {buffer!r}"):
        MediaStream().frames(buffer=buffer)
