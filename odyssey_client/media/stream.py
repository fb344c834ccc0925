"""The video of a connection, for any number of readers.

`MediaStream` keeps the latest frame and adds every frame to the bounded buffer of each reader. A slow reader delays no
other reader, and memory use does not grow. This module imports neither numpy nor av, so that `import odyssey_client`
does not load them.
"""

from __future__ import annotations

import itertools
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from odyssey_client.errors import OdysseyConfigError
from odyssey_client.event_loop import current_loop
from odyssey_client.media.frames import FrameReader, VideoFrame

if TYPE_CHECKING:
    import av

    from odyssey_client.media.recorder import Recorder

DEFAULT_BUFFER = 16
"""Number of frames that a reader may lag behind: 0.8 s of video, about 20 MB."""


_LEAST_PAUSE_MS = 1.0
"""Minimum difference, in ms, between the timestamps of the last frame before a reconnect and the first one after it.

This difference makes the timestamps increase even after a pause of 0 ms.
"""


def _check_buffer(buffer: object) -> None:
    if not isinstance(buffer, int) or isinstance(buffer, bool) or buffer < 1:
        raise OdysseyConfigError(f"buffer must be a whole number of frames, 1 or more, got {buffer!r}")


class MediaStream:
    """The video of one connection. ``async for frame in stream`` iterates over the frames from now on."""

    def __init__(self) -> None:
        # Weak references: a reader that is no longer referenced, for example after a `break`, disappears by itself.
        # A dictionary by number instead of a set: its order is the same in every process.
        self._readers: weakref.WeakValueDictionary[int, FrameReader] = weakref.WeakValueDictionary()
        self._numbers = itertools.count()
        self._loop = current_loop()
        self._latest: VideoFrame | None = None
        self._received = 0
        self._ended = False
        self._error: BaseException | None = None
        self._first_time: float | None = None
        self._first_ms = 0.0

    @property
    def latest_frame(self) -> VideoFrame | None:
        """The newest frame; None before the first frame. It stays available after the end of the connection."""
        return self._latest

    @property
    def frames_received(self) -> int:
        """The number of frames received since the connection began."""
        return self._received

    @property
    def ended(self) -> bool:
        """Whether the connection is over; no more frames will arrive."""
        return self._ended

    def frames(self, *, buffer: int = DEFAULT_BUFFER) -> FrameReader:
        """Return a reader of the frames that arrive from now on, with its own buffer.

        Args:
            buffer: How many frames the reader may lag behind before the oldest are dropped; 1 to always get the newest.

        Raises:
            OdysseyConfigError: ``buffer`` is not an integer of 1 or more.
        """
        _check_buffer(buffer)
        reader = FrameReader(buffer, self._loop)
        if self._ended:
            reader.end(self._error)
        else:
            self._readers[next(self._numbers)] = reader
        return reader

    def __aiter__(self) -> FrameReader:
        return self.frames()

    def record(self, path: str | Path) -> Recorder:
        """Return a recorder (MP4, H.264). Use ``async with stream.record("a.mp4"):``, or its `start` and `stop`."""
        from odyssey_client.media.recorder import Recorder  # noqa: PLC0415 - see the module docstring

        return Recorder(self, Path(path))

    def push(self, frame: av.VideoFrame, received_at: float | None = None) -> None:
        """Add a decoded frame, received at ``received_at`` in seconds since the epoch; the connection calls this."""
        if self._ended:
            return
        time = float(frame.time or 0.0)
        if self._first_time is None:
            self._first_time = time
        self._latest = VideoFrame(frame, self._first_ms + (time - self._first_time) * 1000, received_at)
        self._received += 1
        for reader in list(self._readers.values()):
            reader.push(self._latest)

    def splice(self, pause: float) -> None:
        """Set the timestamp of the next frame to ``pause`` seconds after that of the latest frame.

        The connection calls this after a reconnect, because the new sender has another clock.
        """
        if self._latest is not None:
            self._first_time = None
            self._first_ms = self._latest.timestamp_ms + max(pause * 1000, _LEAST_PAUSE_MS)

    def end(self, error: BaseException | None = None) -> None:
        """End the video for every reader, with ``error`` if the connection failed; the connection calls this."""
        if self._ended:
            return
        self._ended, self._error = True, error
        for reader in list(self._readers.values()):
            reader.end(error)

    def __repr__(self) -> str:
        state = "ended" if self._ended else "live"
        return f"MediaStream({state}, {self._received} frames, latest {self._latest!r})"
