"""Recording of a connection's video to an MP4 file, with the original timestamps; a separate thread encodes."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from types import TracebackType
from typing import Self, override

from odyssey_client.errors import OdysseyError
from odyssey_client.event_loop import ended, require_loop
from odyssey_client.media.frames import FrameReader, FrameSource, VideoFrame
from odyssey_client.media.recording_file import RecordingFile

BUFFER = 64
"""Number of frames that the encoder may lag behind before the oldest are dropped: 3.2 s of video."""


class Recorder:
    """An async context manager that records the video until its block or the connection ends.

    The video has the size of the first recorded frame, rounded up to even numbers: H.264 in YUV 4:2:0 requires them.
    Frames of another size are scaled to fit, with black bars.

    While recording, the client appends each second of video to a hidden file in the same directory, as fragmented MP4.
    When recording stops, it writes this video to a plain MP4 file, without encoding it again. The plain file gets the
    final name. It replaces an existing file and takes over its permissions; symbolic links are followed. If the plain
    file cannot be written, the fragmented file gets the final name. If no frame was recorded, the hidden file is
    deleted.

    If recording fails, for example because the disk is full, the video recorded until then is kept. An existing file at
    the path stays unchanged. For ``a.mp4``, the kept video gets the name ``a-recovered.mp4``, or ``a-recovered-2.mp4``
    if that exists, and so on. The error that `stop` raises contains the name.

    If the process is killed while it records, the hidden file stays, and is playable up to its last complete second.
    The next recording to the same path renames it in the same way, and `odyssey_client.recover_recordings` does so for
    all recordings in a directory. The hidden file of a process that is still recording is left alone.
    """

    def __init__(self, stream: FrameSource, path: Path) -> None:
        self.path = path
        self._stream = stream
        self._reader: FrameReader | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: _WriterThread | None = None
        self._file = RecordingFile(path)

    @property
    def frames_recorded(self) -> int:
        """The number of frames in the file."""
        return self._file.frames

    @property
    def has_failed(self) -> bool:
        """Whether recording ended because the file could not be written; `stop` raises the reason."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and task.exception() is not None

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
            await loop.run_in_executor(self._thread, self._file.open)
            await loop.run_in_executor(self._thread, self._file.recover)
        except BaseException as error:
            # After a cancellation, `open` may still be running, for as long as the disk takes. The same thread then
            # removes the file that `open` created.
            discarded = loop.run_in_executor(self._thread, self._file.discard)
            try:
                if isinstance(error, Exception):
                    await asyncio.wait([discarded])
            finally:
                self._thread.shutdown(wait=discarded.done())
            raise
        self._reader = self._stream.frames(buffer=BUFFER)
        # Eager, so that the task finishes the file even if it is cancelled at once.
        name = f"record {self.path.name}"
        self._task = asyncio.Task(self._record(self._reader, self._thread), loop=loop, name=name, eager_start=True)
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def stop(self) -> None:
        """Stop, write the buffered frames, and close the file; may be called more than once.

        If the call is interrupted, for example by a timeout, the file is still finished in the background. Another call
        waits until it is finished.

        Raises:
            OSError: the file could not be written. The error contains the path of the video recorded until then.
        """
        if self._reader is not None:
            self._reader.close()
        if self._task is not None:
            await asyncio.shield(self._task)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _record(self, reader: FrameReader, thread: Executor) -> None:
        """Write the frames of ``reader`` until it ends or the task is cancelled; then finish the file."""
        loop = asyncio.get_running_loop()
        finish = self._file.commit
        try:
            with contextlib.suppress(asyncio.CancelledError):
                async for frame in _until_end(reader):
                    await _done(loop.run_in_executor(thread, self._file.write, frame))
        except Exception:
            finish = self._file.discard
            raise
        finally:
            reader.close()
            with contextlib.suppress(asyncio.CancelledError):
                await _done(loop.run_in_executor(thread, finish))
            thread.shutdown()  # at once: the thread has nothing left to do


async def _done(work: asyncio.Future[None]) -> None:
    """Wait until ``work`` is done, even if the task is cancelled meanwhile; raise its error or the cancellation."""
    is_cancelled = await ended(work)
    work.result()
    if is_cancelled:
        raise asyncio.CancelledError


_running: set[asyncio.Task[None]] = set()
"""The tasks of running recordings. Event loops refer to tasks only weakly, and a caller need not keep its recorder."""


def check_target(path: Path) -> None:
    """Check that `Recorder.start` could write to ``path``; leave no file behind.

    Raises:
        OSError: the file cannot be written.
    """
    file = RecordingFile(path)
    file.open()
    file.discard()


async def _until_end(reader: FrameReader) -> AsyncIterator[VideoFrame]:
    """Yield frames until the connection ends or fails. No error is raised, so that the recording is kept."""
    iterator = aiter(reader)
    while True:
        try:
            frame = await anext(iterator)
        except (StopAsyncIteration, OdysseyError):
            return
        yield frame


class _WriterThread(Executor):
    """A daemon thread that runs functions in order.

    Unlike a `ThreadPoolExecutor`, it still runs functions after the main thread has ended. The recording can therefore
    be finished while the process exits.
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
