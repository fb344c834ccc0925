"""Recording the video of a connection to an MP4 file, in a thread of its own and with the times it came with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import OutputContainer
from av.filter import Graph
from av.video.stream import VideoStream

from odyssey_client.errors import OdysseyError
from odyssey_client.media import FrameReader, MediaStream, VideoFrame

TIME_BASE = Fraction(1, 90_000)
"""RTP's clock for video (RFC 6184 section 8.2.1)."""

BUFFER = 64
"""Frames the encoder may lag behind before the oldest are dropped: 3.2 s of video."""

_OPTIONS = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}


class Recorder:
    """An async context manager that records from its beginning to its end, or to that of the connection.

    The picture keeps the size of the first recorded frame; frames of another size are fitted into it, with black bars.
    The file is there once recording has stopped and a frame was recorded.
    """

    def __init__(self, stream: MediaStream, path: Path) -> None:
        self.path = path
        self._stream = stream
        self._reader: FrameReader | None = None
        self._task: asyncio.Task[None] | None = None
        self._frames = 0

    @property
    def frames_recorded(self) -> int:
        """How many frames are in the file."""
        return self._frames

    @property
    def frames_dropped(self) -> int:
        """How many frames the encoder was too slow for."""
        return self._reader.dropped if self._reader else 0

    async def start(self) -> None:
        """Record from the next frame on.

        Raises:
            RuntimeError: it was started before; make another one.
        """
        if self._task is not None:
            raise RuntimeError("this recorder was started before; make another one with MediaStream.record()")
        self._reader = self._stream.frames(buffer=BUFFER)
        self._task = asyncio.create_task(self._record(self._reader), name=f"record {self.path.name}")

    async def stop(self) -> None:
        """Stop, write what is still buffered, and close the file; twice is fine.

        Raises:
            OSError: the file could not be written.
        """
        if self._reader is not None:
            self._reader.close()
        if self._task is not None:
            await self._task

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _record(self, reader: FrameReader) -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="odyssey-recorder") as thread:
            writer = _Writer(self.path)
            try:
                async for frame in _until_end(reader):
                    await loop.run_in_executor(thread, writer.write, frame)
                    self._frames += 1
            finally:
                await loop.run_in_executor(thread, writer.close)


async def _until_end(reader: FrameReader) -> AsyncIterator[VideoFrame]:
    """The frames up to the end, however the connection ended: a recording is worth keeping then too."""
    iterator = aiter(reader)
    while True:
        try:
            frame = await anext(iterator)
        except (StopAsyncIteration, OdysseyError):
            return
        yield frame


class _Writer:
    """The file; all of it is used in one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._fit = _Fit()
        self._first_ms = 0.0
        self._last_pts = -1

    def write(self, frame: VideoFrame) -> None:
        if self._container is None or self._stream is None:
            self._container = av.open(str(self._path), "w", format="mp4")
            self._stream = self._container.add_stream("libx264", options=_OPTIONS)
            self._stream.width, self._stream.height = frame.width, frame.height
            self._stream.pix_fmt = "yuv420p"
            self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
            self._first_ms = frame.timestamp_ms
        picture = self._fit.fit(frame.to_av(), self._stream.width, self._stream.height)
        # MP4 wants each frame later than the one before, which two RTP packets with one timestamp would not give it.
        pts = max(self._last_pts + 1, round((frame.timestamp_ms - self._first_ms) * 90))
        picture.pts, picture.time_base, self._last_pts = pts, TIME_BASE, pts
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        if self._container is not None and self._stream is not None:
            self._container.mux(self._stream.encode(None))
            self._container.close()


class _Fit:
    """Fits pictures of any size into one, keeping their shape."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._sizes: tuple[int, ...] = ()

    def fit(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        """A picture of ``width`` x ``height`` that is the caller's to change; ``frame`` is left as it is."""
        sizes = (frame.width, frame.height, width, height)
        if self._graph is None or sizes != self._sizes:
            self._graph, self._sizes = _graph(frame, width, height), sizes
        self._graph.push(frame)
        picture = self._graph.pull()
        if not isinstance(picture, av.VideoFrame):
            raise TypeError(f"the scaler gave a {type(picture).__name__}")
        return picture


def _graph(frame: av.VideoFrame, width: int, height: int) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE)
    scale = graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2")
    pad = graph.add("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2")
    shape = graph.add("format", "yuv420p")
    sink = graph.add("buffersink")
    graph.link_nodes(source, scale, pad, shape, sink).configure()
    return graph
