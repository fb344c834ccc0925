"""Tests of the sync readers of frames and events, without a connection."""

from collections import deque
from typing import cast

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import ConnectTimeoutError, VideoFrame
from odyssey_client.events import EventBus, StreamEnded
from odyssey_client.media.frames import FrameReader as AsyncFrameReader
from odyssey_client.media.stream import MediaStream as AsyncMediaStream
from odyssey_client.sync import EventReader, FrameReader, MediaStream
from odyssey_client.sync.background import background

LIMIT_S = 20.0
NO_PICTURE = cast("av.VideoFrame", None)


@given(st.integers(1, 4), st.lists(st.booleans()))
def test_reader_returns_the_newest_buffered_frames(buffer: int, arrivals: list[bool]) -> None:
    """The reader returns the newest `buffer` frames in order, and counts the frames that it dropped.

    In `arrivals`, True adds a frame, and False reads one if a frame is buffered. Then the reader is closed, and the
    remaining frames are read.
    """
    loop = background("test")
    frames = AsyncFrameReader(buffer)
    reader = FrameReader(frames, loop, LIMIT_S, None)
    expected: deque[int] = deque(maxlen=buffer)
    dropped = 0
    for number, arrives in enumerate(arrivals):
        if arrives:
            dropped += len(expected) == buffer
            expected.append(number)
            frame = VideoFrame(NO_PICTURE, number)
            loop.call("push", lambda frame=frame: frames.push(frame))  # type: ignore[misc]  # the default is the frame
        elif expected:
            assert next(reader).timestamp_ms == expected.popleft()
    reader.close()

    assert [frame.timestamp_ms for frame in reader] == list(expected)
    assert reader.dropped == dropped


def test_closed_event_reader_ignores_later_events() -> None:
    loop = background("test")
    events = EventBus(lambda _: None).reader()
    reader = EventReader(events, loop, LIMIT_S, None, lambda stream: MediaStream(stream, loop, None))
    loop.call("push", lambda: events.push(StreamEnded()))
    reader.close()
    loop.call("push", lambda: events.push(StreamEnded()))

    assert list(reader) == [StreamEnded()]


def test_fatal_timeout_of_the_connection_is_passed_on() -> None:
    loop = background("test")
    stream = AsyncMediaStream()
    reader = MediaStream(stream, loop, None).frames(timeout_s=LIMIT_S)
    loop.call("end", lambda: stream.end(ConnectTimeoutError("The connection was not restored.")))

    with pytest.raises(ConnectTimeoutError, match="not restored"):
        next(reader)


def test_ended_stream_has_ended_readers() -> None:
    loop = background("test")
    stream = AsyncMediaStream()
    loop.call("end", stream.end)

    assert list(MediaStream(stream, loop, None)) == []
