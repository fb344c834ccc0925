"""`bench render`: the CPU time of a recording, compared with ffmpeg's test source, encoded in the same way.

The test source (`testsrc` of libavfilter, which PyAV contains) draws frames of the same size.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
from av.filter import Graph

from odyssey_mock.bench.rows import Row
from odyssey_mock.media.film import Film, write_mp4
from odyssey_mock.media.timeline import Size, Timeline

TARGET = 0.9
"""A recording took 0.81 times the time of the test source when this benchmark was written."""
SIZE, FPS = Size(704, 1280), 20
ROUNDS, FRAMES = 10, 120
QUICK_ROUNDS, QUICK_FRAMES = 3, 60
"""Number of rounds, and of the frames of a file."""


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the CPU time of a frame of a recording with that of a frame of the test source, measured in turns."""
    rounds, count = (QUICK_ROUNDS, QUICK_FRAMES) if quick else (ROUNDS, FRAMES)
    return [await asyncio.to_thread(_compared, rounds, count)]


def _compared(rounds: int, count: int) -> Row:
    ours: list[float] = []
    source: list[float] = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "video.mp4")
        for number in range(rounds):
            ours.append(_timed(_recording, path, number, count))
            source.append(_timed(_test_source, path, number, count))
    return Row("render", ours, source, "ms of CPU per frame", TARGET)


def _timed(write: Callable[[Path, int, int], None], path: Path, number: int, count: int) -> float:
    """Write a file with `count` frames; return the CPU time of a frame in milliseconds."""
    began = time.process_time()
    write(path, number, count)
    return (time.process_time() - began) * 1000 / count


def _recording(path: Path, number: int, count: int) -> None:
    """Write a recording with an interaction. Each number has a scene of its own, which no cache has."""
    timeline = Timeline(tag=1, size=SIZE, fps=FPS, prompt=f"A lighthouse in storm {number}")
    timeline.interact(count // 2, "The storm is over")
    timeline.end(count)
    Film(timeline, started_at=0.0).write_video(path, lambda: None)


def _test_source(path: Path, _number: int, count: int) -> None:
    graph = Graph()
    source = graph.add("testsrc", f"size={SIZE}:rate={FPS}")
    pixels, sink = graph.add("format", "pix_fmts=yuv420p"), graph.add("buffersink")
    source.link_to(pixels)
    pixels.link_to(sink)
    graph.configure()

    def frames() -> Iterator[av.VideoFrame]:
        for _ in range(count):
            frame = graph.pull()
            assert isinstance(frame, av.VideoFrame)
            yield frame

    write_mp4(path, frames(), size=(SIZE.width, SIZE.height), fps=FPS)
