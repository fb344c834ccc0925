"""Playback of live video: counts the frames, shows statistics, and optionally records the video."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from odyssey_client.cli.playback_stats import PlaybackStats, counted
from odyssey_client.errors import DownloadError, OdysseyError
from odyssey_client.media.frames import FrameReader, VideoFrame
from odyssey_client.media.stamp import Stamp, read_stamp
from odyssey_client.media.stream import MediaStream
from odyssey_client.models import JSON
from odyssey_client.platform import Clock

if TYPE_CHECKING:
    from odyssey_client.cli.progress import Progress

BUFFER = 64
"""Maximum number of frames that are buffered until they are counted: 3.2 s of video."""

GRACE_S = 0.1
"""Extra seconds to wait for a frame before the statistics are updated, so that they show the age of a new frame."""

type EndedBy = Literal["broadcast", "service", "seconds", "signal", "error"]

_ENDS: dict[EndedBy, str] = {
    "broadcast": "with the broadcast",
    "service": "by the service",
    "seconds": "at the time limit",
    "signal": "by an interrupt",
    "error": "by an error",
}


class Playback:
    """Counts, shows and records the frames of one connection, until the video, the time or the command ends."""

    def __init__(
        self,
        stream: MediaStream,
        *,
        save: Path | None,
        seconds: float | None,
        ends_with: Literal["broadcast", "service"],
        progress: Progress,
        clock: Clock,
        begins_with: Callable[[VideoFrame, Stamp | None], bool] = lambda *_: True,
    ) -> None:
        """Create a playback that has not begun.

        ``save``: the file for the recording, if any. ``seconds``: the time limit, if any. ``ends_with``: what has ended
        if the video ends. ``begins_with(frame, stamp)``: whether a frame can be the first one; frames before are
        neither counted nor recorded.
        """
        from odyssey_client.media.recorder import Recorder  # noqa: PLC0415 - imports av, which `odyssey --help` does not need

        self._stream = stream
        self._begins_with = begins_with
        self._has_begun = False
        self._recorded = _Frames()
        self._save = save
        self._seconds = seconds
        self._ends_with: EndedBy = ends_with
        self._progress = progress
        self._clock = clock
        self._recorder = None if save is None else Recorder(self._recorded, save)
        self._reader: FrameReader | None = None
        self._stopped_by: EndedBy | None = None
        self._began = self._ended = clock.monotonic()
        self._ended_by: EndedBy = "error"
        self._stats = PlaybackStats(self._began)

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Buffer the frames that arrive in the block, until `run` counts and records them.

        After the block, the recording is finished, if ``save`` was given.

        Raises:
            DownloadError: the file cannot be written. The error contains the path of the video recorded until then.
        """
        with _told(self._save), contextlib.closing(self._stream.frames(buffer=BUFFER)) as self._reader:
            if self._stopped_by is not None:
                self._reader.close()
            async with self._recorder or contextlib.nullcontext():
                try:
                    yield
                except asyncio.CancelledError:
                    self._ended_by = "signal"
                    raise

    async def run(self) -> None:
        """Count, show and record frames until the playback ends; call it in the block of `recording`.

        The frames are those of the block, also of the time before this call. The time limit begins now.

        Raises:
            OdysseyError: the connection was lost.
        """
        reader = self._reader
        assert reader is not None, "expected a call in the block of `recording`"
        self._began = self._clock.monotonic()
        self._stats = PlaybackStats(self._began)
        try:
            self._ended_by = await self._see(reader)
        except asyncio.CancelledError:
            self._ended_by = "signal"
            raise
        finally:
            if self._ended_by != "error":
                await self._see_rest(reader)
            self._ended = self._clock.monotonic()
            self._show(self._ended)

    def stop(self, ended_by: EndedBy) -> None:
        """End the playback, even before `run`. Buffered frames are still counted."""
        self._stopped_by = self._stopped_by or ended_by
        if self._reader is not None:
            self._reader.close()

    @property
    def ended_by(self) -> EndedBy:
        """What has ended the playback."""
        return self._ended_by

    def document(self) -> dict[str, JSON]:
        """Return the result as a JSON object; call it after `run`."""
        saved: dict[str, JSON] | None = None
        if self._recorder is not None and (frames := self._recorder.frames_recorded):
            saved = {"path": str(self._save), "frames": frames, "dropped": self._recorder.frames_dropped}
        return {**self._stats.document(self._ended), "saved": saved, "ended_by": self._ended_by}

    def pairs(self) -> Sequence[tuple[str, object]]:
        """Return the result as pairs of a name and a value; call it after `run`."""
        told: str | None = None
        if (recorder := self._recorder) is not None:
            told = "nothing, recording failed" if recorder.has_failed else "nothing, no frame was recorded"
            if frames := recorder.frames_recorded:
                told = f"{self._save}, {counted(frames)}, {recorder.frames_dropped} dropped"
        return [*self._stats.pairs(self._ended), ("saved", told), ("ended", _ENDS[self._ended_by])]

    async def _see(self, reader: FrameReader) -> EndedBy:
        """Count frames and show the current statistics until the playback ends; return the reason for its end."""
        over = math.inf if self._seconds is None else self._began + self._seconds
        look = self._began + self._progress.live_s
        while (now := self._clock.monotonic()) < over:
            if self._recorder is not None and self._recorder.has_failed:
                return "error"
            if now >= look:
                self._show(now)
                look = now + self._progress.live_s
            try:
                async with self._clock.timeout(min(look + GRACE_S, over) - now):
                    frame = await anext(reader)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                return self._stopped_by or self._ends_with
            self._count(frame)
        return "seconds"

    def _show(self, now: float) -> None:
        part = None if self._seconds is None else min(1.0, (now - self._began) / self._seconds)
        self._progress.live(self._stats.line(now), part)

    async def _see_rest(self, reader: FrameReader) -> None:
        """Count the frames that are still buffered, without waiting for more. The recording contains them too."""
        reader.close()
        async for frame in reader:
            self._count(frame)

    def _count(self, frame: VideoFrame) -> None:
        stamp = read_stamp(frame.luma)
        self._has_begun = self._has_begun or self._begins_with(frame, stamp)
        if not self._has_begun:
            return
        self._recorded.push(frame)
        now, time = self._clock.monotonic(), self._clock.time()
        if frame.received_at is not None:  # it may have waited in the buffer
            now, time = now - max(0.0, time - frame.received_at), min(time, frame.received_at)
        self._stats.add((frame.width, frame.height), stamp, now=now, time=time)


