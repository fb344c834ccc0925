"""The command `odyssey watch`: watches a broadcast, prints statistics, and optionally records the video."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from odyssey_client.cli.output import Answer
from odyssey_client.cli.playback_stats import PlaybackStats, counted
from odyssey_client.cli.service import Running, Seconds, call, json_option, trace_option
from odyssey_client.client.arguments import LONGEST_WAIT_S
from odyssey_client.errors import DownloadError, OdysseyError
from odyssey_client.event_loop import in_thread
from odyssey_client.media.stamp import read_stamp
from odyssey_client.models import JSON
from odyssey_client.platform import Clock
from odyssey_client.spectator.spectator_connection import SpectatorConnection, connect_to_stream
from odyssey_client.system import SystemClock
from odyssey_client.terminal.tables import Fields

if TYPE_CHECKING:
    from odyssey_client.cli.progress import Progress
    from odyssey_client.media.frames import FrameReader, VideoFrame

TOKEN_VARIABLE = "ODYSSEY_SPECTATOR_TOKEN"  # noqa: S105 - a name, not a token

BUFFER = 64
"""Maximum number of frames that are buffered until they are counted: 3.2 s of video."""

GRACE_S = 0.1
"""Extra seconds to wait for a frame before the statistics are updated, so that they show the age of a new frame."""

type EndedBy = Literal["broadcast", "seconds", "signal", "error"]

_ENDS: dict[EndedBy, str] = {
    "broadcast": "with the broadcast",
    "seconds": "at the time limit",
    "signal": "by an interrupt",
    "error": "by an error",
}


@dataclass(frozen=True, slots=True)
class _Order:
    """The arguments and options of `odyssey watch`."""

    webrtc_url: str
    token: str
    save: Path | None
    overwrite: bool
    seconds: float | None
    trace: Path | None = None


@click.command()
@click.argument("webrtc_url", metavar="WEBRTC_URL")
@click.option(
    "--token",
    metavar="T",
    envvar=TOKEN_VARIABLE,
    help=f"Spectator token. Prefer the environment variable {TOKEN_VARIABLE}: other users of the machine can read "
    "command lines.",
)
@click.option("--save", metavar="FILE", type=click.Path(path_type=Path), help="Record the video to this MP4 file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option(
    "--seconds",
    type=Seconds(min=0, min_open=True, max=LONGEST_WAIT_S),
    metavar="S",
    help="Stop after this many seconds.  [default: at the end of the broadcast]",
)
@trace_option
@json_option
def watch(
    webrtc_url: str,
    token: str | None,
    save: Path | None,
    overwrite: bool,
    seconds: float | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Watch a broadcast and show statistics.

    The client that hosts the stream receives WEBRTC_URL and the token in its callback `on_broadcast_ready`. Set
    ODYSSEY_SPECTATOR_TOKEN to the token first. No API key is needed.

    The command shows the number of frames and the frame rate. If the frames have stamps of odyssey-mock, it also shows
    the age of the last frame by this machine's clock, and the number of missing frames. A recording that is interrupted
    is still playable. If recording fails, the video recorded until then is kept, for example as out-recovered.mp4.
    If the command is killed, the next run with the same FILE renames the unfinished recording in the same way.

    Example: odyssey watch http://localhost:8400/broadcast/ID --save out.mp4
    """
    if not token:
        raise click.UsageError(
            f"Set the environment variable {TOKEN_VARIABLE} to the spectator token, or pass --token."
        )
    if overwrite and save is None:
        raise click.UsageError("--overwrite requires --save.")
    order = _Order(webrtc_url, token, save, overwrite, seconds, trace)
    call(lambda running: _watch(running, order, SystemClock()), as_json=as_json)


async def _watch(running: Running, order: _Order, clock: Clock) -> Answer:
    if (path := order.save) is not None:
        await in_thread(lambda: _check(path, overwrite=order.overwrite))
    async with await connect_to_stream(order.webrtc_url, order.token, clock=clock, trace=order.trace) as spectator:
        watch = _Watch(spectator, order, running.progress, clock)
        try:
            await watch.run()
        finally:
            running.so_far = watch.answer()
    return running.so_far


class _Watch:
    """Counts, shows and records the frames of one connection, until the connection or the command ends."""

    def __init__(self, spectator: SpectatorConnection, order: _Order, progress: Progress, clock: Clock) -> None:
        self._spectator = spectator
        self._order = order
        self._progress = progress
        self._clock = clock
        self._recorder = None if order.save is None else spectator.stream.record(order.save)
        self._began = self._ended = clock.monotonic()
        self._ended_by: EndedBy = "error"
        self._stats = PlaybackStats(self._began)

    async def run(self) -> None:
        """Watch, and record if ``--save`` was given. When this method ends, the recording is finished.

        Raises:
            DownloadError: the file cannot be written. The error contains the path of the video recorded until then.
            OdysseyError: the connection was lost.
        """
        self._progress.live("Connected.")
        with _told(self._order.save):
            async with self._recorder or contextlib.nullcontext():
                reader = self._spectator.frames(buffer=BUFFER)
                try:
                    self._ended_by = await self._see(reader)
                except asyncio.CancelledError:
                    self._ended_by = "signal"
                    raise
                finally:
                    if self._ended_by != "error":
                        await self._see_rest(reader)
                    self._ended = self._clock.monotonic()
                    self._progress.live(self._stats.line(self._ended))

    def answer(self) -> Answer:
        """Return the result of the command; call it after `run`."""
        saved: dict[str, JSON] | None = None
        told: str | None = None
        if (recorder := self._recorder) is not None:
            told = "nothing, recording failed" if recorder.has_failed else "nothing, no frame was recorded"
            if frames := recorder.frames_recorded:
                saved = {"path": str(self._order.save), "frames": frames, "dropped": recorder.frames_dropped}
                told = f"{self._order.save}, {counted(frames)}, {recorder.frames_dropped} dropped"
        return Answer(
            {**self._stats.document(self._ended), "saved": saved, "ended_by": self._ended_by},
            (Fields([*self._stats.pairs(self._ended), ("saved", told), ("ended", _ENDS[self._ended_by])]),),
        )

    async def _see(self, reader: FrameReader) -> EndedBy:
        """Count frames and show the current statistics until watching ends; return the reason for its end."""
        over = math.inf if self._order.seconds is None else self._began + self._order.seconds
        look = self._began + self._progress.live_s
        while (now := self._clock.monotonic()) < over:
            if self._recorder is not None and self._recorder.has_failed:
                return "error"
            if now >= look:
                self._progress.live(self._stats.line(now))
                look = now + self._progress.live_s
            try:
                async with self._clock.timeout(min(look + GRACE_S, over) - now):
                    frame = await anext(reader)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                return "broadcast"
            self._count(frame)
        return "seconds"

    async def _see_rest(self, reader: FrameReader) -> None:
        """Count the frames that are still buffered, without waiting for more. The recording contains them too."""
        reader.close()
        async for frame in reader:
            self._count(frame)

    def _count(self, frame: VideoFrame) -> None:
        stamp = read_stamp(frame.luma)
        size = (frame.width, frame.height)
        self._stats.add(size, stamp, now=self._clock.monotonic(), time=self._clock.time())


def _check(path: Path, *, overwrite: bool) -> None:
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
