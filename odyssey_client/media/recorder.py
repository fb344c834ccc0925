"""Recording of a connection's video to an MP4 file, with the original timestamps; a separate thread encodes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, override

import av
from av.container import OutputContainer
from av.filter import Graph
from av.video.stream import VideoStream

from odyssey_client.errors import OdysseyError
from odyssey_client.event_loop import require_loop
from odyssey_client.file_replacement import file_to_replace, protect, replace
from odyssey_client.media.frames import FrameReader, FrameSource, VideoFrame

TIME_BASE = Fraction(1, 90_000)
"""The RTP clock of video (RFC 6184 section 8.2.1)."""

BUFFER = 64
"""Number of frames that the encoder may lag behind before the oldest are dropped: 3.2 s of video."""

_OPTIONS = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}


class Recorder:
    """An async context manager that records the video until its block or the connection ends.

    The video has the size of the first recorded frame, rounded up to even numbers: H.264 in YUV 4:2:0 requires them.
    Frames of another size are scaled to fit, with black bars.
    While recording, the file has a hidden temporary name in the same directory. When recording stops, the file gets its
    final name and replaces an existing file, whose permissions it takes; a link is followed. If no frame was recorded
    or recording failed, the temporary file is deleted.
    """

    def __init__(self, stream: FrameSource, path: Path) -> None:
        self.path = path
        self._stream = stream
        self._reader: FrameReader | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: _WriterThread | None = None
        self._writer = _Writer(path)

    @property
    def frames_recorded(self) -> int:
        """The number of frames in the file."""
        return self._writer.frames

    @property
    def has_failed(self) -> bool:
        """Whether recording ended because the file could not be written; `stop` raises the reason."""
        task = self._task
        return task is not None and task.done() and (task.cancelled() or task.exception() is not None)

    @property
    def frames_dropped(self) -> int:
        """The number of frames dropped because the encoder was too slow."""
        return self._reader.dropped if self._reader else 0

    async def start(self) -> None:
        """Start recording with the next frame.

        Raises:
            OSError: the file cannot be written; for example, the directory does not exist or is not writable.
            RuntimeError: this recorder was already started.
        """
        if self._thread is not None:
            raise RuntimeError("this recorder was already started; create another one with MediaStream.record()")
        loop = require_loop("record")
        self._thread = _WriterThread()
        try:
            await loop.run_in_executor(self._thread, self._writer.open)
        except BaseException as error:
            # After a cancellation, `open` may still be running, for as long as the disk takes. The same thread then
            # removes the file that `open` created.
            loop.run_in_executor(self._thread, self._writer.discard)
            self._thread.shutdown(wait=isinstance(error, Exception))
            raise
        self._reader = self._stream.frames(buffer=BUFFER)
        self._task = asyncio.create_task(self._record(self._reader, self._thread), name=f"record {self.path.name}")
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def stop(self) -> None:
        """Stop, write the buffered frames, and close the file; may be called more than once.

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

    async def _record(self, reader: FrameReader, thread: Executor) -> None:
        loop = asyncio.get_running_loop()
        finish = self._writer.commit  # after a cancellation too, to keep the recorded frames
        with thread:
            try:
                async for frame in _until_end(reader):
                    await loop.run_in_executor(thread, self._writer.write, frame)
            except Exception:
                finish = self._writer.discard
                raise
            finally:
                # Shielded from cancellation: players cannot play an MP4 file without its end.
                await asyncio.shield(loop.run_in_executor(thread, finish))


_running: set[asyncio.Task[None]] = set()
"""The tasks of running recordings. Event loops refer to tasks only weakly, and a caller need not keep its recorder."""


def check_target(path: Path) -> None:
    """Check that `Recorder.start` could write to ``path``; leave no file behind.

    Raises:
        OSError: the file cannot be written.
    """
    writer = _Writer(path)
    writer.open()
    writer.discard()


async def _until_end(reader: FrameReader) -> AsyncIterator[VideoFrame]:
    """Yield frames until the connection ends. If it fails, no error is raised here, so that the recording is kept."""
    iterator = aiter(reader)
    while True:
        try:
            frame = await anext(iterator)
        except (StopAsyncIteration, OdysseyError):
            return
        yield frame


class _Writer:
    """Writes the file under a temporary name; all methods must run in the same thread."""

    def __init__(self, path: Path) -> None:
        self.frames = 0
        self._target = path
        self._part: Path | None = None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._fit = _Fit()
        self._first_ms = 0.0
        self._last_pts = -1

    def open(self) -> None:
        """Create the temporary file, so that errors are raised at once; call `commit` or `discard` afterward."""
        with self._named():
            self._target = file_to_replace(self._target)
            for count in itertools.count():
                part = self._target.with_name(f".odyssey-recording-{count}.part")
                with contextlib.suppress(FileExistsError):
                    part.open("xb").close()
                    self._part = part
                    protect(part, self._target)
                    return

    def write(self, frame: VideoFrame) -> None:
        """Append a frame."""
        with self._named():
            if self._container is None or self._stream is None:
                self._container = av.open(str(self._part), "w", format="mp4")
                self._stream = self._container.add_stream("libx264", options=_OPTIONS)
                self._stream.width = frame.width + frame.width % 2
                self._stream.height = frame.height + frame.height % 2
                self._stream.pix_fmt = "yuv420p"
                self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
                self._first_ms = frame.timestamp_ms
            picture = self._fit.fit(frame.to_av(), self._stream.width, self._stream.height)
            # MP4 requires increasing timestamps; two RTP packets may have the same one.
            pts = max(self._last_pts + 1, round((frame.timestamp_ms - self._first_ms) * 90))
            picture.pts, picture.time_base, self._last_pts = pts, TIME_BASE, pts
            self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def commit(self) -> None:
        """Finish the file and give it its final name; without frames, delete it."""
        try:
            with self._named():
                if self._container is not None and self._stream is not None and self._part is not None:
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
                    replace(self._part, self._target)
                    self._part = None
        finally:
            self.discard()

    def discard(self) -> None:
        """Delete the temporary file, if there is one."""
        if self._part is None:
            return
        self.frames = 0
        if self._container is not None:
            with contextlib.suppress(OSError):  # closing writes too, and may fail like the earlier write
                self._container.close()
        self._part.unlink(missing_ok=True)
        self._part = None

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Convert errors of the system and of FFmpeg to an `OSError` that names the final file."""
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise OSError(error.errno, error.strerror, str(self._target)) from error


class _WriterThread(Executor):
    """A daemon thread that runs functions in order.

    Unlike a `ThreadPoolExecutor`, it still runs functions after the main thread has ended. So it can finish the file of
    the recording.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="odyssey-recorder", daemon=True)
        self._thread.start()

    @override
    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return  # cancelled before it began
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # the caller raises it
                future.set_exception(error)
            else:
                future.set_result(result)

        self._jobs.put(job)
        return future

    @override
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread after the submitted functions, which are never cancelled."""
        self._jobs.put(None)
        if wait:
            self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class _Fit:
    """Scales frames to a given size without distortion; black bars fill the rest."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._sizes: tuple[int, ...] = ()

    def fit(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        """Return a new frame of ``width`` x ``height``; ``frame`` stays unchanged."""
        sizes = (frame.width, frame.height, width, height)
        if self._graph is None or sizes != self._sizes:
            self._graph, self._sizes = _graph(frame, width, height), sizes
        self._graph.push(frame)
        picture = self._graph.pull()
        if not isinstance(picture, av.VideoFrame):
            raise TypeError(f"expected a video frame from the scaler, got {type(picture).__name__}")
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
