"""Tests of the playback of frames that waited in a buffer. The tests use fixed times."""

import io
from typing import override

import av
import pytest

from odyssey_client import MediaStream, SystemClock
from odyssey_client.cli.playback import Playback
from odyssey_client.cli.progress import Progress

EPOCH = 1_790_000_000.0
"""The wall clock time, in seconds since the epoch, at which the monotonic clock is 0."""


class FixedClock(SystemClock):
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 100.0

    @override
    def time(self) -> float:
        return EPOCH + self.now

    @override
    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("arrived", "fps", "mean"),
    [
        ([100.0, 100.5, 101.0], 0, 1.0),  # three frames in 3 s, none in the last second
        ([102.5, 102.75, 103.0], 3, 6.0),
        ([102.0, None, 103.5], 2, 3.0),  # unknown, and after a change of the system time: at the time of the count
    ],
)
async def test_buffered_frames_count_from_their_arrival(arrived: list[float | None], fps: int, mean: float) -> None:
    video, clock, printed = MediaStream(), FixedClock(), io.StringIO()
    playback = Playback(video, save=None, seconds=None, ends_with="broadcast", progress=Progress(printed), clock=clock)
    async with playback.recording():
        for each in arrived:
            video.push(av.VideoFrame(16, 16), None if each is None else EPOCH + each)
        clock.now = 103.0
        video.end()
        await playback.run()
    assert playback.document()["fps"] == mean
    assert printed.getvalue().startswith(f"3 frames, {fps} fps, ")