class _Frames:
    """A source of frames for the recorder: those that are pushed."""

    def __init__(self) -> None:
        self._readers: list[FrameReader] = []

    def frames(self, *, buffer: int) -> FrameReader:
        reader = FrameReader(buffer)
        self._readers.append(reader)
        return reader

    def push(self, frame: VideoFrame) -> None:
        for reader in self._readers:
            reader.push(frame)


def check_file(path: Path, *, overwrite: bool) -> None:
    """Check that a recording can be written to ``path``.

    Raises:
        DownloadError: the file exists already, or cannot be written.
    """
    from odyssey_client.media.recorder import check_target  # noqa: PLC0415 - imports av, which `odyssey --help` does not need

    with _told(path):
        check_target(path)
        if not overwrite and os.path.lexists(path):
            raise DownloadError(
                f"{path} already exists: choose another path, or pass --overwrite to replace it.", code="file_exists"
            )


@contextlib.contextmanager
def _told(path: Path | None) -> Iterator[None]:
    """Convert an `OSError` in the block to a `DownloadError` that names ``path`` and advises to choose another path."""
    try:
        yield
    except (BrokenPipeError, OdysseyError):  # BrokenPipeError: standard error is closed (see `Progress`)
        raise
    except OSError as error:
        raise DownloadError(
            f"Cannot write {path}: {error.strerror}. Choose another path with --save.", code="cannot_write"
        ) from error
