"""Video frames, and readers that buffer them.

aiortc decodes the video. Each reader has its own bounded buffer. A reader that is slower than the video loses the
oldest frames, and counts them in `dropped`.

A frame is converted to RGB on first use: at 704x1280 the conversion takes a millisecond or more. This module imports
numpy only when a frame is read, and never av, so that `import odyssey_client` does not load them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self, cast

from odyssey_client.event_loop import require_same_loop

if TYPE_CHECKING:
    import av
    import numpy as np
    from numpy.typing import NDArray


class VideoFrame:
    """One frame of the video."""

    def __init__(self, frame: av.VideoFrame, timestamp_ms: float, received_at: float | None = None) -> None:
        self._frame = frame
        self._timestamp_ms = timestamp_ms
        self._received_at = received_at

    @property
    def width(self) -> int:
        """The width in pixels."""
        return self._frame.width

    @property
    def height(self) -> int:
        """The height in pixels."""
        return self._frame.height

    @property
    def timestamp_ms(self) -> float:
        """The presentation time, in milliseconds after the connection's first frame (from the sender's RTP clock).

        After a reconnect, the gap between the frames is as long as the interruption was.
        """
        return self._timestamp_ms

    @property
    def received_at(self) -> float | None:
        """When the client had received and decoded the frame, in seconds since the epoch; None if this is unknown."""
        return self._received_at

    @cached_property
    def data(self) -> NDArray[np.uint8]:
        """The frame in RGB, shape ``(height, width, 3)``; converted on first access, then cached."""
        return self.to_ndarray("rgb24")

    @property
    def luma(self) -> NDArray[np.uint8]:
        """The brightness of each pixel, shape ``(height, width)``, from 16 for black to 235 for white (ITU-R BT.601).

        For planar YUV, which aiortc decodes to, this is a view into the decoded frame and costs almost nothing.
        """
        import numpy  # noqa: PLC0415 - see the module docstring

        if not self._frame.format.name.startswith(("yuv4", "nv12", "gray")):
            return self.to_ndarray("gray")
        plane = self._frame.planes[0]
        rows = numpy.frombuffer(plane, numpy.uint8).reshape(-1, plane.line_size)
        return rows[: self.height, : self.width]

    def to_ndarray(self, pixel_format: str = "rgb24") -> NDArray[np.uint8]:
        """Convert the frame to an FFmpeg pixel format, such as ``bgr24`` or ``gray``; return a new array each time."""
        return cast("NDArray[np.uint8]", self._frame.to_ndarray(format=pixel_format))

    def to_av(self) -> av.VideoFrame:
        """Return the decoded PyAV frame. All readers share it: do not modify it."""
        return self._frame

    def __repr__(self) -> str:
        return f"VideoFrame({self.width}x{self.height}, {self.timestamp_ms:.0f} ms)"


class FrameReader(AsyncIterator[VideoFrame]):
    """An async iterator over the frames that arrive after its creation: ``async for frame in reader``.

    After the connection has ended, the reader still returns the buffered frames. Then the iteration stops, or raises
    the fatal error that ended the connection.
    """

    def __init__(self, buffer: int, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Create a reader that buffers at most ``buffer`` frames. ``loop`` is the event loop in which frames arrive."""
        self.dropped = 0
        """The number of frames dropped because this reader was too slow."""
        self._loop = loop
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
            require_same_loop("frames", self._loop)
            self._wake.clear()
            await self._wake.wait()
        return self._frames.popleft()

    def close(self) -> None:
        """End the reader as if the video had ended; buffered frames can still be read."""
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


class FrameSource(Protocol):
    """A source of frames, such as a `MediaStream`."""

    def frames(self, *, buffer: int) -> FrameReader:
        """Return a reader of the frames that arrive from now on, with a buffer of ``buffer`` frames."""
        ...
