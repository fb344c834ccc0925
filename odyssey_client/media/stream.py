"""The video of a connection: frames as they come, for any number of readers.

aiortc decodes; what is here keeps the latest frame and hands every frame to each reader's own bounded buffer. A
reader that is slower than the video loses the oldest frames of its buffer, and can see how many; nobody else waits
for it, and memory does not grow.

A frame is turned into RGB when somebody asks for it, not before: at 704x1280 that costs a millisecond or more. This
module imports neither numpy nor av, so that `import odyssey_client` does not.
"""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections import deque
from collections.abc import AsyncIterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from odyssey_client.errors import OdysseyConfigError

if TYPE_CHECKING:
    import av
    import numpy as np
    from numpy.typing import NDArray

    from odyssey_client.media.recorder import Recorder

DEFAULT_BUFFER = 16
"""Frames a reader may lag behind: 0.8 s of video, about 20 MB."""


_LEAST_PAUSE_MS = 1.0
"""Between frames of two senders: no frame has the time of the one before it, however coarse the clock."""


class VideoFrame:
    """One picture of the video."""

    def __init__(self, frame: av.VideoFrame, timestamp_ms: float) -> None:
        self._frame = frame
        self._timestamp_ms = timestamp_ms

    @property
    def width(self) -> int:
        """In pixels."""
        return self._frame.width

    @property
    def height(self) -> int:
        """In pixels."""
        return self._frame.height

    @property
    def timestamp_ms(self) -> float:
        """When it is to be shown, in milliseconds from the connection's first frame (the sender's RTP clock).

        Where the connection was lost and came back, the gap is as long as it really was.
        """
        return self._timestamp_ms

    @cached_property
    def data(self) -> NDArray[np.uint8]:
        """The picture in RGB, shape ``(height, width, 3)``; made when first asked for, then kept."""
        return self.to_ndarray("rgb24")

    @property
    def luma(self) -> NDArray[np.uint8]:
        """The brightness of each pixel, shape ``(height, width)``, 16 for black to 235 for white (ITU-R BT.601).

        A view into the decoded picture where it is planar YUV, as aiortc's are, and so nearly free.
        """
        import numpy  # noqa: PLC0415 - see the top of this module

        if not self._frame.format.name.startswith(("yuv4", "nv12", "gray")):
            return self.to_ndarray("gray")
        plane = self._frame.planes[0]
        rows = numpy.frombuffer(plane, numpy.uint8).reshape(-1, plane.line_size)
        return rows[: self.height, : self.width]

    def to_ndarray(self, pixel_format: str = "rgb24") -> NDArray[np.uint8]:
        """The picture in any of FFmpeg's pixel formats, such as ``bgr24`` or ``gray``; a new array each time."""
        return cast("NDArray[np.uint8]", self._frame.to_ndarray(format=pixel_format))

    def to_av(self) -> av.VideoFrame:
        """The decoded frame as PyAV has it. It is shared with every other reader: do not change it."""
        return self._frame

    def __repr__(self) -> str:
        return f"VideoFrame({self.width}x{self.height}, {self.timestamp_ms:.0f} ms)"


class FrameReader(AsyncIterator[VideoFrame]):
    """One reader's frames, from the moment it was made: ``async for frame in reader``.

    Ends when the connection does, after what is still buffered: quietly, or with the fatal error that ended it.
    """

    def __init__(self, buffer: int) -> None:
        self.dropped = 0
        """How many frames this reader was too slow for."""
        self._frames: deque[VideoFrame] = deque(maxlen=buffer)
        self._ended = False
        self._error: BaseException | None = None
        self._wake = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> VideoFrame:
        while not self._frames:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._frames.popleft()

    def close(self) -> None:
        """End the reader, as if the video had ended; frames that are buffered can still be read."""
        self.end(None)

    def push(self, frame: VideoFrame) -> None:
        if self._ended:
            return
        if len(self._frames) == self._frames.maxlen:
            self.dropped += 1
        self._frames.append(frame)
        self._wake.set()

    def end(self, error: BaseException | None) -> None:
        if not self._ended:
            self._ended, self._error = True, error
            self._wake.set()


def _check_buffer(buffer: object) -> None:
    if not isinstance(buffer, int) or isinstance(buffer, bool) or buffer < 1:
        raise OdysseyConfigError(f"buffer must be a whole number of frames, 1 or more, got {buffer!r}")


class MediaStream:
    """The video of one connection. ``async for frame in stream`` gives its frames from now on."""

    def __init__(self) -> None:
        # Readers that nobody holds any more, such as after a `break`, go by themselves.
        # By number and not in a set: in the same order in every process.
        self._readers: weakref.WeakValueDictionary[int, FrameReader] = weakref.WeakValueDictionary()
        self._numbers = itertools.count()
        self._latest: VideoFrame | None = None
        self._received = 0
        self._ended = False
        self._error: BaseException | None = None
        self._first_time: float | None = None
        self._first_ms = 0.0

    @property
    def latest_frame(self) -> VideoFrame | None:
        """The newest frame, None before the first; still there after the end."""
        return self._latest

    @property
    def frames_received(self) -> int:
        """How many frames have come since the connection began."""
        return self._received

    @property
    def ended(self) -> bool:
        """Whether the connection is over, so that no frame will come any more."""
        return self._ended

    def frames(self, *, buffer: int = DEFAULT_BUFFER) -> FrameReader:
        """Read the frames from now on, with a buffer of one's own.

        Args:
            buffer: How many frames the reader may lag behind before the oldest are dropped; 1 to always get the newest.

        Raises:
            OdysseyConfigError: ``buffer`` is no number of frames.
        """
        _check_buffer(buffer)
        reader = FrameReader(buffer)
        if self._ended:
            reader.end(self._error)
        else:
            self._readers[next(self._numbers)] = reader
        return reader

    def __aiter__(self) -> FrameReader:
        return self.frames()

    def record(self, path: str | Path) -> Recorder:
        """Record to an MP4 file (H.264): ``async with stream.record("a.mp4"):``, or its `start` and `stop`."""
        from odyssey_client.media.recorder import Recorder  # noqa: PLC0415 - see the top of this module

        return Recorder(self, Path(path))

    def push(self, frame: av.VideoFrame) -> None:
        """Take a decoded frame; the connection calls this."""
        if self._ended:
            return
        time = float(frame.time or 0.0)
        if self._first_time is None:
            self._first_time = time
        self._latest = VideoFrame(frame, self._first_ms + (time - self._first_time) * 1000)
        self._received += 1
        for reader in list(self._readers.values()):
            reader.push(self._latest)

    def splice(self, pause: float) -> None:
        """Expect the next frame from another sender, whose clock is its own, ``pause`` seconds after the latest one.

        The connection calls this, when it has come back.
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
